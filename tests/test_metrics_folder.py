"""The folder of metrics: its names come without torch, and its imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import outputs
import pytest

from gancourse import metrics

FOLDER = Path(metrics.__file__).parent
SYSTEMS = FOLDER.parent / "systems"


def imported_from(path):
    """Return what a file imports, directly or through other modules of the package."""
    return outputs.modules([path.read_text(encoding="utf-8")])


def test_the_import_loads_no_torch():
    code = "import sys\nfrom gancourse import metrics\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "gancourse.metrics" in loaded and not {"torch", "numpy"} & set(loaded)


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_name_is_there(name):
    assert getattr(metrics, name) is not None and name in dir(metrics)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="'gancourse.metrics' has no attribute 'kidd'"):
        _ = metrics.kidd
    with pytest.raises(ImportError, match="kidd"):
        exec("from gancourse.metrics import kidd")


def test_the_names_for_mypy_are_those_of_the_table():
    tree = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    told = {node.module.removeprefix("gancourse.metrics."): {alias.name for alias in node.names} for node in imports}
    table = {module: set(names.split()) for module, names in metrics._MODULES.items()}
    assert {module: told[module] for module in table if table[module]} == {m: n for m, n in table.items() if n}
    assert set(metrics.__all__) == {"JUDGES"}.union(*table.values())
    assert set(table) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("module", metrics._MODULES)
def test_a_module_imports_earlier_ones_only(module):
    order = [f"gancourse.metrics.{name}" for name in metrics._MODULES]
    used = {name for name in imported_from(FOLDER / f"{module}.py") if name.startswith("gancourse.metrics")}
    assert used <= set(order[: order.index(f"gancourse.metrics.{module}")])


@pytest.mark.parametrize("path", sorted(SYSTEMS.glob("*.py")), ids=lambda path: path.stem)
def test_no_system_measures(path):
    assert not {name for name in imported_from(path) if name.startswith("gancourse.metrics")}


def test_a_chapter_that_imports_metrics_depends_on_all_of_them():
    found = outputs.modules(["from gancourse import metrics"])
    assert {f"gancourse.metrics.{name}" for name in metrics._MODULES} < found
    assert "gancourse.metrics.reports" in outputs.modules(["from gancourse.metrics import kid"])
