"""Write the install cell into every notebook: chapters, solutions and student copies, from one source.

python book/tools/install_cells.py                              all notebooks
python book/tools/install_cells.py notebooks/exercises          only these notebooks, or folders of notebooks
python book/tools/install_cells.py --check                      write nothing; say which are not up to date

The text is that of ``colab.install_cell``. Further packages that a cell installs stay, and so do outputs. When no
notebook has the former cell any more, ``former_install_cell.txt`` is removed: from then on the checks refuse that cell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import chapters
import colab


def notebooks(root: Path) -> list[Path]:
    """Return the notebooks that have an install cell: chapters, solutions and student copies."""
    rest = [path for name in ("solutions", "exercises") for path in sorted((root / "notebooks" / name).glob("*.ipynb"))]
    return [*chapters.chapters(root), *rest]


def renewed(path: Path, canonical: str) -> tuple[str, str] | None:
    """Return a notebook's install cell as it is and as it should be, or None if its first code cell is none."""
    cell = next((cell for cell in chapters.read(path).cells if cell.cell_type == "code" and cell.source.strip()), None)
    extra = None if cell is None else colab.extra_packages(cell.source, canonical)
    if cell is None or extra is None:
        return None
    more = f"\n    %pip install -q --no-deps {' '.join(extra)}" if extra else ""
    return cell.source, canonical + more


def write(path: Path, old: str, new: str) -> None:
    """Put another install cell into a notebook; everything else stays."""
    notebook = chapters.read(path)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and cell.source == old)
    cell.source = new
    chapters.write(path, notebook)


def main(arguments: Sequence[str] | None = None, root: Path = chapters.ROOT) -> int:
    """Write or check; return 1 if a notebook is not up to date afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", type=Path, metavar="NOTEBOOK", help="notebooks or folders (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    canonical = colab.install_cell(chapters.config(root), chapters.version(root))
    chosen = [place.resolve() for place in options.places]
    faults = stale = 0
    for path in notebooks(root):
        if chosen and not {path.resolve(), path.resolve().parent} & {*chosen}:
            continue
        name, found = path.relative_to(root).as_posix(), renewed(path, canonical)
        if found is None:
            print(f"{name}: its first code cell is not an install cell; see python book/tools/colab.py --install-cell")
            faults += 1
        elif found[0] != found[1]:
            stale += 1
            print(f"{name}: {'not up to date' if options.check else 'written'}")
            if not options.check:
                write(path, *found)
    if options.check:
        return 1 if faults + stale else 0
    everywhere = [renewed(path, canonical) for path in notebooks(root)]
    if all(found is not None and found[0] == found[1] for found in everywhere):
        colab.FORMER.unlink(missing_ok=True)
    return 1 if faults else 0


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
