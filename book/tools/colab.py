"""What chapters need to run on Colab: the link that opens them there, the install cell, and what Colab has.

python book/tools/colab.py --install-cell                       print the install cell
python book/tools/colab.py --badge notebooks/02_first_gan.ipynb  print the link
python book/tools/colab.py                                      check requirements and chapters against Colab
python book/tools/colab.py --resolve                            let pip resolve them with Colab's versions

Every address derives from ``_config.yml``. Colab's versions are the ones of ``tests/colab-versions-*.txt``.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import chapters
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

#: Colab's own builds; replacing one of them breaks the runtime.
UNTOUCHABLE = ("torch", "torchvision", "torchaudio", "numpy")

#: Packages that a trial installation does not download.
STAND_INS = ("torch", "torchvision", "ipywidgets")

#: The former install cell; notebooks may have it as long as this file is there.
FORMER = Path(__file__).with_name("former_install_cell.txt")

#: Names that are imported, where they differ from the distribution's name.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "mpl_toolkits": "matplotlib",
    "pylab": "matplotlib",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "google": "google-colab",
}

#: Names of ipywidgets that version 7.7, Colab's, does not have.
NEW_WIDGETS = {"TagsInput", "ColorsInput", "FloatsInput", "IntsInput", "Stack", "TimePicker"}
NEW_WIDGETS |= {"DatetimePicker", "NaiveDatetimePicker"}


# Addresses -------------------------------------------------------------------------------------------


def badge(config: Mapping[str, Any], notebook: str) -> str:
    """Return the Markdown link that opens a notebook on Colab.

    Args:
        config: the contents of ``_config.yml``.
        notebook: path inside the repository, such as ``notebooks/02_first_gan.ipynb``.
    """
    repository = config["repository"]
    address = repository["url"].rstrip("/").removesuffix(".git").replace("https://github.com/", "", 1)
    folder = str(repository.get("path_to_book") or "").strip("/")
    path = "/".join(part for part in (folder, notebook) if part)
    branch = repository.get("branch") or "main"
    return f"[Open in Colab](https://colab.research.google.com/github/{address}/blob/{branch}/{path})"


def wheel_url(config: Mapping[str, Any], version: str) -> str:
    """Return the address at which the site publishes the package's wheel."""
    return f"{config['html']['baseurl'].rstrip('/')}/_static/wheel/gancourse-{version}-py3-none-any.whl"


def install_cell(config: Mapping[str, Any], version: str) -> str:
    """Return the source of a notebook's install cell: a missing package decides, not the host.

    Where PyTorch is found, on Colab and Kaggle among others, nothing else is installed. Where it is missing, the cell
    prints the full command: hundreds of megabytes are for the reader to decide on.
    """
    wheel = wheel_url(config, version)
    return (
        "# Fetch the course's package where it is missing. PyTorch and NumPy stay as they are.\n"
        "from importlib.util import find_spec\n"
        "\n"
        'if find_spec("gancourse") is None and find_spec("torch") is None:\n'
        '    print("PyTorch is missing here. Run this in a cell, then this notebook again:")\n'
        f'    print("%pip install {wheel}")\n'
        'elif find_spec("gancourse") is None:\n'
        f"    %pip install -q --no-deps {wheel}"
    )


def former(canonical: str) -> str | None:
    """Return the install cell of version 0.2.0 with today's address, as long as its file, the switch, is there.

    ``book/tools/install_cells.py`` removes the file when no notebook has that cell any more.
    """
    if not FORMER.is_file():
        return None
    address = re.search(r"https?://\S+\.whl", canonical)
    return FORMER.read_text(encoding="utf-8").strip("\n").replace("{wheel}", address[0] if address else "")


