"""``book/which_objective.md``: its tables are those of the results, and its figures are drawn from them."""

from __future__ import annotations

import re
import statistics
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
    assert sorted(grid["minimax"]["high_quality"])[1] > 0.94
    soon = which_objective.in_equal_seconds()["non-saturating, R1"]
    assert soon["steps"] == 6800 and soon["modes"] == [25] * 5
    assert [round(100 * end(soon["high_quality"])) for end in (min, max)] == [83, 90]
    found = [row["modes"] == [8] * 5 for name, row in ring.items() if name != "hinge, spectral norm"]
    assert len(found) == 7 and all(found)
    assert 0.5 < sum(ring["Wasserstein, clipped"]["high_quality"]) / 5 < 0.6
    plain = [grid[name]["modes"] for name in ("non-saturating", "minimax", "least squares")]
    assert (min(map(min, plain)), max(map(max, plain))) == (21, 25)
    assert {15, 18} <= set(hub.results("mixtures")["grid-gan"]["modes"]) <= set(range(15, 19))


def test_the_sentences_on_eight_settings_are_those_of_the_results() -> None:
    found = which_objective.settings()
    plain, bounded = list(found)[:2], list(found)[2:]
    assert plain == ["non-saturating", "least squares"] and len(bounded) == 3

    def means(objectives: list[str], mark: str, key: str = "modes") -> list[float]:
        rows = [row for name in objectives for setting, row in found[name].items() if mark in setting]
        return [statistics.fmean(row[key]) for row in rows]

    one, five = (means(plain, f"rate 0.001, k {k}") for k in (1, 5))
    assert (round(min(one)), round(max(one)), round(min(five)), round(max(five))) == (22, 25, 13, 19)
    sharp, sharper = (means(plain, f"rate 0.001, k {k}", "high_quality") for k in (1, 5))
    assert all(after > before for before, after in zip(sharp, sharper, strict=True))
    kept = means(bounded, "rate 0.001, k 5")
    assert (round(min(kept)), max(kept)) == (23, 25)
    for key in ("modes", "high_quality"):  # the penalty, at every setting
        once, often = (means(["Wasserstein, penalty"], f", k {k},", key) for k in (1, 5))
        assert len(once) == 4 and all(after > before for before, after in zip(once, often, strict=True))
    small = [means(["Wasserstein, penalty"], f"rate {rate}, k 1, D 64")[0] for rate in ("0.001", "0.0003")]
    assert [round(modes) for modes in small] == [5, 0]
    hinge = [means(["hinge, spectral norm"], f"rate {rate}, k 1, D 64")[0] for rate in ("0.001", "0.0003")]
    assert [round(modes) for modes in hinge] == [21, 3]
    few = means(plain, "k 1, D 64")
    assert (round(min(few)), round(max(few))) == (16, 25)
    pairs = [(name, setting) for name, rows in found.items() for setting in rows if "k 5" in setting]
    dearer = [
        found[name][setting]["processor_seconds"] / found[name][setting.replace("k 5", "k 1")]["processor_seconds"]
        for name, setting in pairs
    ]
    assert 3.5 < max(dearer) < 4.5
    assert round(100 * max(means([*found], "rate 0.0003", "high_quality"))) == 44
    first = set()
    for setting in found["non-saturating"]:
        modes = {name: statistics.fmean(rows[setting]["modes"]) for name, rows in found.items()}
        first |= {name for name, value in modes.items() if value == max(modes.values())}
    assert first == set(found) - {"non-saturating"}
    assert all(row["steps"] == 5_000 for rows in found.values() for row in rows.values())
    assert [len(found[name]["rate 0.001, k 1, D 64"]["seeds"]) for name in found] == [3, 3, 3, 5, 3]


def test_the_sentences_on_the_published_networks_are_those_of_the_results() -> None:
    (row,) = hub.results("objectives_published")["variants"].values()
    plain, best = hub.results("mixtures")["grid-gan"], which_objective.of_data("grid")["non-saturating, R1"]
    assert row["steps"] == plain["steps"] == 4 * best["steps"] and row["seeds"] == plain["seeds"] == [0, 1, 2, 3, 4]
    assert (min(row["modes"]), max(row["modes"])) == (21, 25) and min(row["modes"]) > max(plain["modes"])
    mean = {key: [statistics.fmean(one[key]) for one in (row, plain)] for key in ("reverse_kl", "high_quality")}
    assert mean["reverse_kl"][0] < 0.5 * mean["reverse_kl"][1]
    assert [round(100 * quality) for quality in mean["high_quality"]] == [66, 72]
    assert round(100 * statistics.fmean(best["high_quality"])) == 95


def test_the_sentences_on_digits_are_those_of_the_results() -> None:
    found = hub.results("objectives_digits")
    fids = {name: [row["digit_fid"] for row in rows] for name, rows in found["variants"].items()}
    mean = {name: sum(values) / 3 for name, values in fids.items()}
    best, plain = fids["non-saturating, R1"], fids["non-saturating"]
    assert min(mean, key=mean.__getitem__) == "non-saturating, R1"
    assert max(best) - min(best) < 2 and max(best) < min(plain)
    assert 1 < (mean["non-saturating"] - mean["non-saturating, R1"]) / statistics.stdev(plain) < 1.2
    assert mean["relativistic, R1 and R2"] > 2.5 * mean["non-saturating"]
    assert 2 < mean["hinge, spectral norm"] / mean["non-saturating"] < 2.5
    order = sorted(mean, key=mean.__getitem__)
    assert order[-2:] == ["relativistic, R1 and R2", "Wasserstein, clipped"]
    assert abs(mean["Wasserstein, penalty"] - mean["non-saturating"]) < 2
    assert all(row["classes"] == 10 for rows in found["variants"].values() for row in rows)
    assert round(found["digit_fid_floor"], 1) == 1.3
    shipped = hub.load("digits-mlp").measured("digit_fid")
    assert shipped and shipped.startswith("112.") and 1.9 < 112 / mean["non-saturating"] < 2.1


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(UserError, match="asks for the table 'moon'; there are ring, grid"):
        which_objective.with_tables("<!-- table moon -->\n<!-- end -->")


def test_equal_seconds_are_those_of_the_game_they_are_set_beside() -> None:
    """Steps of the second budget times the cost of a step, as measured at equal steps, to a hundred steps."""
    grid, budget = which_objective.of_data("grid"), which_objective.in_equal_seconds()
    seconds = grid["non-saturating"]["processor_seconds"]
    assert list(budget) == list(grid)
    for name, row in budget.items():
        rate = grid[name]["processor_seconds"] / grid[name]["steps"]
        assert abs(row["steps"] * rate / seconds - 1) < 0.03, name
