"""One network and one budget for many objectives: the recipes that chapters 8 to 10 compare.

G and D have three hidden layers of 128 on points; on pictures they are those of ``digits-mlp``. No D has BatchNorm or
dropout, which a penalty for each sample would not stand, so that what differs between two recipes is the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gancourse.networks import MLP
from gancourse.systems.configs import Recipe, change

POINTS = MLP(sample_shape=(2,), latent_dim=2, g_widths=(128,) * 3, d_widths=(128,) * 3, g_norm="none", output="linear")
PICTURES = MLP(latent_dim=64, g_widths=(128, 256, 512), d_widths=(512, 256))

GAME = {
    "g_lr": 1e-3,
    "d_lr": 1e-3,
    "beta1": 0.0,
    "beta2": 0.99,
    "averaging": 0.999,
    "lr_decay_from": 0.0,
}
"""The game, whatever the objective: Adam without momentum, rates that fall linearly to 0. Chosen on seeds that no
published figure uses; with the one seed tried on digits, the non-saturating GAN kept all classes here and half of them
at 2e-4 with beta1=0.5 (2,000 steps)."""
POINTS_GAME = {"batch_size": 256, **GAME}
PICTURES_GAME = {"batch_size": 128, **GAME}

_UNTIMED = "not measured on a GPU yet"
_EVERY = {"log_every": 100, "sample_every": 1000, "checkpoint_every": 1000}
_SMOKE = {"steps": 60, "batch_size": 32, "log_every": 10, "sample_every": 20, "checkpoint_every": 20}
_SMALL = {"g_widths": (32, 32), "d_widths": (32, 32)}


def recipes(
    word: str,
    config: Callable[..., Any],
    build: Callable[[Any, Any], Any],
    *,
    points: Mapping[str, Any],
    pictures: Mapping[str, Any],
    minutes: Mapping[str, str],
    bands: Mapping[str, str],
    steps: tuple[int, int] = (10_000, 5_000),
) -> dict[str, Recipe]:
    """Return a system's recipes on ring, grid, digits and clothes.

    Args:
        word: the system's.
        config: makes its config, given networks, data, steps and batch size.
        build: makes the system.
        points, pictures: flat keys that differ on points and on pictures.
        minutes: "plane" and "pictures" → how long the cpu profile takes, in words.
        bands: name of the data → what the cpu profile is expected to reach, in words.
        steps: of the cpu profile, on points and on pictures.
    """
    found = {}
    for data, networks, changes in (
        ("ring", POINTS, points),
        ("grid", POINTS, points),
        ("digits", PICTURES, pictures),
        ("fashion", PICTURES, pictures),
    ):
        plane = networks is POINTS
        game = POINTS_GAME if plane else PICTURES_GAME
        base = config(networks=networks, data=data, steps=30_000, **_EVERY, **game)
        found[f"{data}-{word}"] = Recipe(
            config=change(base, **changes),
            build=build,
            profiles={"smoke": {**_SMOKE, **_SMALL}, "cpu": {"steps": steps[0 if plane else 1]}, "gpu": {}},
            minutes={"smoke": "a few seconds", "cpu": minutes["plane" if plane else "pictures"], "gpu": _UNTIMED},
            band={"cpu": bands[data]} if data in bands else {},
        )
    return found
