"""Reading what was handed in: nothing stalls the reader, and a right answer is found however it is written."""

from __future__ import annotations
import __future__

import ast
import contextlib
import io
import os
import resource
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import submissions as made
from test_grading import LIMITS, UID, cells, pieces

from gancourse import checks
from gancourse.checks import core
from gancourse.grading import cells as cells_
from gancourse.grading import notebooks, reading, worker
from gancourse.grading.isolation import Limits
from gancourse.grading.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading needs fork")

NAMES = ("d_loss", "x", "c", "h0", "part", "f", "n0", "g_loss")
SECONDS = 8
"""Processor time for a hundred thousand characters; what they take is a tenth of it."""


def file(*sources: str) -> bytes:
    """Return the bytes of a notebook of these code cells."""
    return made._dump([made.code(source) for source in sources]).encode()


def seconds(data: bytes, limit: int = SECONDS) -> float:
    """Return the processor time that reading takes in a process of its own, which may not take more than the limit."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            reading.as_json(data, NAMES)
            code = 0
        finally:
            os._exit(code)
    _, status, used = os.wait4(pid, 0)
    assert status == 0, f"the reader ended with {os.waitstatus_to_exitcode(status)}"
    return used.ru_utime + used.ru_stime


# Nothing stalls it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", made.STALLS)
def test_no_cell_stalls_the_reader(name: str) -> None:
    stall = made.STALLS[name](100_000 if name in ("blanks", "empty lines", "amended") else 50_000)
    assert seconds(file(stall, "def d_loss(a, b): return x, c, h0, part, f, n0")) < SECONDS


#: Whole files that are hard to read, and many cells that are each a little hard.
FILES: dict[str, Callable[[int], bytes]] = {
    "open lists": lambda n: b'{"cells":' + b"[" * n,
    "empty lists": lambda n: b'{"cells": [' + b"[]," * n + b"1]}",
    "no cells": lambda n: b'{"cells": [' + b"0," * n + b"1]}",
    "long numbers": lambda n: b'{"cells": [' + (b"9" * 4300 + b",") * (n // 4301) + b"1]}",
    "one number": lambda n: b'{"cells": [' + b"9" * n + b"]}",
    "many digits": lambda n: b'{"cells": [0.' + b"9" * n + b"]}",
    "escapes": lambda n: b'{"cells": ["' + b"\\u00e9" * (n // 6) + b'"]}',
    "keys": lambda n: ("{" + "".join(f'"{i}": 1,' for i in range(n // 10)) + '"cells": []}').encode(),
    "lines": lambda n: made._dump([{"cell_type": "code", "source": ["a\n"] * (n // 6)}]).encode(),
    "no end": lambda n: b'{"cells": ["' + b"x" * n,
    "broken cells": lambda n: file(*["c = = c"] * (n // 90)),
    "small cells": lambda n: file(*["c = c"] * (n // 90)),
    "values and helpers": lambda n: file(
        "\n".join(f"def h{i}(): return h{i + 1}()" for i in range(n // 60)),
        "\n".join(f"v{i} = h0()" for i in range(n // 60)),
        "def d_loss(a, b): return " + "+".join(f"v{i}" for i in range(n // 60)),
    ),
    "second names": lambda n: file(
        "a0 = []\n" + "\n".join(f"a{i + 1} = a{i}\na{i}[0] = 1" for i in range(n // 25)),
        "def d_loss(a, b): return " + "+".join(f"a{i}" for i in range(n // 25)),
    ),
    "effects": lambda n: file(
        "\n".join(f"def f{i}():\n c{i}['a'] = 1\n f{i + 1}()\nc{i} = {{}}" for i in range(n // 45)),
        "@f0\ndef d_loss(a, b): return " + "+".join(f"c{i}" for i in range(n // 45)),
    ),
    "derived classes": lambda n: file(
        "class A0:\n def __init_subclass__(cls): pass",
        "\n".join(f"class A{i + 1}(A{i}): pass" for i in range(n // 24)),
        "def d_loss(a, b): return A0",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_stalls_the_reader(name: str) -> None:
    assert seconds(FILES[name](50_000)) < SECONDS


def test_what_is_read_and_followed_has_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_, "MAX_CODE", 100)
    monkeypatch.setattr(cells_, "MAX_STATEMENTS", 12)
    monkeypatch.setattr(cells_, "MAX_CELLS", 5)
    book = cells(
        "answer = 1", "answer = '" + "x" * 100 + "'", "y = 1\n" * 10, "z = 1\n" * 2, "answer = 3", "answer = 4"
    )
    assert pieces(notebooks.find(book, "answer")) == ["answer = 3"]
    said = " ".join(book.faults)
    assert "6 cells; the first 5" in said and "cell 2 is left out" in said and "cell 4: of one notebook 12" in said
    monkeypatch.undo()
    monkeypatch.setattr(notebooks, "MAX_STEPS", 30)
    helpers = "\n".join(f"def h{i}(): return h{i + 1}()" for i in range(50))
    found = notebooks.find(cells(helpers, "def answer(): return h0()", "def other(): return h49()"), "answer")
    assert isinstance(found, str) and "more definitions" in found


@pytest.fixture(scope="module")
def box() -> Iterator[worker.Grader]:
    """A grader of one set, for files."""
    with Sandbox(UID, Limits(wall=60.0, cpu=20, memory=LIMITS.memory)) as sandbox:
        yield worker.Grader(["game"], 3, sandbox)


def test_a_file_that_takes_too_long_is_given_up_once(
    box: worker.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fault, whatever the number of exercises; and the next file is read."""
    monkeypatch.setattr(reading, "LIMITS", Limits(wall=300.0, cpu=1, memory=reading.LIMITS.memory))
    path, asked = tmp_path / "a.ipynb", []
    monkeypatch.setattr(Sandbox, "_ask", lambda *given, real=Sandbox._ask: (asked.append(given), real(*given))[1])
    path.write_bytes(FILES["keys"](60_000_000))
    found = box.read(str(path), box.exercises)
    assert found.unreadable and not found.answers and len(asked) == 1
    assert found.faults == ["reading it took more than 1 s of processor time, and was given up"]
    path.write_bytes(made.make("right", 0).data)
    found = box.read(str(path), box.exercises)
    assert not found.unreadable and isinstance(found.answers["d_loss"], notebooks.Answer)


