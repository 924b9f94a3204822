"""The maintainer's tools on small made-up notebooks: each fault is found, named by file, cell and rule."""

import ast
import copy
import json
import os
import re
import subprocess
import sys

import chapters
import colab
import contract
import install_cells
import nbformat
import outputs
import prose
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.version import Version

CONFIG = {
    "repository": {"url": "https://github.com/someone/elsewhere", "branch": "main"},
    "html": {"baseurl": "https://someone.github.io/elsewhere/"},
}
NAME = "02_made_up"
PNG = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"}
ALT = {"mystnb": {"image": {"alt": "Two curves that cross in the middle of the picture"}}}

RUNTIME = '''"""A stand-in that needs no torch."""
import os
from gancourse import errors


def profile():
    return os.environ["GANCOURSE_PROFILE"]


def device():
    return "cpu"


def describe_device(where):
    return "CPU (1 thread)"


def banner():
    return "device " + describe_device(device())
'''


@pytest.fixture
def root(tmp_path):
    """A small repository: configuration, a package that needs no torch, and a folder for chapters."""
    (tmp_path / "_config.yml").write_text(json.dumps(CONFIG))
    (tmp_path / "notebooks" / "exercises").mkdir(parents=True)
    package = tmp_path / "gancourse"
    (package / "systems").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.9.0"\n')
    (package / "runtime.py").write_text(RUNTIME)
    (package / "errors.py").write_text("def nearest():\n    return 1\n")
    (package / "systems" / "__init__.py").write_text(
        "import importlib\n\ndef recipe(name):\n    return importlib.import_module(f'gancourse.systems.{name}')\n"
    )
    (package / "systems" / "gan.py").write_text("from ..errors import nearest\nk = 1\n")
    return tmp_path


def executed(source, count, *, tags=(), metadata=None, results=()):
    cell = new_code_cell(source, execution_count=count, outputs=list(results))
    cell.metadata.update(copy.deepcopy(metadata or {}))
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def text(source, *tags):
    cell = new_markdown_cell(source)
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def good(kind="system"):
    """A notebook that keeps the contract."""
    link = colab.badge(CONFIG, f"notebooks/{NAME}.ipynb")
    lines = "\n".join(f"value_{k} = {k}  # a line" for k in range(150))
    shown = new_output("display_data", data=PNG)
    cells = [
        text(
            f"# Made up\n\n{link}\n\n**Question.** What does a contract ask for?\n\n**Objectives.** You can\n"
            "- read it\n- keep it\n\n**Prerequisites.** None.\n\n"
            "**Time and hardware.** 3 minutes on two cores, 1.5 minutes on a T4."
        ),
        executed(colab.install_cell(CONFIG, "0.9.0"), 1),
        executed(
            "from gancourse import runtime\nprint(runtime.banner())",
            2,
            results=[new_output("stream", name="stdout", text="device CPU\n")],
        ),
        text("## Idea\n\n" + "A word and another word stand here. " * 300),
        text("The value of a game:\n\n$$ V = D + G \\tag{2.2} $$", "definition"),
        text("An intermediate step:\n\n$$\na \\\\ b\n$$", "derivation-step"),
        text("The result, by equation (2.2):\n\n$$\n1 + 1 = \\begin{cases} 2 \\cr 2 \\end{cases} \\tag{2.1}\n$$"),
        executed("assert 1 + 1 == 2", 3, tags=["checks-2.1"]),
        text("> **Prediction.** The next cell prints 4."),
        executed("print(2 + 2)", 4, results=[new_output("stream", name="stdout", text="4\n")]),
        text("## A real training run: on nothing\n\nWatch it."),
        executed("def train():\n    pass\n\ntrain()", 5, metadata=ALT, results=[shown]),
        text("## What goes wrong\n\nMuch."),
        executed(lines, 6),
        text("## What the papers and tutorials disagree on\n\n[They](https://example.org/paper) do."),
        text("## Summary\n\n- a\n- b\n- c\n- d\n- e"),
        text("## References\n\n- [One](https://example.org/one)\n- Two, [here](https://example.org/two)"),
        text("## Exercises\n\nThey come with the next part. See [the package](../gancourse/runtime.py)."),
    ]
    notebook = new_notebook(cells=cells)
    notebook.metadata["gancourse"] = {
        "kind": kind,
        "title": "Made up",
        "minutes": {"cpu": 3, "gpu": 1.5},
        "profile": "cpu",
    }
    return notebook


