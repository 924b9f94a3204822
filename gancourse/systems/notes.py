"""Other people's small GANs for MNIST, as course notes print them: settings of our recipes, to measure beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTES: dict[str, dict[str, dict[str, Any]]] = {
    "digits-mlp": {
        "A": {
            "latent_dim": 64,
            "batch_size": 32,
            "g_widths": (64, 128, 256, 512, 1024),
            "d_widths": (1024, 512, 256, 128),
            "g_norm": "none",
            "d_activation": "relu",
            "d_dropout": 0.0,
            "g_lr": 1e-4,
            "d_lr": 1e-4,
            "beta1": 0.9,
            "averaging": 0.0,
        },
        "B": {
            "latent_dim": 100,
            "batch_size": 64,
            "g_widths": (256, 512, 1024),
            "d_widths": (1024, 512, 256),
            "g_norm": "none",
            "d_activation": "relu",
            "d_dropout": 0.0,
            "beta1": 0.9,
            "averaging": 0.0,
        },
        "C": {
            "latent_dim": 64,
            "batch_size": 100,
            "g_widths": (256, 256),
            "d_widths": (256, 256),
            "g_norm": "none",
            "d_dropout": 0.0,
            "beta1": 0.9,
            "averaging": 0.0,
        },
        "D": {
            "latent_dim": 96,
            "batch_size": 64,
            "g_widths": (256, 512, 1024),
            "d_widths": (512, 256, 128, 64, 32),
            "d_norm": "spectral",
            "g_activation": "gelu",
            "d_activation": "gelu",
            "d_dropout": 0.0,
            "output": "sigmoid",
            "g_lr": 1e-4,
            "d_lr": 1e-4,
            "beta1": 0.9,
            "averaging": 0.0,
        },
    },
    "digits-cgan": {
        "program 1": {
            "latent_dim": 96,
            "batch_size": 64,
            "g_condition": "concat",
            "g_label_dim": 32,
            "wrong_pairs": "none",
            "g_widths": (256, 512, 1024),
            "g_activation": "gelu",
            "output": "sigmoid",
            "d_condition": "concat",
            "d_label_dim": 32,
            "d_widths": (512, 256, 128, 64, 32),
            "d_activation": "gelu",
            "d_norm": "spectral-after-first",
            "d_dropout": 0.0,
            "g_lr": 1e-4,
            "d_lr": 1e-4,
            "beta1": 0.9,
            "averaging": 0.0,
        },
        "program 2": {
            "latent_dim": 100,
            "batch_size": 100,
            "g_condition": "concat",
            "g_label_dim": 10,
            "wrong_pairs": "none",
            "g_widths": (256, 512, 1024),
            "g_norm": "none",
            "g_activation": "leaky_relu",
            "d_condition": "concat",
            "d_label_dim": 10,
            "d_widths": (1024, 512, 256),
            "d_dropout": 0.4,
            "g_lr": 1e-4,
            "d_lr": 1e-4,
            "beta1": 0.9,
            "averaging": 0.0,
        },
    },
}
"""Recipe → program → what it changes in the recipe's config, by flat keys.

Of the unconditional programs, D's notes give no learning rate and no widths: it takes 1e-4 and the widths of the
conditional network that the same notes list. Of the conditional ones, program 1 gives no learning rate (it takes 1e-4
here) and no training loop; its generator ends in a sigmoid although the data are scaled to [-1, 1]. Program 2 gives
everything.
"""


def configs(recipe: str) -> Mapping[str, Any]:
    """Return program → config: those of `recipe` ("digits-mlp" or "digits-cgan") with each program's changes."""
    from gancourse import systems
    from gancourse.systems.configs import change

    return {name: change(systems.recipe(recipe).config, **changes) for name, changes in NOTES[recipe].items()}
