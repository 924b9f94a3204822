"""Ready for a GPU, tested without one: no tensor is made without saying where. See ``devices.py``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import devices
import planted
import pytest
from devices import CPU, PACKAGE, Watch

import gancourse
from gancourse import systems
from gancourse.datasets.source import Source, load
from gancourse.networks import ConditionalMLP
from gancourse.systems import seeds

PAIR = {"latent_dim": 8, "g_widths": (16,), "d_widths": (16,)}
PICTURES = ConditionalMLP(**PAIR)
POINTS = ConditionalMLP(**PAIR, classes=8, sample_shape=(2,), output="linear")
CONDITIONS: list[dict[str, Any]] = [
    {"d_condition": d, "g_condition": g, "wrong_pairs": wrong}
    for d, g in (("projection", "batchnorm"), ("concat", "concat"), ("projection", "concat"), ("concat", "batchnorm"))
    for wrong in ("none", "mismatched", "resampled")
]
CONDITIONS += [{"d_condition": d, "wrong_pairs": "none"} for d in ("auxiliary", "two-scores")]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in systems.INDEX),
    *(("digits-cgan", changes) for changes in CONDITIONS),
    *(("ring-cgan", {"g_norm": "batch", **changes}) for changes in CONDITIONS),
    *((name, {"sample_shape": (1, 32, 32)}) for name in ("digits-mlp", "digits-cgan", "digits-lsgan", "fashion-cgan")),
    *(("digits-mlp", changes) for changes in ({"d_norm": "spectral"}, {"d_pieces": 2}, {"loss": "minimax", "k": 2})),
    ("digits-cgan", {"d_norm": "spectral-after-first"}),
    ("digits-mlp", {"networks": PICTURES}),
    ("digits-lsgan", {"networks": PICTURES}),
    ("digits-lsgan", {"networks": PICTURES, "sample_shape": (1, 32, 32), "d_condition": "concat"}),
    ("ring-lsgan", {"networks": POINTS}),
    ("ring-lsgan", {"networks": POINTS, "g_condition": "concat", "d_condition": "concat"}),
]
"""Every recipe as it is, and what its keys can make of it."""


@functools.cache
def source(data: str, shape: tuple[int, ...] | None) -> Source:
    return load(data, device=CPU, shape=shape, quiet=True)


def called(name: str, changes: dict[str, Any]) -> str:
    return " ".join([name, *(f"{key}={getattr(value, 'd_condition', value)}" for key, value in changes.items())])


# --------------------------------------------------------------------------------------------- while it runs


@pytest.mark.parametrize(("name", "changes"), VARIANTS, ids=[called(*variant) for variant in VARIANTS])
def test_every_tensor_says_where_it_is_made(name: str, changes: dict[str, Any]) -> None:
    recipe = systems.recipe(name)
    config = recipe.at("smoke", **changes)
    devices.exercise(recipe.build, config, source(config.data, config.shape), PACKAGE)


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [
        ("ring-gan", {}, seeds.StackedDiscriminator),
        ("ring-gan", {"d_pieces": 1, "d_norm": "spectral"}, seeds.Mapped),
        ("ring-lsgan", {"d_pieces": 1}, seeds.StackedDiscriminator),
        ("digits-mlp", {"d_dropout": 0.0}, seeds.Mapped),
        ("ring-cgan", {"wrong_pairs": "none"}, seeds.Mapped),
    ],
)
def test_seeds_side_by_side_say_it_too(
    name: str, changes: dict[str, Any], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "load_source", lambda data, shape, **_: source(data, shape))
    with Watch(PACKAGE, building=True):
        together = seeds.Seeds(
            systems.recipe(name), range(5), profile="smoke", device=CPU, batch_size=8, g_widths=(16,), **changes
        )
    assert type(together.networks["D"]) is kind
    with Watch(PACKAGE):
        devices.train(together, together.batches, 3)
        together.load_state_dict(together.state_dict())
        together.sample(4)
        together.sample(4, averaged=False)


# ------------------------------------------------------------------------------------------- without running it

READ = ("images", "layers", "losses", "networks", "training", "datasets.source", "datasets.toy", "systems", "metrics")
"""Where every tensor says where it is made: modules, and folders with all their modules."""
EITHER = "takes arrays and tensors; a tensor stays where it is"
ALLOWED = {
    ("images.py", "to_float", "torch.as_tensor"): EITHER,
    ("metrics/attributes.py", "judge_faces", "torch.as_tensor"): EITHER,
    ("metrics/distances.py", "nearest", "torch.as_tensor"): EITHER,
    ("metrics/face_reports.py", "_asked", "torch.as_tensor"): EITHER,
    ("metrics/face_reports.py", "face_report", "torch.as_tensor"): EITHER,
    ("metrics/features.py", "inception_features", "torch.as_tensor"): EITHER,
    ("metrics/features.py", "judge_pictures", "torch.as_tensor"): EITHER,
    ("metrics/inputs.py", "checked_labels", "torch.as_tensor"): EITHER,
    ("metrics/inputs.py", "finite", "torch.as_tensor"): EITHER,
    ("metrics/points.py", "label_kl", "torch.as_tensor"): EITHER,
    ("metrics/reports.py", "_report", "torch.as_tensor"): EITHER,
}
"""File, function and name of what is left as it is, and why."""


def modules() -> list[str]:
    names = [name for _, name, _ in pkgutil.walk_packages(gancourse.__path__, "gancourse.")]
    return [name for name in names if name not in ("gancourse.__main__", "gancourse.runtime")]  # runtime: the one place


def test_the_source_says_it_on_branches_not_taken_too() -> None:
    makers = tuple(f"gancourse.{name}" for name in READ)
    found = [
        line
        for name in modules()  # everywhere no device is called by its name
        for line in devices.read(importlib.import_module(name), makers=name.startswith(makers))
    ]
    left = [line for line in found if (line.file, line.function, line.name) not in ALLOWED]
    assert not left, "\n".join(f"{line.file}:{line.line}, in {line.function}: {line.name} {line.what}" for line in left)
    assert {(line.file, line.function, line.name) for line in found} == set(ALLOWED), "an exception that nothing needs"


# ------------------------------------------------------------------------------------------- planted mistakes


def run(system: type, *judged: Path) -> str:
    """Return what is said against a toy system when it runs; nothing if it passes."""
    config = planted.CONDITIONAL if issubclass(system, planted.CGAN) else planted.CONFIG
    try:
        devices.exercise(system, config, source("ring", (2,)), *judged)
    except AssertionError as error:
        return str(error)
    return ""


@functools.cache
def systems_read() -> set[str]:
    return {line.function.split(".")[0] for line in devices.read(planted)}


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("system", planted.PLANTED, ids=lambda system: system.__name__)
def test_planted_mistakes(system: type) -> None:
    assert not run(system), "it should work on a CPU that nobody watches"
    told, found = run(system, PACKAGE, Path(planted.__file__)), set()
    if told:
        assert system.__name__ in told
        found.add("run")
    if system.__name__ in systems_read():
        found.add("read")
    assert found == planted.PLANTED[system]


def test_how_many_each_finds() -> None:
    who = list(planted.PLANTED.values())
    counts = {name: sum(name in found for found in who) for name in ("run", "read")}
    assert counts == {"run": 40, "read": 43}
    assert (sum(map(bool, who)), len(who)) == (54, 58)


def test_sound_code_is_let_through() -> None:
    assert not run(planted.Sound, PACKAGE, Path(planted.__file__))
    assert "Sound" not in systems_read()
