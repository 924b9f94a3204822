"""Execute chapters and store their outputs, with a record of what they came from.

    python book/tools/outputs.py                       every stale chapter
    python book/tools/outputs.py --only 02_first_gan   this chapter, stale or not
    python book/tools/outputs.py --check               only say which are stale, and why

A chapter is stale when it was never executed by this tool, when its code cells changed since, or when a
module of the package that it uses changed. Comments, docstrings and formatting of the package do not count;
neither does the install cell, which acts where the package is missing. A chapter runs in an empty temporary folder, as
on Colab. When a cell fails, the notebook on the disk stays as it was.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import chapters
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

PACKAGE = "gancourse"
PROFILES = ("smoke", "cpu", "gpu")
RECORD = ("profile", "device", "seconds", "code_hash", "cells", "modules")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}
PASSING_METADATA = (
    "execution",
    "ExecuteTime",
    "collapsed",
    "scrolled",
    "outputId",
    "colab",
    "papermill",
    "vscode",
)

_BAR = re.compile(r"\d+%\||\[\d+:\d+[<,]")  # tqdm: "12%|█ " with a total, "12it [00:03, " without


# Hashes ----------------------------------------------------------------------------------------------


def cell_hashes(notebook: NotebookNode) -> dict[int, str]:
    """Return cell number → hash for the code cells that are not empty, without the install cell."""
    return {
        number: _digest(cell.source.rstrip())
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code" and cell.source.strip() and not chapters.is_install(cell.source)
    }


def code_hash(notebook: NotebookNode) -> str:
    """Return one hash of all code cells."""
    return _digest(" ".join(cell_hashes(notebook).values()))


def module_hash(source: str) -> str:
    """Return the hash of what a module does: comments, docstrings and formatting leave it as it is.

    It is the same on every supported version of Python.
    """
    return _digest(_canonical(ast.parse(source)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(node: object) -> str:
    """Write a syntax tree as text. ``ast.dump`` would do, but its text differs between versions of Python."""
    if isinstance(node, list):
        return "[" + ",".join(map(_canonical, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if ast.get_docstring(node, clean=False) is not None:
            fields["body"] = node.body[1:]
    parts = [
        f"{name}={_canonical(value)}"
        for name, value in sorted(fields.items())
        if value is not None and value != [] and name not in ("ctx", "kind", "type_comment")
    ]
    return f"{type(node).__name__}({','.join(parts)})"


# Modules ---------------------------------------------------------------------------------------------


def module_file(name: str, root: Path) -> Path | None:
    """Return the source file of ``gancourse.a.b`` in the repository, or None where there is none."""
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def modules(sources: Iterable[str], root: Path = chapters.ROOT) -> set[str]:
    """Return the package's modules that some code imports, directly or through other modules.

    A package's ``__init__`` counts where a name is taken from it, not on the way to a module. So does what it imports
    for mypy only: a package that loads its modules when they are asked for names them there.
    The package's own ``__init__`` never counts: it holds the version, which changes no output.
    """
    found: set[str] = set()
    waiting = [name for source in sources for name in _imports(ast.parse(source), "", root)]
    while waiting:
        name = waiting.pop()
        path = module_file(name, root)
        if name in found or name == PACKAGE or path is None:
            continue
        found.add(name)
        folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imports(ast.parse(path.read_text(encoding="utf-8")), folder, root)
    return found


def _imports(tree: ast.AST, folder: str, root: Path) -> Iterator[str]:
    """Yield the modules of the package that a tree names; `folder` is the package it lies in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = folder.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            if base.split(".")[0] == PACKAGE:
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield full if module_file(full, root) else base


def module_hashes(names: Iterable[str], root: Path = chapters.ROOT) -> dict[str, str]:
    """Return module → hash for the modules that exist."""
    files = {name: module_file(name, root) for name in sorted(names)}
    return {name: module_hash(path.read_text(encoding="utf-8")) for name, path in files.items() if path}