def violations(root, notebook):
    path = root / "notebooks" / f"{NAME}.ipynb"
    nbformat.write(notebook, path)
    return contract.check(contract.Chapter(path, root))


def at(notebook, start):
    """Return the first cell that starts with these words."""
    return next(cell for cell in notebook.cells if cell.source.startswith(start))


def test_a_good_chapter_passes(root):
    assert violations(root, good()) == []
    theory = good("theory")
    del theory.cells[10:15]
    theory.cells.insert(10, executed("\n".join(f"v{k} = {k}" for k in range(150)), 5))
    assert violations(root, theory) == []


def test_a_violation_names_file_cell_and_rule(root):
    notebook = good()
    del at(notebook, "def train").metadata["mystnb"]
    (fault,) = violations(root, notebook)
    assert str(fault).startswith(f"notebooks/{NAME}.ipynb, cell 12, rule figure: ")
    assert "alt text" in str(fault)


# Each fault: how the good chapter is spoilt, the rule that must name it, the cell, and words of the message.
def replaced(start, old, new):
    def spoil(notebook):
        cell = at(notebook, start)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return spoil


def tagged(start, *tags):
    def spoil(notebook):
        at(notebook, start).metadata["tags"] = list(tags)

    return spoil


def recorded(**changes):
    def spoil(notebook):
        notebook.metadata["gancourse"].update(changes)

    return spoil


def dropped(start):
    def spoil(notebook):
        notebook.cells.remove(at(notebook, start))

    return spoil


def shows(start, *results):
    def spoil(notebook):
        at(notebook, start).outputs = list(results)

    return spoil


def described(value):
    def spoil(notebook):
        at(notebook, "def train").metadata["mystnb"] = {"image": {"alt": value}}

    return spoil


def counted(start, count):
    def spoil(notebook):
        at(notebook, start).execution_count = count

    return spoil


def attached(source, *tags):
    def spoil(notebook):
        notebook.cells.insert(4, text(source, *tags))

    return spoil


def attached_code(source, *tags):
    def spoil(notebook):
        notebook.cells.insert(4, executed(source, 1, tags=list(tags)))

    return spoil


def html(source):
    return new_output("display_data", data={"text/html": source, "text/plain": "<HTML object>"})


def printed(words, name="stdout"):
    return new_output("stream", name=name, text=words)


def sliders(notebook):
    """Put many lines of sliders, with words before them, after the figure."""
    place = notebook.cells.index(at(notebook, "def train"))
    for cell in notebook.cells[place + 1 :]:
        if cell.cell_type == "code":
            cell.execution_count += 1
    code = "widgets.live('x')\n" + "x = 1\n" * 400
    count = notebook.cells[place].execution_count + 1
    notebook.cells[place + 1 : place + 1] = [text("Move it."), executed(code, count, tags=["widget-live"])]


SLIDER = new_output("display_data", data={outputs.WIDGET_VIEW: {"model_id": "a"}, "text/plain": "interactive()"})
ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])

