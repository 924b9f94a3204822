"""Tables and cards, shown as tables in a notebook and readable as text elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Table", "table", "Card", "card"]


class Table:
    """A table: HTML in a notebook, aligned columns in ``print``."""


class Card:
    """The Markdown of a card, shown as headings and tables in a notebook."""


def table(
    rows: Sequence[Sequence[Any]] | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]],
    header: Sequence[str] | None = None,
    formats: str | Sequence[str | None] | Mapping[str, str] | None = None,
    align: str | None = None,
    caption: str | None = None,
) -> Table:
    """Lay out rows as a table; make it the last expression of a cell.

    Args:
        rows: lists of cells with `header`; or dictionaries, whose keys are the header; or names to columns.
        formats: a format such as ".3f" for all numbers, one for each column, or by name of column.
        align: a letter for each column, "l", "r" or "c"; by default numbers right, words left.
        caption: one line above the table.
    """
    raise NotImplementedError


def card(source: str | Path | Any) -> Card:
    """Show a card: its Markdown, the path of a CARD.md, or anything with ``card()``."""
    raise NotImplementedError
