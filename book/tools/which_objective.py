"""Write the tables of the page "Which objective?" and draw its figures, from the studies' results.

    python book/tools/which_objective.py            # after a study was measured again
    python book/tools/which_objective.py --check    # say whether page and figures are those of the results

A table stands between `<!-- table NAME -->` and `<!-- end -->`; the sentences around it are written by hand.
"""

from __future__ import annotations

import argparse
import io
import math
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from gancourse import console, hub, plots, runtime
from gancourse.errors import UserError
from gancourse.plots import style

BOOK = Path(__file__).resolve().parents[1]
PAGE = BOOK / "which_objective.md"
PICTURES = BOOK / "_static"
TABLE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Rows = dict[str, dict[str, Any]]


def of_data(data: str) -> Rows:
    """Return the rows of the plane study for `data`: objective → figures."""
    found = hub.results("objectives")["variants"]
    return {name.removeprefix(f"{data}: "): row for name, row in found.items() if name.startswith(f"{data}: ")}


def spread(values: Sequence[float], digits: int, factor: float = 1.0) -> str:
    """Return mean ± standard error of some seeds, in one piece that no line breaks."""
    scaled = [factor * value for value in values]
    error = statistics.stdev(scaled) / math.sqrt(len(scaled))
    return f"{statistics.fmean(scaled):.{digits}f}\u00a0±\u00a0{error:.{digits}f}"


def cost(row: dict[str, Any]) -> float:
    """Return the milliseconds of a step of one seed."""
    return 1e3 * row["processor_seconds"] / row["steps"] / len(row["seeds"])


# ------------------------------------------------------------------------------------------------------ tables


def plane(data: str) -> str:
    """Return the table of the ring or the grid at equal steps."""
    lines = [
        {
            "objective": name,
            "modes": spread(row["modes"], 1),
            "high quality, %": spread(row["high_quality"], 1, 100),
            "reverse KL": spread(row["reverse_kl"], 3),
            "averaged: modes": spread(row["averaged"]["modes"], 1),
            "averaged: high quality, %": spread(row["averaged"]["high_quality"], 1, 100),
            "ms a step": f"{cost(row):.1f}",
        }
        for name, row in of_data(data).items()
    ]
    return plots.table(lines).markdown()


def in_equal_seconds() -> Rows:
    """Return the rows of the grid at the processor seconds of the non-saturating game."""
    return {**of_data("grid"), **of_data("grid, equal seconds")}


def same_time() -> str:
    """Return the table of the grid at equal seconds."""
    lines = [
        {
            "objective": name,
            "steps": f"{row['steps']:,}",
            "modes": spread(row["modes"], 1),
            "high quality, %": spread(row["high_quality"], 1, 100),
            "reverse KL": spread(row["reverse_kl"], 3),
        }
        for name, row in in_equal_seconds().items()
    ]
    return plots.table(lines).markdown()


def digits() -> str:
    """Return the table of the digits."""
    found = hub.results("objectives_digits")
    lines = []
    for name, rows in found["variants"].items():
        seconds = [row["processor_seconds"] for row in rows]
        lines.append(
            {
                "objective": name,
                "digit-FID": spread([row["digit_fid"] for row in rows], 1),
                "% of noise": spread([row["digit_fid_percent"] for row in rows], 2),
                "label KL": spread([row["label_kl"] for row in rows], 3),
                "classes": ", ".join(str(row["classes"]) for row in rows),
                "ms a step": f"{1e3 * statistics.fmean(seconds) / found['steps']:.0f}",
            }
        )
    return plots.table(lines).markdown()


def settings() -> dict[str, Rows]:
    """Return the rows of the sweep: objective → setting → figures."""
    found: dict[str, Rows] = {}
    for name, row in hub.results("objectives_sweep")["variants"].items():
        objective, setting = name.split(": ")
        found.setdefault(objective, {})[setting] = row
    return found


def sweep() -> str:
    """Return the table of the sweep: a row for each setting, a column for each objective."""
    found = settings()
    lines = []
    for setting in next(iter(found.values())):
        line = {"setting": setting}
        for objective, rows in found.items():
            row = rows[setting]
            modes, quality = statistics.fmean(row["modes"]), 100 * statistics.fmean(row["high_quality"])
            line[objective] = f"{modes:.1f}\u00a0/\u00a0{quality:.0f}"
        lines.append(line)
    return plots.table(lines).markdown()


def published() -> str:
    """Return the table of the published networks on the grid, without the objective's change and with it."""
    (row,) = hub.results("objectives_published")["variants"].values()
    plain = hub.results("mixtures")["grid-gan"]
    lines = [
        {
            "objective": name,
            "modes of each seed": ", ".join(map(str, own["modes"])),
            "high quality, %": spread(own["high_quality"], 1, 100),
            "reverse KL": spread(own["reverse_kl"], 3),
            "averaged: modes": ", ".join(map(str, own["averaged"]["modes"])),
            "averaged: high quality, %": spread(own["averaged"]["high_quality"], 1, 100),
        }
        for name, own in (("non-saturating", plain), ("non-saturating, R1", row))
    ]
    return plots.table(lines).markdown()