FAULTS = {
    "kind": (recorded(kind="story"), "metadata", "", "kind"),
    "no minutes": (recorded(minutes=3), "metadata", "", "minutes"),
    "too slow": (recorded(minutes={"cpu": 3, "gpu": 60}), "metadata", "", "the limit is 15"),
    "smoke outputs": (recorded(profile="smoke"), "metadata", "", "'smoke'"),
    "no title": (replaced("# Made", "# Made up", "Made up"), "opening", "cell 1", "H1"),
    "other title": (recorded(title="Other"), "opening", "cell 1", "'Other'"),
    "no link": (replaced("# Made", "someone", "nobody"), "opening", "cell 1", "Open in Colab"),
    "no question": (replaced("# Made", "**Question.** ", ""), "opening", "cell 1", "**Question.**"),
    "no question mark": (replaced("# Made", "?", "."), "opening", "cell 1", "question mark"),
    "long question": (replaced("# Made", "for?\n", "for?\n\nMuch.\n"), "opening", "cell 1", "one paragraph"),
    "one objective": (replaced("# Made", "- read it\n", ""), "opening", "cell 1", "objectives"),
    "other minutes": (replaced("# Made", "1.5 minutes", "11.5 minutes"), "opening", "cell 1", "1.5"),
    "second H1": (attached("# Another"), "opening", "cell 5", "second H1"),
    "jump of levels": (attached("#### Deep"), "headings", "cell 5", "level"),
    "install cell": (replaced("# Fetch", "--no-deps ", ""), "install", "cell 2", "--install-cell"),
    "second pip": (
        replaced("print(2", "print", "!pip install x\nprint"),
        "install",
        "cell 10",
        "only the first",
    ),
    "no banner": (replaced("from ganc", "runtime.banner()", "1"), "setup", "cell 3", "banner"),
    "two banners": (replaced("print(2", "2 + 2", "runtime.banner()"), "setup", "cell 3", "10"),
    "untagged result": (attached("$$ x = y $$"), "equation", "cell 5", "no \\tag"),
    "unchecked result": (tagged("assert", "other"), "equation", "cell 7", "checks-2.1"),
    "check of nothing": (tagged("assert", "checks-2.1", "checks-2.9"), "equation", "cell 8", "2.9"),
    "empty check": (
        replaced("assert", "assert 1 + 1 == 2", "1 + 1"),
        "equation",
        "cell 8",
        "asserts nothing",
    ),
    "number of another chapter": (replaced("The value", "2.2", "3.2"), "equation", "cell 5", "2.M"),
    "number used twice": (replaced("The value", "2.2", "2.1"), "equation", "cell 7", "twice"),
    "line break in numbered math": (replaced("The result", "\\cr", "\\\\"), "equation", "cell 7", "\\cr"),
    "math in a line": (attached("It is $$ x $$ here."), "equation", "cell 5", "lines of its own"),
    "bare environment": (attached("\\begin{align}x\\end{align}"), "equation", "cell 5", "\\begin{align}"),
    "blank line in math": (attached("$$\nx\n\ny\n$$", "definition"), "equation", "cell 5", "blank line"),
    "equation that is not there": (attached("By equation (2.7), it is."), "equation", "cell 5", "(2.7)"),
    "no prediction": (replaced("> **Pred", "Prediction", "Claim"), "prediction", "", "Prediction"),
    "prediction untested": (dropped("print(2"), "prediction", "cell 9", "code"),
    "no section": (replaced("## What goes", "What goes wrong", "Odds"), "section", "", "What goes wrong"),
    "sections out of order": (lambda n: n.cells.append(n.cells.pop(15)), "section", "", "order"),
    "six lines": (replaced("## Summary", "- e", "- e\n- f"), "section", "cell 16", "has 6"),
    "reference without link": (
        replaced("## Ref", "[here](https://example.org/two)", "there"),
        "section",
        "cell 17",
        "entry 2",
    ),
    "no source": (replaced("## What the", "(https://example.org/paper)", ""), "section", "cell 15", "source"),
    "no training": (replaced("def train", "\ntrain()", "\n"), "section", "cell 11", "train"),
    "mistakes not shown": (lambda n: n.cells.insert(12, n.cells.pop(13)), "section", "cell 14", "shown"),
    "short alt text": (described("A plot"), "figure", "cell 12", "6 characters"),
    "blank alt text": (described("  "), "figure", "cell 12", "alt text"),
    "two figures": (
        shows("def train", new_output("display_data", data=PNG), new_output("display_data", data=PNG)),
        "figure",
        "cell 12",
        "one figure",
    ),
    "img without alt": (shows("print(2", html("<img src='data:,'>")), "figure", "cell 10", "<img>"),
    "svg without title": (shows("print(2", html("<svg><path/></svg>")), "figure", "cell 10", "<svg>"),
    "script of another host": (
        shows("print(2", html("<script src='https://cdn.example.org/x.js'></script>")),
        "figure",
        "cell 10",
        "another host",
    ),
    "sliders untagged": (attached_code("widgets.live('x')"), "slider", "cell 5", "not tagged"),
    "sliders without a still picture": (
        attached_code("widgets.live('x')", "widget-live"),
        "slider",
        "cell 5",
        "no still picture",
    ),
    "sliders stored": (
        lambda n: (sliders(n), at(n, "widgets.live").outputs.append(printed("x"))),
        "slider",
        "cell 14",
        "stores an output",
    ),
    "tagged without sliders": (attached_code("1 + 1", "widget-live"), "slider", "cell 5", "does not call"),
    "few words": (
        replaced("## Idea", "A word and another word stand here. " * 300, "."),
        "size",
        "",
        "words",
    ),
    "few lines": (replaced("value_0", "value_", "# value_"), "size", "", "lines of code"),
    "too heavy": (shows("print(2", printed("x" * 3_000_000)), "size", "", "3 MB"),
    "long code": (replaced("print(2", "2 + 2", "2 + 2" + " " * 66 + "+ 0 + 0"), "width", "cell 10", "85 columns"),
    "long print": (shows("print(2", printed("=" * 85 + "\n")), "width", "cell 10", "print of 85 columns"),
    "long value": (
        shows("print(2", new_output("execute_result", data={"text/plain": "9" * 85})),
        "width",
        "cell 10",
        "print of 85 columns",
    ),
    "directive": (attached("```{note}\nBoo\n```"), "markdown", "cell 5", "{note}"),
    "colon fence": (attached(":::\nBoo\n:::"), "markdown", "cell 5", ":::"),
    "role": (attached("See {ref}`there`."), "markdown", "cell 5", "{ref}"),
    "target": (attached("(there)=\n## There"), "markdown", "cell 5", "(there)="),
    "dead link": (attached("See [it](01_none.ipynb)."), "markdown", "cell 5", "01_none.ipynb"),
    "dead link in HTML": (attached("<a href='gone.md'>it</a>"), "markdown", "cell 5", "gone.md"),
    "link out of the repository": (attached("[it](../../x)"), "markdown", "cell 5", "../../x"),
    "image without alt": (attached("![](../gancourse/runtime.py)"), "markdown", "cell 5", "alt text"),
    "image of another host": (
        attached("![An](https://example.org/a.png)"),
        "markdown",
        "cell 5",
        "not a file",
    ),
    "never executed": (counted("print(2", None), "output", "cell 10", "never executed"),
    "executed out of order": (counted("print(2", 9), "output", "", "top to bottom"),
    "error": (shows("print(2", ERROR), "output", "cell 10", "ValueError"),
    "stderr": (shows("print(2", printed("UserWarning: no\n", "stderr")), "output", "cell 10", "UserWarning"),
    "path": (shows("print(2", printed("saved /home/ann/x.pt\n")), "output", "cell 10", "/home/ann"),
    "object address": (
        shows("print(2", printed("<a.B object at 0x7f2b3c4d5e6f>")),
        "output",
        "cell 10",
        "0x7f",
    ),
    "live widget": (shows("print(2", SLIDER), "output", "cell 10", "widget"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(root, fault):
    spoil, rule, place, words = FAULTS[fault]
    notebook = good()
    spoil(notebook)
    found = violations(root, notebook)
    assert any(v.rule == rule and v.place == place and words in v.what for v in found), list(map(str, found))


@pytest.mark.parametrize(
    "harmless",
    [
        attached("Plain `{x}` and `{ref}` and `$$` in code, $\\begin{pmatrix} 1 \\end{pmatrix}$ in a line."),
        attached("```python\nx = '$$'  # ::: {note} [a](b)\n```"),
        attached("[Mail](mailto:a@example.org), [place](#idea), [web](https://example.org/a/../b)."),
        shows("print(2", html("<div role='group' aria-label='Digits'><img src='data:,'><canvas></canvas></div>")),
        shows("print(2", html("<svg><title>A curve</title></svg><a href='https://example.org'>x</a>")),
        shows("print(2", printed("https://example.org/home/x and runs/tmp/x and </home/x>\n")),
        shows("print(2", printed("\x1b[31m" + "=" * 84 + "\x1b[0m   \n")),
        shows("print(2", html("<p>" + "a word " * 30 + "</p>")),
        shows("print(2", html("<img alt='dots' src='data:image/png;base64,AA/tmp/AA0x7fffffff'>")),
        sliders,
    ],
)
def test_what_is_allowed_passes(root, harmless):
    notebook = good()
    harmless(notebook)
    assert list(map(str, violations(root, notebook))) == []


def test_an_exercise_set_must_be_linked(root):
    (root / "notebooks" / "exercises" / f"{NAME}.ipynb").write_text("{}")
    (fault,) = violations(root, good())
    assert fault.rule == "section" and "exercises/" in fault.what


def test_extra_packages_may_be_installed_but_not_torch(root):
    notebook = good()
    notebook.cells[1].source += "\n    %pip install -q --no-deps torchmetrics>=1 prdc"
    assert violations(root, notebook) == []
    notebook.cells[1].source += " torch==2.0"
    (fault,) = violations(root, notebook)
    assert fault.place == "cell 2" and "torch==2.0" in fault.what


def test_words_and_lines_are_counted_without_code_and_math():
    read = prose.Prose(
        "# Two words\n\nOne `code`, $x y z$, <b>two</b> and https://a.b/c d.\n\n$$ no $$\n\n    code here\n"
    )
    assert read.words == 6


def test_pages(root):
    page = root / "book" / "page.md"
    page.parent.mkdir()
    page.write_text(
        "# Page\n\n[a](gone.md) [b](../_config.yml) [c](page) ![](../_config.yml)\n\n"
        "```{figure} no.png\n:alt: A curve\n```\n\n::::{grid}\n:::{card} Title\n[d](lost.md)\n:::\n::::\n"
    )
    found = list(map(str, contract.check_page(page, root)))
    assert [line.split(" rule ")[0] for line in found] == [
        "book/page.md, line 3,",
        "book/page.md, line 11,",
        "book/page.md, line 3,",
        "book/page.md, line 5,",
    ], found
    assert "gone.md" in found[0] and "lost.md" in found[1] and "no alt text" in found[2] and "no.png" in found[3]


# Hashes and freshness --------------------------------------------------------------------------------


def test_module_hash_ignores_words_and_formatting():
    one = 'def f(a, b=1):\n    """Doc."""\n    # why\n    return {"x": (a), "y": f"{b:.2f}"}\n'
    two = "def f(\n    a,\n    b=1,\n):\n    return {'x': a, 'y': f'{b:.2f}',}\n"
    assert outputs.module_hash(one) == outputs.module_hash(two)
    for other in ("b=2", "return {'x': a", "y': f'{b:.3f}'"):
        changed = two.replace("b=1", other) if other == "b=2" else two.replace(".2f", ".3f")
        assert outputs.module_hash(changed) != outputs.module_hash(one)


def test_module_hash_is_the_same_on_every_python():
    source = (
        "from a import (b as c)\nclass A(B, k=1):\n    x: int = 1\n"
        "    async def f(self, *a, k: int = 1, **b):\n"
        "        return f'{a!r:>{k}} {k:.2f}' 'end' if a else [*b, -1, 2.50, b'x', None, ...]\n"
        "match x:\n    case {'a': 1, **rest} if rest: pass\ntry: pass\nexcept* E as e: raise\n"
    )
    assert outputs.module_hash(source) == "5b734841c1ed90c7"


def test_modules_are_found_transitively(root):
    assert outputs.modules(["from gancourse import runtime"], root) == {
        "gancourse.runtime",
        "gancourse.errors",
    }
    assert outputs.modules(["import gancourse.systems.gan as g"], root) == {
        "gancourse.systems.gan",
        "gancourse.errors",
    }
    assert outputs.modules(["from gancourse.systems import recipe"], root) == {"gancourse.systems"}
    assert outputs.modules(["from gancourse import __version__; import torch"], root) == set()


def test_modules_behind_a_package_that_gathers_names_are_found(root):
    folder = root / "gancourse" / "plots"
    folder.mkdir()
    (folder / "__init__.py").write_text("from gancourse.plots.curves import curves\nfrom .sheets import sheet\n")
    (folder / "curves.py").write_text("from gancourse.plots import style\ndef curves(): ...\n")
    (folder / "sheets.py").write_text("from gancourse.plots.style import INK\ndef sheet(): ...\n")
    (folder / "style.py").write_text("from ..errors import nearest\nINK = 1\n")
    parts = {f"gancourse.plots.{name}" for name in ("curves", "sheets", "style")}
    assert outputs.modules(["from gancourse import plots"], root) == {"gancourse.plots", "gancourse.errors", *parts}
    real = {f"gancourse.plots.{path.stem}" for path in chapters.ROOT.glob("gancourse/plots/[a-z]*.py")}
    assert len(real) >= 4 and real < outputs.modules(["from gancourse import plots"])


LAZY = """
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancourse.measures.{module} import report
__all__ = ["report"]
HOME = {{"report": "{module}"}}

def __getattr__(name):
    return getattr(import_module(f"{{__name__}}.{{HOME[name]}}"), name)
"""


@pytest.mark.parametrize("source", ["from gancourse import measures", "from gancourse.measures import report"])
def test_a_folder_that_loads_its_modules_by_a_table_is_followed(root, source):
    folder = root / "gancourse" / "measures"
    folder.mkdir()
    (folder / "__init__.py").write_text(LAZY.format(module="reports"))
    (folder / "reports.py").write_text("from .parts import part\ndef report():\n    return part\n")
    (folder / "parts.py").write_text("part = 1\n")
    names = {f"gancourse.{name}" for name in ("measures", "measures.reports", "measures.parts")}
    assert outputs.modules([source], root) == names
    assert outputs.modules(["from gancourse.measures import parts"], root) == {"gancourse.measures.parts"}

    notebook = new_notebook(cells=[new_code_cell(source)])
    outputs._record(notebook, {"modules": [], "device": "CPU", "profile": "cpu"}, "cpu", 3.2, root)
    assert not outputs.freshness(notebook, root).reason
    for name, text in (("reports", "def report():\n    return 2\n"), ("parts", "part = 2\n")):
        before = (folder / f"{name}.py").read_text()
        (folder / f"{name}.py").write_text(text)
        assert outputs.freshness(notebook, root).changed == (f"gancourse.measures.{name}",)
        (folder / f"{name}.py").write_text(before)


def test_freshness(root):
    notebook = good()
    assert "never" in outputs.freshness(notebook, root).fault
    outputs._record(notebook, {"modules": [], "device": "CPU", "profile": "cpu"}, "cpu", 3.2, root)
    assert outputs.freshness(notebook, root) == outputs.Freshness("")

    changed = copy.deepcopy(notebook)
    at(changed, "print(2").source = "print(5)"
    assert outputs.freshness(changed, root).cell == 10 and outputs.freshness(changed, root).fault
    shorter = copy.deepcopy(notebook)
    shorter.cells.remove(at(shorter, "value_0"))
    assert outputs.freshness(shorter, root).fault
    prose_only = copy.deepcopy(notebook)
    prose_only.cells.insert(3, text("More words."))
    prose_only.cells[1].source += "\n    %pip install -q --no-deps torchmetrics"
    assert not outputs.freshness(prose_only, root).reason

    errors = root / "gancourse" / "errors.py"
    errors.write_text("# a comment\n" + errors.read_text())
    assert not outputs.freshness(notebook, root).reason
    errors.write_text("def nearest():\n    return 2\n")
    assert outputs.freshness(notebook, root).changed == ("gancourse.errors",)
    errors.unlink()
    assert outputs.freshness(notebook, root).changed == ("gancourse.errors",)


def test_clean_strips_bars_and_widgets_but_keeps_warnings():
    bar = "\r  0%|          | 0/10 [00:00<?, ?it/s]\r 50%|█████     | 5/10 [00:01<00:01, 4.9it/s]\n"
    widget = {outputs.WIDGET_VIEW: {"model_id": "x"}, "text/plain": "  0%|          | 0/3 [00:00<?, ?it/s]"}
    results = [
        printed(bar, "stderr"),
        printed(bar + "UserWarning: mind\n", "stderr"),
        printed("step 1\rstep 2\nend"),
        printed("ing\n"),
        new_output("display_data", data=widget),
        copy.deepcopy(SLIDER),
    ]
    notebook = new_notebook(cells=[executed("1", 1, metadata={"execution": {}}, results=copy.deepcopy(results))])
    live = [copy.deepcopy(SLIDER), new_output("display_data", data={"text/html": "<img>"}), printed("words")]
    notebook.cells.append(executed("2", 2, tags=["widget-live"], results=live))
    notebook.metadata["widgets"] = {"state": {}}
    outputs.clean(notebook)
    first, second = notebook.cells
    assert [o.get("text", "") for o in first.outputs] == ["UserWarning: mind", "step 2\nending\n", ""]
    assert second.outputs == [] and "widgets" not in notebook.metadata and not first.metadata
    again = copy.deepcopy(notebook)
    outputs.clean(again)
    assert again == notebook


# Execution -------------------------------------------------------------------------------------------


def test_a_chapter_is_executed_in_an_empty_folder_and_recorded(root):
    path = root / "notebooks" / f"{NAME}.ipynb"
    source = (
        "import os\nfrom gancourse import runtime, systems\nsystems.recipe('gan')\n"
        "print(os.listdir(), runtime.profile(), os.environ['GANCOURSE_PROGRESS'])"
    )
    nbformat.write(new_notebook(cells=[text("# T"), new_code_cell(source), new_code_cell("1 + 1")]), path)
    assert outputs.refresh(path, "cpu", 60, root)
    notebook = chapters.read(path)
    assert notebook.cells[1].outputs[0].text == "[] cpu 0\n"
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2] and len(notebook.cells) == 3
    record = notebook.metadata["gancourse"]
    assert (record["profile"], record["device"]) == ("cpu", "CPU (1 thread)")
    assert set(record["modules"]) == {f"gancourse.{n}" for n in ("runtime", "errors", "systems", "systems.gan")}
    assert not outputs.freshness(notebook, root).reason


def test_a_failing_cell_is_named_and_leaves_the_file(root, capsys):
    path = root / "notebooks" / f"{NAME}.ipynb"
    nbformat.write(new_notebook(cells=[text("# T"), new_code_cell("x = 1\n1 / 0"), new_code_cell("2")]), path)
    before = path.read_bytes()
    assert not outputs.refresh(path, "cpu", 60, root)
    errors = capsys.readouterr().err
    assert f"{NAME}.ipynb, cell 2 (x = 1) failed" in errors and "ZeroDivisionError: division by zero" in errors
    assert (
        path.read_bytes() == before
        and os.listdir(path.parent) == ["exercises", path.name]
        or sorted(os.listdir(path.parent)) == sorted(["exercises", path.name])
    )


def test_a_failed_write_leaves_the_file(root, monkeypatch):
    path = root / "notebooks" / f"{NAME}.ipynb"
    chapters.write(path, good())
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chapters.os, "fsync", full)
    with pytest.raises(OSError):
        chapters.write(path, new_notebook())
    assert path.read_bytes() == before and len(os.listdir(path.parent)) == 2


