"""The systems of the course, one file per paper, and the index of their recipes.

The index is plain text so that listing the recipes loads no torch; a test keeps it equal to the modules.
"""

from __future__ import annotations

import dataclasses
import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from gancourse.errors import unknown

if TYPE_CHECKING:
    import torch

    from gancourse.systems.configs import Recipe

INDEX: dict[str, tuple[str, str]] = {
    "ring-gan": ("gan", "a GAN on a ring of eight Gaussians"),
    "grid-gan": ("gan", "a GAN on a grid of twenty-five Gaussians"),
    "digits-mlp": ("gan", "a fully connected GAN on handwritten digits"),
    "digits-cgan": ("cgan", "a conditional GAN on handwritten digits: ask for a class"),
    "digits-cgan-notes": ("cgan", "program 2 of the notes on handwritten digits: it learns its labels late"),
    "fashion-cgan": ("cgan", "a conditional GAN on Fashion-MNIST: ask for a garment"),
    "ring-cgan": ("cgan", "a conditional GAN on the ring, shown wrong labels too: the three-term loss"),
    "digits-lsgan": ("lsgan", "a fully connected least-squares GAN on handwritten digits"),
    "ring-lsgan": ("lsgan", "a least-squares GAN on a ring of eight Gaussians"),
    "ring-wgan": ("wgan", "a Wasserstein GAN with clipped weights on a ring of eight Gaussians"),
    "grid-wgan": ("wgan", "a Wasserstein GAN with clipped weights on a grid of twenty-five Gaussians"),
    "digits-wgan": ("wgan", "a Wasserstein GAN with clipped weights on handwritten digits"),
    "fashion-wgan": ("wgan", "a Wasserstein GAN with clipped weights on Fashion-MNIST"),
    "ring-wgan-gp": ("wgan-gp", "a Wasserstein GAN with a gradient penalty on a ring of eight Gaussians"),
    "grid-wgan-gp": ("wgan-gp", "a Wasserstein GAN with a gradient penalty on a grid of twenty-five Gaussians"),
    "digits-wgan-gp": ("wgan-gp", "a Wasserstein GAN with a gradient penalty on handwritten digits"),
    "fashion-wgan-gp": ("wgan-gp", "a Wasserstein GAN with a gradient penalty on Fashion-MNIST"),
    "ring-sngan": ("sngan", "a hinge GAN with spectral norms on a ring of eight Gaussians"),
    "grid-sngan": ("sngan", "a hinge GAN with spectral norms on a grid of twenty-five Gaussians"),
    "digits-sngan": ("sngan", "a hinge GAN with spectral norms on handwritten digits"),
    "fashion-sngan": ("sngan", "a hinge GAN with spectral norms on Fashion-MNIST"),
    "ring-r3gan": ("r3gan", "a relativistic GAN with R1 and R2 on a ring of eight Gaussians"),
    "grid-r3gan": ("r3gan", "a relativistic GAN with R1 and R2 on a grid of twenty-five Gaussians"),
    "digits-r3gan": ("r3gan", "a relativistic GAN with R1 and R2 on handwritten digits"),
    "fashion-r3gan": ("r3gan", "a relativistic GAN with R1 and R2 on Fashion-MNIST"),
    "digits-dcgan": ("dcgan", "a convolutional GAN on handwritten digits"),
    "faces32-dcgan": ("dcgan", "a convolutional GAN on drawn faces of 32 pixels"),
    "faces32-smile": ("dcgan", "a convolutional GAN on drawn faces that smile"),
    "faces64-dcgan": ("dcgan", "a convolutional GAN on drawn faces of 64 pixels"),
}
"""Recipe name → (system's word, title): the only place of both. The module of ``wgan-gp`` is called ``wgan_gp``."""


def names() -> list[str]:
    """Return the names of all recipes."""
    return list(INDEX)


def recipe(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises:
        UserError: there is none of that name; the nearest one is suggested.
    """
    if name not in INDEX:
        raise unknown("recipe", name, INDEX)
    system, title = INDEX[name]
    return dataclasses.replace(_module(system).RECIPES[name], name=name, title=title, system=system)


def paper(system: str) -> tuple[dict[str, torch.nn.Module], str]:
    """Return the networks of a system at the size of its paper, on the CPU, and where the sizes are printed.

    Raises:
        UserError: there is no system of that name.
    """
    words = sorted({system for system, _ in INDEX.values()})
    if system not in words:
        raise unknown("system", system, words)
    module = _module(system)
    return module.paper(), module.PAPER_SOURCE


def _module(system: str) -> ModuleType:
    return importlib.import_module(f"gancourse.systems.{system.replace('-', '_')}")