# Freshness -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Freshness:
    """Whether stored outputs still belong to the code.

    Attributes:
        fault: why the outputs do not belong to the code cells, in words; empty when they do.
        changed: the modules that changed since the chapter was executed.
        cell: the first cell that changed; 0 where the fault is not in one cell.
    """

    fault: str
    changed: tuple[str, ...] = ()
    cell: int = 0

    @property
    def reason(self) -> str:
        """Why the chapter should be executed again, in words; empty when it need not."""
        return self.fault or (f"changed since: {', '.join(self.changed)}" if self.changed else "")


def freshness(notebook: NotebookNode, root: Path = chapters.ROOT) -> Freshness:
    """Compare a notebook's record with its code cells and with the package's sources."""
    record = notebook.metadata.get(PACKAGE, {})
    if any(key not in record for key in RECORD):
        return Freshness("it was never executed by `make outputs`")
    if record["code_hash"] != code_hash(notebook):
        pairs = zip_longest(cell_hashes(notebook).items(), record["cells"])
        cell = next((now[0] if now else 0 for now, old in pairs if not now or now[1] != old), 0)
        return Freshness("its code changed after its outputs were made; run `make outputs`", cell=cell)
    now = module_hashes(record["modules"], root)
    return Freshness("", tuple(name for name, old in record["modules"].items() if now.get(name) != old))


# Cleaning --------------------------------------------------------------------------------------------


def clean(notebook: NotebookNode) -> None:
    """Remove from a notebook, in place, what differs between two runs or would litter the page."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = dict(LANGUAGE)
    for cell in notebook.cells:
        for key in PASSING_METADATA:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            kept = () if chapters.is_live(cell) else cell.outputs  # on a page a slider is dead: the still cell shows it
            cell.outputs = _merge(output for output in kept if not _is_litter(output))


def _is_litter(output: NotebookNode) -> bool:
    if output.output_type == "stream" and output.name == "stderr":
        output.text = "\n".join(
            line for line in re.split(r"[\r\n]+", output.text) if line.strip() and not _BAR.search(line)
        )
        return not output.text
    if output.output_type == "stream":
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        return not output.text
    data = output.get("data", {})
    return WIDGET_VIEW in data and bool(_BAR.search("".join(data.get("text/plain", ""))))


def _merge(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where they break is a matter of timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if output.output_type == "stream" and last and last.get("name") == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


# Execution -------------------------------------------------------------------------------------------


class ChapterFailed(Exception):
    """A cell of a chapter raised, ran out of time or killed the kernel; the text says which and how."""


_PROBE = f"""
import json as _json, sys as _sys
_names = sorted(name for name in _sys.modules if name.split(".")[0] == "{PACKAGE}")
_runtime = _sys.modules.get("{PACKAGE}.runtime")
_device = _runtime.describe_device(_runtime.device()) if _runtime else "CPU"
_profile = _runtime.profile() if _runtime else ""
print(_json.dumps({{"modules": _names, "device": _device, "profile": _profile}}))
"""


def execute(
    path: Path, profile: str | None = None, timeout: float | None = None, root: Path = chapters.ROOT
) -> NotebookNode:
    """Execute a chapter in a fresh kernel of this interpreter and return it with outputs and record.

    Args:
        path: the notebook; the file is only read.
        profile: smoke, cpu or gpu; None takes ``GANCOURSE_PROFILE``, else cpu.
        timeout: seconds that one cell may take; None sets no limit.
        root: the repository, whose package the chapter imports.

    Raises:
        ChapterFailed: a cell failed.
    """
    profile = profile or os.environ.get("GANCOURSE_PROFILE") or "cpu"
    notebook = chapters.read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    run = copy.deepcopy(notebook)
    run.cells.append(new_code_cell(_PROBE))
    seconds = _run(run, path, profile, timeout, root)
    printed = "".join(output.text for output in run.cells.pop().outputs if output.get("name") == "stdout")
    probe = json.loads(printed.split("\n")[0])  # a kernel may send one line in several pieces
    clean(run)
    _record(run, probe, profile, seconds, root)
    return run


def _run(notebook: NotebookNode, path: Path, profile: str, timeout: float | None, root: Path) -> float:
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    class ThisInterpreter(KernelSpecManager):
        """Whatever kernels this user has installed, the chapter runs in this interpreter."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
            return KernelSpec(argv=argv, **{key: KERNELSPEC[key] for key in ("display_name", "language")})

    environment = os.environ | {
        "GANCOURSE_PROFILE": profile,
        "GANCOURSE_PROGRESS": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    environment.pop("MPLBACKEND", None)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisInterpreter())
    at = 0

    def note(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index

    with tempfile.TemporaryDirectory(prefix=f"{path.stem}-") as folder:
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            resources={"metadata": {"path": folder}},
            record_timing=False,
            on_cell_start=note,
        )
        start = time.monotonic()
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise ChapterFailed(_failure(notebook.cells[at], at + 1, path, error)) from None
        return time.monotonic() - start