def test_the_commands_name_unknown_chapters():
    for tool in ("outputs.py", "contract.py"):
        command = [sys.executable, str(chapters.ROOT / "book" / "tools" / tool)]
        command += ["--only", "99_nothing"] if tool == "outputs.py" else ["99_nothing"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "There is no chapter 99_nothing" in done.stderr
        assert "Traceback" not in done.stderr


# Colab -----------------------------------------------------------------------------------------------

PYPROJECT = '[project]\nrequires-python = "{python}"\ndependencies = ["{dependency}"]\n'
VERSIONS = {"torch": Version("2.11.0+cu128"), "pillow": Version("11.3.0")}


@pytest.mark.parametrize(
    ("python", "dependency", "words"),
    [
        (">=3.11", "torch>=2.6", ""),
        (">=3.11,<3.13", "torch>=2.6", "Python 3.13"),
        (">=3.11", "torch>=2.12", "2.11.0"),
        (">=3.11", "torch==2.14.1", "2.11.0"),
        (">=3.11", "lpips", "no lpips"),
    ],
)
def test_requirements_that_colab_cannot_meet_are_named(python, dependency, words):
    pyproject = PYPROJECT.format(python=python, dependency=dependency)
    problems = colab.requirement_problems(pyproject, VERSIONS, "3.13")
    assert bool(problems) == bool(words) and all(words in problem for problem in problems)


def test_imports_that_colab_lacks_are_named():
    canonical = colab.install_cell(CONFIG, "0.9.0")
    cells = [
        new_code_cell(canonical + "\n    %pip install -q --no-deps prdc"),
        new_code_cell(
            "import os, torch\nfrom PIL import Image\nimport prdc\nimport gancourse.losses\n!ls\n%time x = 1"
        ),
        new_code_cell("def f():\n    import lpips.nets"),
    ]
    problems = colab.import_problems(new_notebook(cells=cells), "n.ipynb", VERSIONS, canonical)
    assert len(problems) == 1 and problems[0].startswith("n.ipynb, cell 3, rule import: lpips")


def test_addresses_follow_the_configuration():
    assert colab.badge(CONFIG, "notebooks/a.ipynb") == (
        "[Open in Colab](https://colab.research.google.com/github/someone/elsewhere/blob/main/notebooks/a.ipynb)"
    )
    cell = colab.install_cell(CONFIG, "1.2.3")
    assert "https://someone.github.io/elsewhere/_static/wheel/gancourse-1.2.3-py3-none-any.whl" in cell
    assert "google.colab" not in cell and "--no-deps" in cell
    compile(chapters.python(cell), "install", "exec")


@pytest.mark.parametrize(
    ("there", "installs", "prints"),
    [
        ({"gancourse", "torch"}, False, False),
        ({"gancourse"}, False, False),
        ({"torch"}, True, False),  # Colab, Kaggle, Studio Lab with a kernel of PyTorch's
        (set(), False, True),  # VS Code, a bare Jupyter
    ],
)
@pytest.mark.parametrize("colab_is_loaded", [False, True])
def test_a_missing_package_decides_and_not_the_host(monkeypatch, capsys, there, installs, prints, colab_is_loaded):
    cell = colab.install_cell(CONFIG, "1.2.3")
    source = re.sub(r"^    (%pip .*)$", r"    run.append('\1')", cell, flags=re.M)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: sys if name in there else None)
    if colab_is_loaded:
        monkeypatch.setitem(sys.modules, "google.colab", sys)
    run = []
    exec(source, {"run": run})
    told = capsys.readouterr().out
    url = "https://someone.github.io/elsewhere/_static/wheel/gancourse-1.2.3-py3-none-any.whl"
    assert run == ([f"%pip install -q --no-deps {url}"] if installs else [])
    assert told.splitlines()[-1:] == ([f"%pip install {url}"] if prints else [])


