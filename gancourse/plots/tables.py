"""Tables and cards: shown as tables in a notebook and on the page, aligned columns where only text is read."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from gancourse.errors import UserError
from gancourse.plots.style import plain

__all__ = ["Table", "table", "Card", "card"]

SIDES = {"l": "left", "r": "right", "c": "center"}
RULES = {"l": ":--", "r": "--:", "c": ":-:"}

MARKS = {
    r"`([^`]+)`": "code",
    r"\*\*([^*]+)\*\*": "strong",
    r"(?<![*\w])\*([^*\s][^*]*)\*(?!\w)": "em",
}
"""Markdown's marks within a cell → the tags of HTML."""


class Table:
    """Rows of text with a header. A notebook shows it as a table; ``print`` gives aligned columns.

    Attributes:
        header: the words above the columns.
        rows: the cells, as text.
        align: a letter for each column, "l", "r" or "c".
        caption: one line above the table, or None.
    """

    def __init__(self, header: list[str], rows: list[list[str]], align: str, caption: str | None = None) -> None:
        self.header, self.rows, self.align, self.caption = header, rows, align, caption

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"*{self.caption}*", ""] if self.caption else []
        lines += [_pipes(self.header), _pipes([RULES[side] for side in self.align])]
        return "\n".join([*lines, *(_pipes([_guard(cell) for cell in row]) for row in self.rows)])

    def _repr_html_(self) -> str:
        head = "".join(map(self._cell, ["th"] * len(self.header), self.header, self.align))
        rows = ("<tr>" + "".join(map(self._cell, ["td"] * len(row), row, self.align)) + "</tr>" for row in self.rows)
        caption = f"<caption>{_marked(self.caption)}</caption>" if self.caption else ""
        return f'<table class="gc-table">{caption}<thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

    @staticmethod
    def _cell(tag: str, words: str, side: str) -> str:
        return f'<{tag} style="text-align: {SIDES[side]}">{_marked(words)}</{tag}>'

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        lines = [[_bare(cell) for cell in line] for line in lines]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(map(_padded, line, widths, self.align)).rstrip() for line in lines]
        return "\n".join(([self.caption] if self.caption else []) + text)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _guard(words: str) -> str:
    return words.replace("|", r"\|").replace("\n", "<br>")


def _marked(words: str) -> str:
    """Return HTML of words with Markdown's ``**bold**``, ``*italic*`` and `` `code` ``."""
    text = html.escape(words, quote=False).replace("\n", "<br>")
    for mark, tag in MARKS.items():
        text = re.sub(mark, rf"<{tag}>\1</{tag}>", text)
    return text


def _bare(words: str) -> str:
    """Return words without these marks; a star that marks nothing, as in D*, stays."""
    for mark in MARKS:
        words = re.sub(mark, r"\1", words)
    return words


def _padded(words: str, width: int, side: str) -> str:
    return {"l": words.ljust, "r": words.rjust, "c": words.center}[side](width)


def table(
    rows: Sequence[Sequence[Any]] | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]],
    header: Sequence[str] | None = None,
    formats: str | Sequence[str | None] | Mapping[str, str] | None = None,
    align: str | None = None,
    caption: str | None = None,
) -> Table:
    """Lay out rows as a table; make it the last expression of a cell, or pass it to ``display``.

    None and NaN leave a cell empty. Words may hold Markdown's marks for italic, bold and code.

    Args:
        rows: lists of cells below `header`; or dictionaries, whose keys are the header; or names to columns.
        header: the words above the columns; with dictionaries it chooses and orders them.
        formats: a format such as ".3f" or ".1%" for all numbers but whole ones, one for each column (None: as it is),
            or by name of the column. Whole numbers get commas.
        align: a letter for each column, "l", "r" or "c"; by default columns of numbers right, words left.
        caption: one line above the table.

    Raises:
        UserError: no columns, rows of another length than the header, an unknown format or letter.
    """
    names, cells = _cells(rows, header)
    if not names:
        raise UserError("Got no columns; give rows with a header, or dictionaries.")
    for number, row in enumerate(cells):
        if len(row) != len(names):
            raise UserError(f"Row {number} has {len(row)} cells, and the header {len(names)}: {', '.join(names)}.")
    if isinstance(formats, Mapping):
        if unknown := set(formats) - set(names):
            raise UserError(f"No column {', '.join(sorted(unknown))} to format; there are {', '.join(names)}.")
        forms = [formats.get(name) for name in names]
    else:
        forms = [formats] * len(names) if formats is None or isinstance(formats, str) else list(formats)
    if len(forms) != len(names):
        raise UserError(f"Got {len(forms)} formats for {len(names)} columns.")
    columns = [[row[k] for row in cells] for k in range(len(names))]
    if align is None:
        align = "".join("r" if _numbers(column) else "l" for column in columns)
    if len(align) != len(names) or set(align) - set(SIDES):
        raise UserError(f"Got align={align!r}; expected {len(names)} letters of l, r and c.")
    texts = [[_text(cell, form) for cell, form in zip(row, forms, strict=True)] for row in cells]
    return Table(names, texts, align, caption)


