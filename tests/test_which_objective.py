"""``book/which_objective.md``: its tables are those of the results, and its figures are drawn from them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

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
    stale = re.sub(r"\d+\.\d ± ", "7.7 ± ", PAGE)
    assert stale != PAGE and which_objective.with_tables(stale) == PAGE


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(UserError, match="asks for the table 'moon'; there are ring, grid"):
        which_objective.with_tables("<!-- table moon -->\n<!-- end -->")


def test_at_equal_seconds_a_dear_run_is_seen_earlier() -> None:
    row = {"steps": 100, "processor_seconds": 50.0, "curve": [{"step": 10 * k} for k in range(1, 11)]}
    assert which_objective.meanwhile(row, 50.0)["step"] == 100
    assert which_objective.meanwhile(row, 24.0)["step"] == 40