TABLES = {
    "ring": lambda: plane("ring"),
    "grid": lambda: plane("grid"),
    "same-time": same_time,
    "digits": digits,
    "sweep": sweep,
    "published": published,
}

# ----------------------------------------------------------------------------------------------------- figures


@style.styled
def dots(columns: dict[str, dict[str, dict[str, Sequence[float]]]], log: bool = False) -> Any:
    """Return a figure with a row for each objective: small dots are seeds, a large one is their mean.

    Args:
        columns: title → what is compared (at most two, drawn full and hollow) → objective → one value per seed.
        log: whether the values are drawn on a logarithmic axis.
    """
    names = list(next(iter(next(iter(columns.values())).values())))
    figure = style.Picture(figsize=(style.WIDTH, 0.6 + 0.4 * len(names)), dpi=style.DPI, layout="constrained")
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    colours = (style.DATA, style.GENERATOR)
    for ax, (title, compared) in zip(axes, columns.items(), strict=True):
        for rows, colour, shift in zip(compared.values(), colours, (-0.14, 0.14), strict=False):
            for name, values in rows.items():
                y = names.index(name) + (shift if len(compared) > 1 else 0.0)
                ax.plot(values, [y] * len(values), "o", ms=3.5, color=colour, alpha=0.45, mew=0)
                ax.plot(
                    statistics.fmean(values), y, "o", ms=8, mfc="white" if shift > 0 else colour, mec=colour, mew=1.6
                )
        ax.set_title(title)
        style.dress(ax)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.grid(axis="both", color="#E4E4E4", linewidth=0.8)
        if log:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    labels = list(next(iter(columns.values())))
    if len(labels) > 1:
        marks = [
            Line2D([], [], marker="o", ls="", ms=8, mew=1.6, color=colour, mfc=face)
            for colour, face in zip(colours, (colours[0], "white"), strict=True)
        ]
        figure.legend(marks, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def grid_figure() -> Any:
    """Return modes and quality on the grid, at equal steps and at equal seconds."""
    compared = {"equal steps": of_data("grid"), "equal seconds": in_equal_seconds()}
    return dots(
        {
            "Modes of 25": {label: {n: r["modes"] for n, r in rows.items()} for label, rows in compared.items()},
            "High quality, %": {
                label: {n: [100 * v for v in r["high_quality"]] for n, r in rows.items()}
                for label, rows in compared.items()
            },
        }
    )


def digits_figure() -> Any:
    """Return the digit-FID of every seed."""
    rows = hub.results("objectives_digits")["variants"]
    return dots({"digit-FID": {"": {name: [row["digit_fid"] for row in own] for name, own in rows.items()}}}, log=True)


def sweep_figure() -> Any:
    """Return modes and quality on the grid with one and with five steps of D: a dot is a setting's mean over seeds."""
    found = settings()
    turns = {"one step of D": ", k 1,", "five steps of D": ", k 5,"}

    def means(mark: str, key: str, factor: float) -> dict[str, list[float]]:
        return {
            objective: [factor * statistics.fmean(row[key]) for setting, row in rows.items() if mark in setting]
            for objective, rows in found.items()
        }

    return dots(
        {
            "Modes of 25": {label: means(mark, "modes", 1) for label, mark in turns.items()},
            "High quality, %": {label: means(mark, "high_quality", 100) for label, mark in turns.items()},
        }
    )


FIGURES = {"grid": grid_figure, "digits": digits_figure, "sweep": sweep_figure}


def picture(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * style.DPI, metadata={"Software": None})
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------- all of it


def with_tables(page: str) -> str:
    """Return the page with its tables made of the results.

    Raises:
        UserError: the page asks for a table that there is not.
    """

    def written(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise UserError(f"The page asks for the table {match[2]!r}; there are {', '.join(TABLES)}.")
        return f"{match[1]}\n{TABLES[match[2]]().strip()}\n\n{match[3]}"

    return TABLE.sub(written, page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page's tables are stale")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    fresh = with_tables(page)
    if check:
        if fresh != page:
            raise UserError("The page's tables are not those of the results: run book/tools/which_objective.py.")
        return
    runtime.write_atomic(PAGE, fresh.encode())
    for name, draw in FIGURES.items():
        if f"objective-{name}.png" in fresh:
            runtime.write_atomic(PICTURES / f"objective-{name}.png", picture(draw()))


if __name__ == "__main__":
    sys.exit(console.entry(main))