def _cells(rows: Any, header: Sequence[str] | None) -> tuple[list[str], list[list[Any]]]:
    if isinstance(rows, Mapping):
        names = list(header or rows)
        if missing := [name for name in names if name not in rows]:
            raise UserError(f"No column {', '.join(missing)}; there are {', '.join(map(str, rows))}.")
        lengths = {name: len(rows[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise UserError(f"The columns differ in length: {lengths}.")
        return [str(name) for name in names], [list(row) for row in zip(*(rows[name] for name in names), strict=True)]
    rows = list(rows)
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = list(header or dict.fromkeys(name for row in rows for name in row))
        return [str(name) for name in names], [[row.get(name) for name in names] for row in rows]
    if header is None:
        raise UserError("Rows of cells need a header: plots.table(rows, header=[…]).")
    return [str(name) for name in header], [list(row) for row in rows]


def _is_number(cell: Any) -> bool:
    return isinstance(plain(cell), Real) and not isinstance(cell, bool)


def _numbers(column: Sequence[Any]) -> bool:
    """Whether a column holds numbers, or words that begin with one such as "0.3 ± 0.1" or "12 %"; not sizes, "3×3"."""
    given = [cell for cell in column if cell is not None and cell != ""]
    return bool(given) and all(_is_number(cell) or re.match(r"[-−+]?[\d.]+(?![\d.×])", str(cell)) for cell in given)


def _text(cell: Any, form: str | None) -> str:
    cell = plain(cell)
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if not _is_number(cell):
        return str(cell)
    if isinstance(cell, Integral):
        return f"{cell:,}"
    try:
        return format(cell, form if form is not None else ".4g")
    except (ValueError, TypeError) as error:
        raise UserError(
            f"The format {form!r} does not fit {cell!r} ({error}); give one such as '.3f' or '.1%'."
        ) from None


# Cards -----------------------------------------------------------------------------------------------


class Card:
    """The Markdown of a card: a notebook shows it as lists and tables, ``print`` as aligned text.

    Its headings are shown in bold, because the page that it stands on has headings of its own.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return re.sub(r"^#+ (.*)$", r"**\1**", self.text, flags=re.MULTILINE)

    def __repr__(self) -> str:
        lines, block = [], list[str]()
        for line in [*self.text.splitlines(), ""]:
            if line.startswith("|"):
                block.append(line)
                continue
            if block:
                lines += repr(_read(block)).splitlines()
                block = []
            lines.append(re.sub(r"[*`]|^#+ ", "", line))
        return "\n".join(lines).strip()


def _read(lines: Sequence[str]) -> Table:
    """Return the table that lines of Markdown hold."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    header, rule, *cells = rows
    align = "".join("c" if r[0] == r[-1] == ":" else "r" if r[-1] == ":" else "l" for r in rule)
    return Table(header, [(row + [""] * len(header))[: len(header)] for row in cells], align)


def card(source: str | Path | Any, settings: bool = False) -> Card:
    """Show a card of a run as lists and tables, never as raw Markdown.

    Args:
        source: the card's Markdown, the path of a run's folder or ``card.md``, or anything with a ``folder``, such as
            what ``hub.load`` returns. Other Markdown with tables is shown as well.
        settings: also show the hyper-parameters, a long list.

    Raises:
        UserError: no card there.
    """
    folder = getattr(source, "folder", None)
    text = str(source)
    if (
        folder is not None
        or isinstance(source, Path)
        or (text and "\n" not in text and not text.startswith(("#", "|")))
    ):
        path = Path(folder if folder is not None else source)
        path = path / "card.md" if path.is_dir() else path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"No card in {path} ({error}); publish_run.py writes one for reference runs.") from None
    if not settings:
        text = text.partition("\nHyper-parameters:")[0]
    return Card(text.rstrip() + "\n")