def test_the_process_that_holds_the_references_reads_no_notebook() -> None:
    """What reads is loaded where answers run, and a reader may write anything."""
    assert not {"notebooks", "cells", "ast", "find", "read"} & set(vars(worker))
    for text in ("[]", "{}", '{"unreadable": 1}', '{"pieces": [], "faults": [], "answers": {"d_loss": {"code": [7]}}}'):
        with pytest.raises(ValueError, match="not what a reader writes"):
            reading.received(text)
    with pytest.raises(ValueError):
        reading.received("[" * 10**6)


def test_a_reading_crosses_unchanged() -> None:
    sources = (
        "SCALE = 'é'",
        "def helper(): return SCALE, gone",
        "def a(): return helper()",
        "def b(): return helper()",
    )
    data = file(*sources, "x y")
    found = reading.received(reading.as_json(data, ["a", "b", "c"]))
    book = notebooks.read(data)
    assert found.answers == {name: notebooks.find(book, name) for name in ("a", "b", "c")}
    assert found.faults == book.faults and not found.unreadable
    assert reading.as_json(data, ["a", "b"]).count("é") == 1, "what several answers need crosses once"
    assert reading.received(reading.as_json(b"[]", [])).unreadable


# A right answer in any style -------------------------------------------------------------------------


class Shell:
    """Stands for IPython."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


def notebook_s_own(sources: tuple[str, ...], name: str = "answer") -> Any:
    """Return what a name is when all cells have run from top to bottom, as in a notebook."""
    module = types.ModuleType("__main__")
    namespace, flags = module.__dict__, 0
    namespace |= {"get_ipython": Shell, "display": print}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setitem(sys.modules, "__main__", module)
        for source in sources:
            try:
                ast.parse(source)
            except SyntaxError:
                source = cells_.without_magics(source)
            code = compile(source, "cell", "exec", dont_inherit=True, flags=flags)
            flags |= code.co_flags & __future__.annotations.compiler_flag
            exec(code, namespace)
        return namespace[name]()


def grader_s(sources: tuple[str, ...], name: str = "answer") -> Any:
    """Return what it is when only the code runs that the grader has found."""
    found = notebooks.find(cells(*sources), name)
    assert isinstance(found, notebooks.Answer), found
    return notebook_s_own(tuple(source for source, _ in found.code), name)


REGISTER = "T = {}\ndef register(name):\n    def wrap(f):\n        T[name] = f\n        return f\n    return wrap"

#: Cells that define `answer`, by definitions, imports and assignments in all their forms.
FORMS: dict[str, tuple[str, ...]] = {
    "registry": (REGISTER, "@register('a')\ndef one(): return 1", "def answer(): return T['a']()"),
    "registry, curried": (REGISTER, "one = register('a')(lambda: 1)", "def answer(): return T['a']()"),
    "registry, plain": ("T = []\ndef add(f): T.append(f)", "@add\ndef one(): return 1", "def answer(): return T[0]()"),
    "registry, by a helper": (
        "T = []\ndef put(f): T.append(f)",
        "def add(f):\n    put(f)\n    return f",
        "@add\ndef one(): return 1",
        "def answer(): return T[0]()",
    ),
    "registry, object": (
        "class R:\n    def __init__(self): self.t = {}\n    def add(self, n):\n        def w(f):\n"
        "            self.t[n] = f\n        return w",
        "r = R()",
        "@r.add('a')\ndef one(): return 1",
        "def answer(): return r.t['a']()",
    ),
    "registry, closure": (
        "def make():\n    t = {}\n    def put(f): t[f.__name__] = f\n    def get(n): return t[n]\n    return put, get",
        "put, get = make()",
        "@put\ndef one(): return 1",
        "def answer(): return get('one')()",
    ),
    "registry, attribute": (
        "def add(f):\n    add.all.append(f)\nadd.all = []",
        "@add\ndef one(): return 1",
        "def answer(): return add.all[0]()",
    ),
    "registry, classes": (
        "T = {}\ndef add(c):\n    T[c.__name__] = c\n    return c",
        "@add\nclass A: v = 4",
        "def answer(): return T['A'].v",
    ),
    "derived classes": (
        "class Base:\n    known = []\n    def __init_subclass__(cls): Base.known.append(cls.__name__)",
        "class A(Base): pass\nclass B(A): pass",
        "def answer(): return Base.known",
    ),
    "subclasses": ("class A: pass", "class B(A): v = 3", "def answer(): return [c.v for c in A.__subclasses__()]"),
    "metaclass": (
        "T = []\nclass M(type):\n    def __init__(cls, n, b, d): T.append(n)",
        "class A(metaclass=M): pass\nclass B(A): pass",
        "def answer(): return T",
    ),
    "dispatch": (
        "from functools import singledispatch\n@singledispatch\ndef part(x): return 'o'",
        "@part.register\ndef _(x: int): return 'i'",
        "@part.register(float)\ndef _(x): return 'f'",
        "part.register(str, lambda x: 's')",
        "def answer(): return part(1) + part(1.0) + part('') + part(None)",
    ),
    "annotations": (
        "def f(a: int): return a",
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import nowhere\nx: nowhere.Number = 3",
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    y: nowhere.Other = 4",
        "def answer() -> nowhere.Third: return f(x), C().y",
    ),
    "match": ("match (1, 2):\n    case (a, b):\n        c = a + b\n        print(c)", "def answer(): return a, b, c"),
    "match, rest": ("match {'x': 1, 'y': 2}:\n    case {'x': q, **rest}: pass", "def answer(): return q, rest"),
    "match, function": ("match 1:\n    case 1:\n        def answer(): return 1\n    case _: answer = None",),
    "walrus": ("(f := lambda: 5)", "(a := 3, b := 4)", "def answer(): return f() + a + b"),
    "walrus inside": ("x = (y := 3) + 1", "z = [(last := i) for i in range(4)]", "def answer(): return x, y, last"),
    "class decorator": ("def d(c):\n    c.v = 2\n    return c", "@d\nclass A: pass", "def answer(): return A.v"),
    "dataclass": (
        "from dataclasses import dataclass, field\n@dataclass\nclass C:\n    a: int = 1\n"
        "    b: list = field(default_factory=list)",
        "def answer(): return repr(C(2).a)",
    ),
    "cache": (
        "import functools\n@functools.cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "def answer(): return fib(20)",
    ),
    "partial": ("from functools import partial", "def f(a, b): return a - b", "answer = partial(f, 5, b=2)"),
    "comprehension": ("n = 4", "T = {k: [k * j for j in range(n)] for k in range(n)}", "def answer(): return T"),
    "choice": ("n = 2", "if n > 3:\n    k = 1\n    print(k)\nelse:\n    k = 2", "def answer(): return k"),
    "choice that may not choose": ("k = 3\nif k > 5: k = 5\nif k < 4: k += 10", "def answer(): return k"),
    "choice or error": ("if 1:\n    v = 1\nelse:\n    raise RuntimeError", "def answer(): return v"),
    "choice in one line": ("if 1: a = 'é'; print(a,\n    a); b = 2", "def answer(): return a, b"),
    "import that fails": (
        "try:\n    import nowhere\nexcept ImportError:\n    print('no')\n    nowhere = None",
        "def answer(): return nowhere",
    ),
    "try that leaves": ("x = 1", "try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    pass", "def answer(): return x"),
    "try, else, finally": (
        "try:\n    import json\nexcept ImportError:\n    raise\nelse:\n    f = json.dumps\nfinally:\n    g = 1",
        "def answer(): return f([g])",
    ),
    "star": ("from math import *", "def floor(x): return 'own'", "def answer(): return floor(pi), ceil(pi)"),
    "nonlocal": (
        "def make():\n    n = 0\n    def step():\n        nonlocal n\n        n += K\n        return n\n"
        "    return step",
        "K = 2",
        "def answer():\n    s = make()\n    s()\n    return s()",
    ),
    "global": ("n = 1", "def step():\n    global n\n    n = n + 1\n    return n", "def answer(): return step()"),
    "made by a function": ("def setup():\n    global K\n    K = 4", "_ = setup()", "def answer(): return K"),
    "type aliases": (
        "from typing import Union\nN = Union[int, float]\nV = list[N]",
        "def answer(v: V = 1) -> N: return v",
    ),
    "augmented": ("x, y = 1, [1]", "x += 2\ny += [2]", "x *= 3", "def answer(): return x, y"),
    "unpacking": ("a, (b, *c), d = 1, (2, 3, 4), 5\n[e, f] = 6, 7", "def answer(): return a, b, c, d, e, f"),
    "two names": ("a = b = [1]\na[0] = 2", "c = b", "c.append(3)", "def answer(): return b"),
    "a part by another name": ("class C: t = {}", "t = C.t", "t['x'] = 1", "def answer(): return C.t"),
    "loop": ("T = {}", "for k in range(3): T[k] = k * k", "def answer(): return T"),
    "loop of functions": (
        "fs = []\nfor k in (1, 2):\n    def f(x, k=k): return x * k\n    fs.append(f)\n    print(k)",
        "def answer(): return [f(3) for f in fs]",
    ),
    "loop that adds": ("t, u = 0, 1", "for p in (1, 2, 3):\n    t += p\n    u = u * p", "def answer(): return t, u"),
    "loop with turns": (
        "T = []\nfor p in range(6):\n    if p % 2: continue\n    T.append(p)\n    if p > 3: break",
        "def answer(): return T, p",
    ),
    "filled": (
        "T = {'a': []}\nS = set()\nT.update(b=1)\nT['a'].append(3)\nS.add(5)\nT.setdefault('c', []).append(1)",
        "def answer(): return T, S",
    ),
    "attributes": (
        "class A: pass\ndef f(self): return f.k\nA.f = f\nf.k = 3\nm = [[0, 0]]\nm[0][1] = 5",
        "def answer(): return A().f(), m",
    ),
    "with": ("import contextlib\nwith contextlib.nullcontext(4) as q:\n    r = q + 1", "def answer(): return q + r"),
    "by a text": (
        "def one(): return 1\nK = 3\nf = eval('lambda x: x * K')\nglobals()['g'] = f",
        "def answer(): return globals()['one'](), f(2), g(3)",
    ),
    "bound early": (
        "n = 2\nf = lambda x, n=n: x * n\ndef g(x=n): return x",
        "n = 5",
        "def answer(): return f(3), g(), n",
    ),
    "class scope": (
        "F = 3\nclass A:\n    F = F + 1\n    G = [F for _ in range(2)]\n    x = 1\n    y = x + 1",
        "x = 'not this one'",
        "def answer(): return A.F, A.G, A.y",
    ),
    "dotted imports": (
        "import xml.dom\nimport xml.etree.ElementTree",
        "def answer(): return xml.dom.__name__ + xml.etree.ElementTree.__name__",
    ),
    "main": ("if __name__ == '__main__':\n    def answer(): return __name__",),
    "indented": ("    x = 1\n    def answer():\n        return x",),
    "magics": (
        "%time\nx = 1  # is it?\ny = 'what?'\n!ls\nx?\nx.real??\nz = !ls \\\n  -l\n%matplotlib inline\nw = x != y  # ?",
        "def answer(): return x, y, z, w",
    ),
    "one line": ("a = 1; b = 'é;'; c = [a,\n 2]; d = a + 1", "def answer(): return a, b, c, d"),
    "IPython": ("if 'colab' in str(get_ipython()):\n    k = 1\nelse:\n    k = 2", "def answer(): return k"),
    "redefined": ("class A: v = 1\na = A()", "class A: v = 2", "def answer(): return a.v, A.v"),
    "kept and changed": (
        "def f(): return f.k\nT = {'f': f}\nL = []\nT['l'] = L",
        "f.k = 3\nL.append(4)",
        "f = L = None",
        "def answer(): return T['f'].k, T['l']",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_the_grader_runs_gives_what_the_notebook_gives(name: str) -> None:
    assert repr(grader_s(FORMS[name])) == repr(notebook_s_own(FORMS[name]))


@pytest.mark.parametrize("name", made.STYLES)
def test_what_check_accepts_the_grader_accepts(name: str, box: worker.Grader) -> None:
    sources = ("import torch\nimport torch.nn.functional as F", *made.STYLES[name])
    (exercise,) = (e for e in checks.load_set("game").exercises if e.name == "game.d_loss")
    if name not in ("TorchScript", "compiled"):  # they want files, or a compiler
        assert core.grade(exercise, notebook_s_own((*sources, "def answer(): return d_loss")), 3)[1].ok
    record = box.grade(exercise, notebooks.find(cells(*sources), "d_loss"))
    assert record["ok"], record["hint"]


def test_steps_of_training_are_not_run_though_definitions_in_loops_are() -> None:
    """A bare call in a loop, other than one that shows or fills, keeps the whole loop from being run."""
    training = "for step in range(10**9):\n    loss = step\n    optimiser.step()"
    found = notebooks.find(cells(training, "def answer(): return loss"), "answer")
    assert (
        isinstance(found, notebooks.Answer)
        and "cell 1, in a part that the grader does not run" in found.missing["loss"]
    )
    for source in ("while True: loss = 1", "print(loss := 1)", "async def f(): pass\nassert (loss := 1)"):
        found = notebooks.find(cells(source, "def answer(): return loss"), "answer")
        assert isinstance(found, notebooks.Answer) and "in a part that" in found.missing["loss"], source
    found = notebooks.find(cells("loss = 3", training, "def answer(): return loss"), "answer")
    assert pieces(found) == ["loss = 3", "def answer(): return loss"]
    block = "if True:\n    rate = 3\n    train(rate)\n    for step in range(9): train(step)\n    raise SystemExit"
    found = notebooks.find(cells(block, "def answer(): return rate"), "answer")
    assert pieces(found)[0] == "if True:\n    rate = 3\n    pass\n    pass\n    pass"


def test_decorated_helpers_of_others_are_not_dragged_in() -> None:
    """Only what fills something of the notebook's own counts as a change of it."""
    book = cells(
        "import torch",
        "@torch.no_grad()\ndef sample(n): return model(n)",
        "model = train()",
        "class Net(torch.nn.Module): pass",
        "def answer(): return torch.ones(1)",
    )
    assert pieces(notebooks.find(book, "answer")) == ["import torch", "def answer(): return torch.ones(1)"]


def test_why_a_name_is_missing_is_true() -> None:
    book = cells(
        "def setup():\n    global K\n    K = 1\nsetup()", "def helper(:\n    pass", "def answer(): return K, helper, no"
    )
    found = notebooks.find(book, "answer")
    assert isinstance(found, notebooks.Answer)
    assert found.missing == {
        "K": "'K' is only made when 'setup' is called, and the grader runs no bare calls",
        "helper": "'helper' seems to be in cell 2, which cannot be read",
        "no": "'no' is defined in no cell",
    }
