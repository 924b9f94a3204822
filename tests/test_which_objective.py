"""``book/which_objective.md``: its tables are those of the results, and its figures are drawn from them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from gancourse import hub
from gancourse.errors import UserError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "tools"))
import which_objective  # noqa: E402

PAGE = which_objective.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_results() -> None:
    assert which_objective.with_tables(PAGE) == PAGE, "run python book/tools/which_objective.py"


def test_every_figure_is_there_and_can_be_drawn_again() -> None:
    names = re.findall(r"_static/objective-(\w+)\.png", PAGE)
    assert names and set(names) <= set(which_objective.FIGURES)
    for name in names:
        assert (which_objective.PICTURES / f"objective-{name}.png").stat().st_size > 10_000
        assert which_objective.picture(which_objective.FIGURES[name]()).startswith(b"\x89PNG")


def test_a_stale_table_is_told_and_written_again() -> None:
    stale = re.sub(r"\d+\.\d\u00a0±", "7.7\u00a0±", PAGE)
    assert stale != PAGE and which_objective.with_tables(stale) == PAGE


def test_the_sentences_are_those_of_the_results() -> None:
    """The numbers in the page's prose; the rest stands in its tables."""
    ring, grid = which_objective.of_data("ring"), which_objective.of_data("grid")
    best, pairs = grid["non-saturating, R1"], grid["relativistic, R1 and R2"]
    assert best["modes"] == [25] * 5 == grid["minimax"]["modes"] and min(best["high_quality"]) > 0.93
    assert [sorted(grid[name]["modes"])[:3] for name in ("non-saturating", "least squares")] == [
        [22, 24, 25],
        [21, 21, 25],
    ]
    cost = {name: which_objective.cost(row) for name, row in grid.items()}
    assert round(cost["non-saturating, R1"] / cost["non-saturating"], 1) in (1.4, 1.5, 1.6)
    assert round(cost["Wasserstein, penalty"] / cost["non-saturating"]) == 6
    even = grid["Wasserstein, penalty"]["high_quality"]
    assert grid["Wasserstein, penalty"]["modes"] == [25] * 5 and max(even) - min(even) < 0.02
    assert [round(100 * quality) for quality in sorted(pairs["high_quality"])[:2]] == [65, 76]
    hinge = ring["hinge, spectral norm"]
    assert sorted(hinge["modes"])[-2:] == [8, 8] and sorted(hinge["high_quality"])[2] < 0.02
    assert sorted(hinge["high_quality"])[3] > 0.95
    plain = [grid[name]["modes"] for name in ("non-saturating", "minimax", "least squares")]
    assert (min(map(min, plain)), max(map(max, plain))) == (21, 25)
    assert {15, 18} <= set(hub.results("mixtures")["grid-gan"]["modes"]) <= set(range(15, 19))


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(UserError, match="asks for the table 'moon'; there are ring, grid"):
        which_objective.with_tables("<!-- table moon -->\n<!-- end -->")


def test_at_equal_seconds_a_dear_run_is_seen_earlier() -> None:
    row = {"steps": 100, "processor_seconds": 50.0, "curve": [{"step": 10 * k} for k in range(1, 11)]}
    assert which_objective.meanwhile(row, 50.0)["step"] == 100
    assert which_objective.meanwhile(row, 24.0)["step"] == 40
