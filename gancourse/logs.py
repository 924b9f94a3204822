"""The log of a run, ``metrics.csv``, read back."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancourse.errors import UserError


def read_metrics(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read a run's metrics.csv as one float array per column; an empty cell becomes NaN.

    A last line without its newline is dropped, whatever it holds: a killed run may have left half a number there.

    Raises:
        UserError: no such file, no rows, a row of another length, or a cell that is no number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"Cannot read {path}: {reason}. Give the metrics.csv of a run.") from None
    whole = text[: text.rfind("\n") + 1]
    header, *rows = [row for row in csv.reader(io.StringIO(whole)) if row] or [[]]
    if rows and len(rows[-1]) < len(header):
        rows.pop()
    if not rows:
        raise UserError(f"{path} holds no complete row of metrics. Give the metrics.csv of a run that has logged.")
    table = []
    for number, row in enumerate(rows, start=2):
        try:
            table.append([float(cell) if cell.strip() else math.nan for cell in row])
        except ValueError as error:
            raise UserError(f"{path}, row {number}: {error}. Every cell of metrics.csv is a number.") from None
        if len(row) != len(header):
            raise UserError(f"{path}, row {number} has {len(row)} cells; the header names {len(header)} columns.")
    return dict(zip(header, np.array(table).T, strict=True))
