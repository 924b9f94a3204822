"""What a study says: its variants, what is measured of each, how its table is laid out; ``measure.py`` does the rest.

A study is one file here. Its name is the table's, its docstring's first line the title, and `STUDY` what differs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gancourse import evaluation
from gancourse.errors import unknown

STANDARD = ("reference", "judge", "digit_fid_floor", "digit_fid_uniform", "fashion_fid_floor", "fashion_fid_uniform")
"""Keys of a report that say what it was measured against: they stand once in a table."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table: a recipe with changes, and what is measured of it.

    Attributes:
        recipe: its name.
        changes: flat key → value, as in ``recipe.at(**changes)``; `networks` may be among them.
        profile: the profile that the changes come on top of.
        build: makes another system than the recipe's; it is known by its name.
        measure: trained → figures by name; under "common" what stands once in the table.
        look: system → figures on the way, at the start and `looks` times; side by side the state is saved as often.
        together: train all seeds side by side. `measure` and `look` are then given ``Seeds``; trained one by one,
            `measure` is given the ``Run``, `look` its system.
        steps, seeds: its own, whatever the command asks for.
    """

    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "gpu"
    build: Callable[..., Any] | None = None
    measure: Callable[[Any], Mapping[str, Any]] | None = None
    look: Callable[[Any], Any] | None = None
    looks: int = 10
    together: bool = False
    steps: int | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """What one study says.

    Attributes:
        variants: name → variant, in the order of the table.
        steps, seeds: what the command takes if it says nothing.
        samples: how many samples a figure is made of.
        table: variant → its rows → the table. A row holds `seed` and the figures, and `curve` if there were looks;
            side by side there is one row with `seeds`, `minutes` and the figures.
        head: steps → what stands above the table; None: `steps` and `samples`.
        full: whether the mini set will not do.
        clock: whether a row also says how many `processor_seconds` its training took, the looks not counted.
        finished: the folder of a finished run → its row under "runs"; None: the study reports no such runs.
        indent: of the file.
    """

    variants: Mapping[str, Variant]
    steps: int
    seeds: tuple[int, ...]
    samples: int
    table: Callable[[dict[str, list[dict[str, Any]]]], dict[str, Any]] = lambda rows: {"variants": rows}
    head: Callable[[int], dict[str, Any]] | None = None
    full: bool = True
    clock: bool = False
    finished: Callable[[Path], dict[str, Any]] | None = None
    indent: int | None = 1
    name: str = ""
    title: str = ""


def figures(system: Any, keys: Sequence[str], n: int) -> dict[str, Any]:
    """Return some keys of a system's evaluation on n samples, and under "common" what it was measured against."""
    report = evaluation.evaluate(system, n=n)
    return {**{key: report[key] for key in keys}, "common": {key: report[key] for key in STANDARD if key in report}}


def names() -> list[str]:
    """Return the names of all studies."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def load(name: str) -> Study:
    """Return the study called `name`.

    Raises:
        UserError: there is none of that name.
    """
    if name not in names():
        raise unknown("study", name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    return replace(module.STUDY, name=name, title=(module.__doc__ or name).splitlines()[0])