def extra_packages(source: str, canonical: str) -> list[str] | None:
    """Return the packages that an install cell adds to the canonical text; None where it differs otherwise.

    One further line ``%pip install -q --no-deps NAME …`` is allowed, for what Colab lacks.
    """
    for text in filter(None, (canonical, former(canonical))):
        lines, expected = source.strip("\n").splitlines(), text.splitlines()
        if lines[: len(expected)] != expected or len(lines) > len(expected) + 1:
            continue
        if len(lines) == len(expected):
            return []
        match = re.fullmatch(r"    %pip install -q --no-deps ((?:[\w.\[\]=<>~!-]+ ?)+)", lines[-1])
        return match[1].split() if match else None
    return None


# Colab's packages ------------------------------------------------------------------------------------


def versions_file(root: Path = chapters.ROOT) -> Path:
    """Return the newest list of Colab's versions."""
    files = sorted((root / "tests").glob("colab-versions-*.txt"))
    if not files:
        raise SystemExit("tests/ has no colab-versions-YYYY-MM.txt; the Colab checks need one.")
    return files[-1]


def colab_python(path: Path) -> str:
    """Return Colab's Python version, from the first line of the list."""
    match = re.match(r"#.*\bPython (\d+\.\d+)", path.read_text(encoding="utf-8"))
    if match is None:
        raise SystemExit(f"{path.name} does not name Colab's Python in its first line, as in '# …, Python 3.13, …'.")
    return match[1]


def colab_versions(path: Path) -> dict[str, Version]:
    """Return distribution name (canonical) → version on Colab."""
    found: dict[str, Version] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, text = line.partition("==")
        if line.startswith("#") or not separator:
            continue
        try:
            found[canonicalize_name(name.strip())] = Version(text.strip())
        except InvalidVersion:
            continue
    return found


def requirement_problems(pyproject: str, versions: Mapping[str, Version], python: str) -> list[str]:
    """Return what in a ``pyproject.toml`` does not fit Colab, one sentence each.

    Every dependency of the package must be there in an admitted version, since it is installed with
    ``--no-deps``; an optional one must admit Colab's version where Colab has it. So must the Python version.
    """
    project = tomllib.loads(pyproject)["project"]
    problems = []
    wanted = project.get("requires-python", "")
    if not SpecifierSet(wanted).contains(python):
        problems.append(f"pyproject.toml, requires-python: {wanted!r} does not admit Colab's Python {python}")
    optional = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    for needed, lines in ((True, project.get("dependencies", [])), (False, optional)):
        for requirement in map(Requirement, lines):
            there = versions.get(canonicalize_name(requirement.name))
            if there is None:
                if needed:
                    problems.append(f"pyproject.toml, dependencies: Colab has no {requirement.name}")
            elif not requirement.specifier.contains(there, prereleases=True):
                problems.append(f"pyproject.toml: {str(requirement)!r} does not admit Colab's {there}")
    return problems


# Imports ---------------------------------------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level names that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def import_problems(notebook: NotebookNode, file: str, versions: Mapping[str, Version], canonical: str) -> list[str]:
    """Return a notebook's imports that neither Python, the course, Colab nor its install cell provides."""
    problems, extra = [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and chapters.is_install(cell.source):
            names = extra_packages(cell.source, canonical) or []
            extra |= {canonicalize_name(Requirement(name).name) for name in names}
    for index, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(chapters.python(cell.source))
        except SyntaxError as error:
            problems.append(f"{file}, cell {index}, rule import: the cell is not valid Python ({error.msg})")
            continue
        for name in sorted(set(imported(tree))):
            distribution = canonicalize_name(DISTRIBUTIONS.get(name, name))
            known = name in sys.stdlib_module_names or name in ("gancourse", "google")
            if not known and distribution not in versions and distribution not in extra:
                problems.append(
                    f"{file}, cell {index}, rule import: {name} is neither Python's own, nor on Colab "
                    f"({distribution}), nor in the install cell"
                )
    return problems


def package_problems(folder: Path, feature_version: tuple[int, int] = (3, 11)) -> list[str]:
    """Return what in the package's source needs a newer Python, or a newer ipywidgets than Colab's."""
    problems = []
    for path in sorted(folder.rglob("*.py")):
        file = path.relative_to(folder.parent).as_posix()
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=feature_version)
        except SyntaxError as error:
            problems.append(f"{file}, line {error.lineno}: needs a newer Python ({error.msg})")
            continue
        if "ipywidgets" in set(imported(tree)):
            problems += [f"{file}, line {line}: {what}" for line, what in _new_widgets(tree)]
    return problems