def test_the_install_cell_is_python_for_ipython():
    transform = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager().transform_cell
    tree = ast.parse(transform(colab.install_cell(CONFIG, "1.2.3")))
    assert "run_line_magic('pip', 'install -q --no-deps " in ast.unparse(tree)


FORMER = """# On Colab only: fetch the course's package. Colab keeps its own PyTorch and NumPy.
import importlib.util
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("gancourse") is None:
    %pip install -q --no-deps {wheel}
"""


def test_install_cells_are_written_from_one_source(tmp_path, monkeypatch, capsys):
    """Chapters, solutions and student copies; extra packages, outputs and everything else stay."""
    switch = tmp_path / "former_install_cell.txt"
    switch.write_text(FORMER)
    monkeypatch.setattr(colab, "FORMER", switch)
    old = FORMER.replace("{wheel}", colab.wheel_url(CONFIG, "0.9.0")).rstrip("\n")
    new = colab.install_cell(CONFIG, "0.9.0")
    monkeypatch.setattr(chapters, "config", lambda root: CONFIG)
    monkeypatch.setattr(chapters, "version", lambda root: "0.9.0")
    more = "\n    %pip install -q --no-deps prdc"
    for name, source in {
        "02_made_up": old + more,
        "solutions/02_made_up": old,
        "exercises/02_made_up": new,
    }.items():
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [text("# Hi"), executed(source, 1), executed("print(1)", 2, results=[new_output("stream", text="1")])]
        chapters.write(path, new_notebook(cells=cells))
    before = {path: chapters.read(path) for path in (tmp_path / "notebooks").rglob("*.ipynb")}

    assert install_cells.main(["--check"], tmp_path) == 1 and "02_made_up" in capsys.readouterr().out
    assert colab.extra_packages(old + more, new) == ["prdc"]
    assert install_cells.main([str(tmp_path / "notebooks" / "solutions")], tmp_path) == 0 and switch.exists()
    assert install_cells.main([], tmp_path) == 0 and not switch.exists()
    for path, notebook in before.items():
        after = chapters.read(path)
        chapter = path.parent.name == "notebooks"
        assert after.cells[1].source == new + (more if chapter else "")
        after.cells[1].source = notebook.cells[1].source
        assert after == notebook
    assert colab.extra_packages(old, new) is None
    assert install_cells.main(["--check"], tmp_path) == 0
    mixed = chapters.read(path)
    mixed.cells[1].source = "%pip install something"
    chapters.write(path, mixed)
    assert install_cells.main([], tmp_path) == 1 and "not an install cell" in capsys.readouterr().out


def test_new_syntax_and_new_widgets_are_named(tmp_path):
    package = tmp_path / "gancourse"
    package.mkdir()
    (package / "a.py").write_text("import ipywidgets as w\nw.Tab(children=[], titles=['a'])\nw.TagsInput()\n")
    (package / "b.py").write_text("def f[T](x: T): ...\n")
    problems = colab.package_problems(package)
    assert [p.split(":")[0] for p in problems] == [
        "gancourse/a.py, line 2",
        "gancourse/a.py, line 3",
        "gancourse/b.py, line 1",
    ]
