"""The systems of the course, one file per paper, and the index of their recipes.

The index is plain text so that listing the recipes loads no torch; a test keeps it equal to the modules.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gancourse.errors import unknown

if TYPE_CHECKING:
    from gancourse.systems.base import Recipe

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
}
"""Recipe name → (module in this package, title)."""


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
    module = importlib.import_module(f"gancourse.systems.{INDEX[name][0]}")
    return module.RECIPES[name]


def paper(name: str) -> tuple[Any, str]:
    """Return the system called `name` at the size of its paper, on the CPU, and where the sizes are printed.

    Raises:
        UserError: there is no system of that name.
    """
    modules = sorted({module for module, _ in INDEX.values()})
    if name not in modules:
        raise unknown("system", name, modules)
    import torch

    module = importlib.import_module(f"gancourse.systems.{name}")
    build = getattr(module, "build_paper", module.build)  # some papers' networks are none of our recipes'
    return build(module.PAPER, torch.device("cpu")), module.PAPER_SOURCE