def _new_widgets(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in NEW_WIDGETS:
                yield node.lineno, f"{name} is not in ipywidgets 7.7, which Colab has"
        elif isinstance(node, ast.Call) and any(keyword.arg == "titles" for keyword in node.keywords):
            yield node.lineno, "the argument titles= is not in ipywidgets 7.7; call set_title instead"


# A trial installation --------------------------------------------------------------------------------


def stub_wheel(folder: Path, name: str, version: str, tag: str, requires: Iterable[str] = ()) -> Path:
    """Write a wheel for Pythons of `tag` that holds nothing but its metadata, and return its path."""
    folder_in = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    files = {
        "METADATA": "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires)]) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: stub\nRoot-Is-Purelib: true\nTag: " + tag + "\n",
    }
    record = "".join(f"{folder_in}/{file},,\n" for file in [*files, "RECORD"])
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in (files | {"RECORD": record}).items():
            wheel.writestr(f"{folder_in}/{file}", text)
    return path


def resolve(root: Path = chapters.ROOT, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Let pip resolve the package's dependencies with Colab's versions as constraints, and install nothing.

    Empty wheels of Colab's version stand in for what would only be downloaded for nothing: PyTorch (hundreds
    of megabytes) and ipywidgets (a whole notebook server). Everything else comes from the package index.

    Raises:
        subprocess.TimeoutExpired: the index answers too slowly.
    """
    listing = versions_file(root)
    versions, python = colab_versions(listing), colab_python(listing)
    tag = f"py{python.replace('.', '')}-none-any"  # preferred to the py3-none-any of the index
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in STAND_INS:
            stub_wheel(folder, name, str(versions[name]), tag)
        own = stub_wheel(folder, "gancourse", chapters.version(root), tag, project["dependencies"])
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15"]
        command += ["--python-version", python, "--only-binary", ":all:"]
        for year in ("2014", "_2_17", "_2_27", "_2_28", "_2_31", "_2_34"):
            command += ["--platform", f"manylinux{year}_x86_64"]
        command += ["--target", str(folder / "target"), "--find-links", str(folder)]
        command += ["--constraint", str(constraints), str(own)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


# Command ---------------------------------------------------------------------------------------------


def problems(root: Path = chapters.ROOT) -> list[str]:
    """Return everything in the repository that would fail on Colab."""
    listing = versions_file(root)
    versions, python = colab_versions(listing), colab_python(listing)
    canonical = install_cell(chapters.config(root), chapters.version(root))
    found = requirement_problems((root / "pyproject.toml").read_text(encoding="utf-8"), versions, python)
    found += package_problems(root / "gancourse")
    for path in chapters.chapters(root):
        found += import_problems(chapters.read(path), path.relative_to(root).as_posix(), versions, canonical)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install-cell", action="store_true", help="print the install cell of a chapter")
    parser.add_argument("--badge", metavar="NOTEBOOK", help="print the link that opens this notebook on Colab")
    parser.add_argument("--resolve", action="store_true", help="let pip resolve the package's dependencies")
    options = parser.parse_args()
    if options.resolve:
        done = resolve()
        print("Resolves with Colab's versions." if done.returncode == 0 else done.stderr.strip())
        return done.returncode
    if options.install_cell:
        print(install_cell(chapters.config(), chapters.version()))
    if options.badge:
        print(badge(chapters.config(), options.badge))
    if options.install_cell or options.badge:
        return 0
    found = problems()
    print("\n".join(found) or f"Fits Colab's versions of {versions_file().stem[-7:]}.")
    return 1 if found else 0


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