def _failure(cell: NotebookNode, number: int, path: Path, error: Exception) -> str:
    """Return which cell failed, its first line and the end of its traceback."""
    raised = next((output for output in cell.outputs if output.output_type == "error"), None)
    text = "\n".join(raised.traceback) if raised else str(error)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).strip().splitlines()
    tail = "\n".join(f"    {line}" for line in lines[-12:])
    return f"{path.name}, cell {number} ({chapters.first_line(cell)}) failed:\n{tail}"


def _record(notebook: NotebookNode, probe: dict[str, Any], profile: str, seconds: float, root: Path) -> None:
    """Write into the metadata what the outputs came from.

    The modules are those that the cells import, directly or not, and those that the run loaded by name.
    """
    sources = [chapters.python(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    loaded = {name for name in probe["modules"] if (module_file(name, root) or Path()).name != "__init__.py"}
    record = notebook.metadata.setdefault(PACKAGE, NotebookNode())
    record["profile"] = probe["profile"] or profile
    record["device"] = probe["device"]
    record["seconds"] = round(seconds)
    record["code_hash"] = code_hash(notebook)
    record["cells"] = list(cell_hashes(notebook).values())
    record["modules"] = module_hashes(modules(sources, root) | loaded, root)


# Command ---------------------------------------------------------------------------------------------


def refresh(path: Path, profile: str | None, timeout: float | None, root: Path = chapters.ROOT) -> bool:
    """Execute one chapter and write it; return whether that worked. A failure leaves the file untouched."""
    print(f"{path.stem}: executing …", flush=True)
    try:
        notebook = execute(path, profile, timeout, root)
    except ChapterFailed as error:
        print(f"{error}\n{path.stem}: left as it was", file=sys.stderr, flush=True)
        return False
    chapters.write(path, notebook)
    record = notebook.metadata[PACKAGE]
    size = path.stat().st_size / 1e6
    print(
        f"{path.stem}: stored, {size:.2f} MB, {record['seconds']} s, profile {record['profile']}, {record['device']}",
        flush=True,
    )
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, help="default: GANCOURSE_PROFILE, else cpu")
    parser.add_argument("--all", action="store_true", help="every chapter, stale or not")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this chapter, stale or not")
    parser.add_argument("--check", action="store_true", help="execute nothing; status 1 if a chapter is stale")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="limit for one cell (default: none)")
    options = parser.parse_args(arguments)
    paths = chapters.chosen(options.only)
    reasons = {path: freshness(chapters.read(path)).reason for path in paths}
    if options.check:
        for path, reason in reasons.items():
            print(f"{path.stem}: {reason or 'fresh'}")
        return 1 if any(reasons.values()) else 0
    due = [path for path in paths if options.all or options.only or reasons[path]]
    if not due:
        print("Every chapter is fresh.")
    return 0 if all([refresh(path, options.profile, options.timeout) for path in due]) else 1


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
