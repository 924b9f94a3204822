"""The package's rooms: imports point one way, none is a circle, and no file grows beyond what one can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gancourse"
ORDER = (
    ("errors",),
    ("console", "files"),
    ("locks", "runtime", "images", "losses", "logs", "theory", "layers"),
    ("networks", "penalties"),
    ("resnets",),
    ("datasets",),
    ("systems",),
    ("speed",),
    ("training",),
    ("bench", "hub"),
    ("metrics",),
    ("evaluation",),
    ("cards", "plots"),
    ("widgets",),
    ("checks",),
    ("grading",),
    ("cli",),
    ("__main__",),
)
"""From the ground floor up; a room may import rooms below it and itself."""
LONGEST = 680
LONG_FOLDER = PACKAGE / "checks" / "sets"


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    """Return the room of ``gancourse.x.y``: x."""
    return (module.split(".") + ["__init__"])[1]


def imported(path: Path) -> Iterator[str]:
    """Yield the package's modules that a file imports, within functions too; not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and "TYPE_CHECKING" in ast.unparse(node.test)
        and "not" not in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("gancourse."))
        elif isinstance(node, ast.ImportFrom) and node.module == "gancourse":
            yield from (f"gancourse.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gancourse."):
            yield str(node.module)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    floors = {name: floor for floor, names in enumerate(ORDER) for name in names}
    here = (*path.relative_to(PACKAGE).parts, "")[0].removesuffix(".py")
    if here == "__init__":
        assert not list(imported(path))
        return
    for module in imported(path):
        other = room(module)
        if other not in ("__version__", here):
            assert floors[other] < floors[here], f"{path.name} imports {module}, which stands above it or beside it"


@pytest.mark.parametrize("folder", [path.parent for path in PACKAGE.glob("*/__init__.py")], ids=lambda path: path.name)
def test_no_circle_within_a_room(folder: Path) -> None:
    """Import statements of a room's files, its ``__init__`` left out, which gathers names."""
    edges = {
        path.stem: {
            module.split(".")[2]
            for module in imported(path)
            if module.startswith(f"gancourse.{folder.name}.") and module.split(".")[2] != path.stem
        }
        for path in folder.glob("*.py")
        if path.name != "__init__.py"
    }
    while edges:
        free = [name for name, others in edges.items() if not others & edges.keys()]
        assert free, f"a circle among {', '.join(sorted(edges))}"
        for name in free:
            del edges[name]


def test_no_file_is_too_long_to_read() -> None:
    long = {
        path.name: lines
        for path in files()
        if LONG_FOLDER not in path.parents and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long


@pytest.mark.parametrize(("name", "most"), [("gan", 140), ("lsgan", 80)])
def test_a_paper_is_short(name: str, most: int) -> None:
    """Without recipes, and without networks that are the paper's alone."""
    text = (PACKAGE / "systems" / f"{name}.py").read_text(encoding="utf-8")
    head = min(text.index(mark) for mark in ("- recipes\n", "- the paper's networks\n") if mark in text)
    assert text[:head].count("\n") <= most


def test_nobody_asks_a_system_what_kind_it_is() -> None:
    for path in (PACKAGE / "cli.py", PACKAGE / "cards.py", PACKAGE / "evaluation.py", PACKAGE / "hub.py"):
        text = path.read_text(encoding="utf-8")
        assert "hasattr" not in text and "isinstance(system" not in text and "isinstance(trained" not in text
