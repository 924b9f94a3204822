"""What the maintainer's tools share: where the chapters are, how they are read, and what their code is.

A cell's number counts all cells of the notebook, Markdown and code, from 1.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import yaml  # type: ignore[import-untyped]
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]

_NAME = re.compile(r"(\d\d)_[a-z0-9_]+")
_MAGIC = re.compile(r"^(\s*)([%!]\w.*|%%.*)$", re.MULTILINE)
_VERSION = re.compile(r"^__version__\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the chapter notebooks, ``notebooks/NN_name.ipynb``, in order."""
    return sorted(path for path in (root / "notebooks").glob("*.ipynb") if _NAME.fullmatch(path.stem))


def chosen(names: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Return the chapters of these names, such as ``02_first_gan``; no names mean all chapters.

    Raises:
        SystemExit: there is no chapter of a given name; the nearest one is suggested.
    """
    known = {path.stem: path for path in chapters(root)}
    stems = [Path(name).name.removesuffix(".ipynb") for name in names]
    for stem in stems:
        if stem not in known:
            close = difflib.get_close_matches(stem, known, n=1, cutoff=0.4)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise SystemExit(f"There is no chapter {stem}.{hint} There are: {', '.join(known) or 'none yet'}.")
    return [known[stem] for stem in stems] if stems else list(known.values())


def number(path: Path) -> int:
    """Return the chapter's number: 2 for ``notebooks/02_first_gan.ipynb``."""
    return int(path.stem[:2])


def config(root: Path = ROOT) -> dict[str, Any]:
    """Return ``_config.yml``, where the addresses of the repository and of the site stand."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))


def version(root: Path = ROOT) -> str:
    """Return the package's version, read without importing it."""
    match = _VERSION.search((root / "gancourse" / "__init__.py").read_text(encoding="utf-8"))
    if match is None:
        raise SystemExit('gancourse/__init__.py has no line __version__ = "…".')
    return match[1]


def read(path: Path) -> NotebookNode:
    """Read a notebook in format 4."""
    return nbformat.read(path, as_version=4)


def write(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook so that the file is either the old one or the new one, never half of one."""
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:  # not every file system can; but then nothing may be lost
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                    raise
        with contextlib.suppress(OSError):
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def python(source: str) -> str:
    """Return a code cell's source as plain Python: a line that is an IPython magic becomes ``pass``."""
    return _MAGIC.sub(r"\1pass", source)


def is_install(source: str) -> bool:
    """Return whether a code cell installs packages."""
    return re.search(r"^\s*[%!]\s*pip\b", source, re.MULTILINE) is not None


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def is_live(cell: NotebookNode) -> bool:
    """Return whether a cell shows sliders: it runs in a kernel only, and its outputs are not stored."""
    return "widget-live" in tags(cell)


def first_line(cell: NotebookNode, width: int = 60) -> str:
    """Return a cell's first line that is not blank, shortened, to recognise the cell by."""
    line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "(empty)")
    return line if len(line) <= width else line[: width - 1] + "…"
