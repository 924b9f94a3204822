"""Synthetic submissions for the grader's tests: right, wrong, broken and hostile notebooks, with what each deserves.

Every kind answers `d_loss` of the set `game`; the other answers are those of the solutions notebook. `KINDS` maps a
kind to functions that return the cell with the answer, or the bytes of the whole file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = ROOT / "notebooks" / "solutions" / "01_two_players.ipynb"
MARKER = re.compile(r"^\s*# (BEGIN|END) SOLUTION.*\n?", re.MULTILINE)

RIGHT = (
    "def d_loss(a, b):\n    return F.softplus(-a).mean() + F.softplus(b).mean()",
    "def d_loss(real, fake):\n    return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()",
    "def d_loss(real, fake):\n    bce = F.binary_cross_entropy_with_logits\n"
    "    return bce(real, real * 0 + 1) + bce(fake, fake * 0)",
    "d_loss = lambda a, b: (1 + (-a).exp()).log().mean() + (1 + b.exp()).log().mean()",
)
WRONG = (
    "def d_loss(a, b):\n    return F.softplus(a).mean() + F.softplus(-b).mean()",
    "def d_loss(a, b):\n    return F.softplus(-a).sum() + F.softplus(b).sum()",
    "def d_loss(a, b):\n    return (F.softplus(-a).mean() + F.softplus(b).mean()) / 2",
    "def d_loss(a, b):\n    return (F.softplus(-a).mean() + F.softplus(b).mean()).detach()",
    "def d_loss(a, b):\n    return (F.softplus(-a).mean() + F.softplus(b).mean()).item()",
    "def d_loss(a, b):\n    return 1.386",
    "def d_loss(a, b):\n    return a.sum() * float('nan')",
    "def d_loss(a, b):\n    a.neg_()\n    return F.softplus(a).mean() + F.softplus(b).mean()",
    "def d_loss(a, b):\n    pass",
    "def d_loss(a):\n    return a",
    "d_loss = 3",
    "d_loss = None",
    "def d_loss(a, b):\n    raise NotImplementedError('Your turn')",
    "def d_loss(a, b):\n    return helper_that_nobody_wrote(a, b)",
)
CRASH = (
    "def d_loss(a, b):\n    return 1 / 0",
    "def d_loss(a, b):\n    import sys\n    sys.exit(0)",
    "def d_loss(a, b):\n    return d_loss(a, b)",
    "def d_loss(a, b):\n    import ctypes\n    ctypes.string_at(0)",
    "def d_loss(a, b):\n    import os\n    os.abort()",
    "def d_loss(a, b):\n    class E(BaseException):\n        def __str__(self): raise self\n    raise E",
    "d_loss = 1 / 0",
)
EXIT = (
    "def d_loss(a, b):\n    import os\n    os._exit(0)",
    "import os\nos_exit = os._exit\ndef d_loss(a, b):\n    print('all right')\n    os_exit(0)",
    "def d_loss(a, b):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
    "def d_loss(a, b):\n    import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)\n    os.kill(0, 9)",
    "def d_loss(a, b):\n    import os, signal\n    os.kill(-1, signal.SIGKILL)",
)
ENDLESS = (
    "def d_loss(a, b):\n    while True: pass",
    "def d_loss(a, b):\n    import time\n    time.sleep(10**6)",
    "def d_loss(a, b):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
    "def d_loss(a, b):\n    import re\n    re.match('(a+)+$', 'a' * 60 + 'b')",
    "def d_loss(a, b):\n    import signal, threading\n    threading.Event().wait()",
    "x = [i for i in iter(int, 1)]\ndef d_loss(a, b): return x",
)
MEMORY = (
    "def d_loss(a, b):\n    x = []\n    while True: x.append(bytearray(10**7))",
    "def d_loss(a, b):\n    return torch.zeros(10**10).sum()",
    "def d_loss(a, b):\n    return eval('[' * 50 + '0' + ']' * 50 + '*10**9')",
    "def d_loss(a, b):\n    import os\n    x = []\n    for i in range(6):\n        if os.fork() == 0: break\n"
    "    while True:\n        try: x.append(bytes(10**7).replace(b'\\0', b'a'))\n        except MemoryError: pass",
)
FORKS = (
    "def d_loss(a, b):\n    import os\n    while True:\n        try: os.fork()\n        except OSError: pass",
    "def d_loss(a, b):\n    import threading\n    while True:\n"
    "        try: threading.Thread(target=threading.Event().wait).start()\n        except RuntimeError: pass",
    "def d_loss(a, b):\n    import os\n    if os.fork() == 0:\n        os.setsid()\n"
    "        while True: pass\n    os._exit(0)",
)
PATCHED = (
    "def d_loss(a, b):\n    import builtins\n    builtins.abs = lambda x: 0\n    builtins.all = lambda x: True\n"
    "    builtins.isinstance = lambda *x: True\n    return a.sum()",
    "def d_loss(a, b):\n    torch.allclose = lambda *x, **y: True\n    torch.Tensor.__eq__ = lambda *x: True\n"
    "    torch.Tensor.__ne__ = lambda *x: False\n    return a.sum()",
    "def d_loss(a, b):\n    import math\n    math.isfinite = lambda x: False\n    return a.sum() + b.sum()",
    "import gancourse.checks.probes as p\ndef d_loss(a, b):\n"
    "    p.encode = lambda x: {'tensor': [], 'dtype': 'float32', 'data': [True]}\n    return a.sum()",
    "def d_loss(a, b):\n    import json\n    json.dumps = lambda *x, **y: '[{\"ok\": true}]'\n    return a.sum()",
    "def d_loss(a, b):\n    import gancourse.checks as c\n    c.passes = c.check = lambda *x, **y: True\n"
    "    import unittest.mock\n    return unittest.mock.MagicMock()",
)
OVERLOADED = (
    "class Same(float):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
    "    def __sub__(self, other): return 0\n    def __rsub__(self, other): return 0\n    def __abs__(self): return 0\n"
    "    def __le__(self, other): return True\ndef d_loss(a, b):\n    return Same(1.0)",
    "class Any_:\n    def __getattr__(self, name): return self\n    def __call__(self, *a, **k): return self\n"
    "    def __eq__(self, other): return True\n    def __float__(self): return 0.0\n"
    "def d_loss(a, b):\n    return Any_()",
    "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
    "        return True\ndef d_loss(a, b):\n    return torch.zeros(()).as_subclass(T)",
    "class D(dict):\n    def __getitem__(self, k): return 0\n    def __contains__(self, k): return True\n"
    "def d_loss(a, b):\n    return D()",
)
READS = (
    "def d_loss(a, b):\n    import gancourse, pathlib\n"
    "    found = [p for p in pathlib.Path(gancourse.__file__).parents[1].rglob('game.py')]\n"
    "    space = {}\n    exec(found[0].read_text(), space)\n    return space['d_loss'](a, b)",
    "from gancourse.checks.sets.game import d_loss as reference\ndef d_loss(a, b):\n    return reference(a, b)",
    "from gancourse.checks.sets.game import d_loss",
    "def d_loss(a, b):\n    import gancourse.checks.sets.game as g\n"
    "    return g.SET.exercises[0].judge.reference(a, b)",
    "def d_loss(a, b):\n    import gc\n    c = [o for o in gc.get_objects() if type(o).__name__ == 'Comparison']\n"
    "    return c[0].reference(a, b)",
    "def d_loss(a, b):\n    import sys\n    f = sys._getframe()\n    while f:\n"
    "        for k, v in f.f_locals.items():\n"
    "            if k in ('expected', 'reference', 'exercise'): return v(a, b)\n        f = f.f_back\n"
    "    raise ValueError",
    "def d_loss(a, b):\n    import os\n    return open(f'/proc/{os.getppid()}/environ').read()",
    "def d_loss(a, b):\n    import os\n    for n in range(3, 256):\n        try: raise ValueError(os.read(n, 99))\n"
    "        except OSError: pass",
    "def d_loss(a, b):\n    import glob\n    return open(glob.glob('/[ht]*/**/*.ipynb', recursive=True)[0]).read()",
)
WRITES = (
    "def d_loss(a, b):\n    import os\n    n = 0\n    for top in ('/', '/usr', '/etc', '/home', '/root', '/var/lib'):\n"
    "        try: open(os.path.join(top, 'owned-by-a-submission'), 'w').write('x')\n        except OSError: n += 1\n"
    "    raise ValueError(n)",
    "def d_loss(a, b):\n    open('big', 'wb').write(b'x' * 10**9)",
    "def d_loss(a, b):\n    n = 0\n    while True:\n        open(f'{n}', 'w').write('x' * 10**6)\n        n += 1",
    "def d_loss(a, b):\n    import os\n    for top in ('/', '/usr', '/home'):\n"
    "        try: os.remove(os.path.join(top, 'owned-by-the-grader'))\n        except OSError: pass\n    return 0",
)
PRINTS = (
    "def d_loss(a, b):\n    for i in range(1000): print('x' * 10**6)\n    return a.sum()",
    "def d_loss(a, b):\n    import os\n    for i in range(1000): os.write(1, b'x' * 10**6)\n    return a.sum()",
    "def d_loss(a, b):\n    import os\n    for i in range(1000): os.write(3, b'x' * 10**6)\n    return a.sum()",
    "def d_loss(a, b):\n    import sys\n    while True: sys.__stdout__.write('x' * 10**6)",
)
_FORGE = "def d_loss(a, b):\n    import os, json\n    text = {}\n    os.write(3, text.encode())\n    os._exit(0)"
_RESULT = {
    "error": None,
    "message": None,
    "value": 1.0,
    "grads": {},
    "detached": False,
    "cut": [],
    "after": {},
    "mutated": [],
}
_RESULT |= {"printed": "", "seconds": 0.0}


def _forged(value: Any, **more: Any) -> str:
    return _FORGE.format(repr(json.dumps([_RESULT | {"value": value} | more] * 2)))


FORGED = (
    _FORGE.format(repr(json.dumps({"ok": True, "points": 2}))),
    _forged({"tensor": [], "dtype": "float32", "data": [1.386]}),
    _forged({"tensor": [], "dtype": "float32", "data": [float("nan")]}, grads={"0": float("nan"), "1": float("nan")}),
    _forged(True),
    _forged({"spec": "mlp", "options": {"dict": []}}),
    _forged({"opaque": "x" * 10**6}),
    _forged({"tensor": [10**5, 10**5], "dtype": "float32", "data": []}),
    _forged({"tensor": [], "dtype": "__loader__", "data": [1]}),
    _forged({"tuple": [[[[[1]]]]]}, seconds=-1e308),
    _FORGE.format("'[' * 10**6"),
    _FORGE.format("'[' + '[],' * 10**6 + '1]'"),
    _FORGE.format("'9' * 10**6"),
    _FORGE.format("json.dumps([" + repr(_RESULT).replace("1.0", "10 ** 400") + "] * 2)"),
    "def d_loss(a, b):\n    import os\n    while True: os.write(3, b'[' * 65536)",
    "def d_loss(a, b):\n    import os\n    os.close(3)\n    return a.sum()",
    "def d_loss(a, b):\n    import os\n    os.write(3, bytes(range(256)) * 100)\n    os._exit(0)",
)
#: Many equal hash values: a dict of them takes hours to build, in the comparing process. It must be stopped.
COLLIDING = (
    _FORGE.format(
        "json.dumps(["
        + repr(_RESULT).replace("1.0", "{'dict': [[i * (2**61 - 1), 0] for i in range(1, 200000)]}")
        + f", {_RESULT!r}])"
    ),
)


_LOSS = "return F.softplus(-a).mean() + F.softplus(b).mean()"

#: Right answers that are definitions, imports and assignments, in cells: `check` accepts each of them.
STYLES: dict[str, tuple[str, ...]] = {
    "registry": (
        "TERMS = {}\ndef term(name):\n    def add(f):\n        TERMS[name] = f\n        return f\n    return add",
        "@term('real')\ndef _(a): return F.softplus(-a).mean()\n@term('fake')\ndef _(b): return F.softplus(b).mean()",
        "def d_loss(a, b): return TERMS['real'](a) + TERMS['fake'](b)",
    ),
    "registry object": (
        "class Registry(dict):\n    def __call__(self, f):\n        self[f.__name__] = f\n        return f",
        "terms = Registry()",
        "@terms\ndef real(a): return F.softplus(-a).mean()\n@terms\ndef fake(b): return F.softplus(b).mean()",
        "def d_loss(a, b): return terms['real'](a) + terms['fake'](b)",
    ),
    "single dispatch": (
        "from functools import singledispatch\n@singledispatch\ndef part(x, sign): raise TypeError(type(x))",
        "@part.register\ndef _(x: torch.Tensor, sign): return F.softplus(sign * x).mean()",
        "def d_loss(a, b): return part(a, -1) + part(b, 1)",
    ),
    "type checking": (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from nowhere import Logits, Loss",
        f"def d_loss(a: Logits, b: Logits) -> Loss: {_LOSS}",
    ),
    "TorchScript": (
        "@torch.jit.script\ndef half(x: torch.Tensor) -> torch.Tensor:\n    return F.softplus(x).mean()",
        "@torch.jit.script\ndef d_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:\n"
        "    # from another cell\n    return half(-a) + half(b)",
    ),
    "compiled": (f"@torch.compile\ndef d_loss(a, b):\n    {_LOSS}",),
    "match": (
        f"match torch.__name__:\n    case 'torch':\n        def d_loss(a, b): {_LOSS}\n"
        "    case _:\n        d_loss = None",
    ),
    "walrus": ("(d_loss := lambda a, b: F.softplus(-a).mean() + F.softplus(b).mean())",),
    "class decorator": (
        "def callable_(cls):\n    cls.__call__ = lambda self, a, b: self.one(-a) + self.one(b)\n    return cls",
        "@callable_\nclass Loss:\n    def one(self, x): return F.softplus(x).mean()",
        "d_loss = Loss()",
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Loss:\n    sign: float = 1.0\n"
        "    def __call__(self, a, b): return F.softplus(-self.sign * a).mean() + F.softplus(self.sign * b).mean()",
        "d_loss = Loss()",
    ),
    "partial and cache": (
        "import functools\n@functools.cache\ndef sign(name): return {'real': -1, 'fake': 1}[name]",
        "def term(name, x): return F.softplus(sign(name) * x).mean()\nreal = functools.partial(term, 'real')",
        "def d_loss(a, b): return real(a) + term('fake', b)",
    ),
    "operators": (
        "class Term:\n    def __init__(self, x): self.x = x\n"
        "    def __add__(self, other): return Term(self.x + other.x)\n"
        "    def __neg__(self): return Term(-self.x)\n    def plus(self): return Term(F.softplus(self.x).mean())",
        "def d_loss(a, b): return ((-Term(a)).plus() + Term(b).plus()).x",
    ),
    "table": (
        "SIGNS = {name: sign for name, sign in zip(('real', 'fake'), (-1, 1)) if sign}",
        "def d_loss(a, b): return sum(F.softplus(SIGNS[n] * x).mean() for n, x in (('real', a), ('fake', b)))",
    ),
    "conditional": (
        "if torch.cuda.is_available():\n    device = 'cuda'\n    print('a GPU!')\nelse:\n    device = 'cpu'",
        "k = 1\nif device == 'tpu':\n    k = 0",
        f"if __name__ == '__main__':\n    def d_loss(a, b): {_LOSS} * k",
    ),
    "import that may fail": (
        "try:\n    from nowhere import plus\nexcept ImportError:\n    print('without it')\n    plus = None",
        f"try:\n    d_loss\nexcept NameError:\n    def d_loss(a, b): {_LOSS} if plus is None else plus(a, b)",
    ),
    "star import": (
        "__all__ = ['d_loss']\nfrom torch.nn.functional import *",
        "def d_loss(a, b): return softplus(-a).mean() + softplus(b).mean()",
    ),
    "nested": (
        "def make():\n    calls = 0\n    def loss(a, b):\n        nonlocal calls\n        calls += 1\n        "
        f"{_LOSS}\n    return loss",
        "d_loss = make()",
    ),
    "aliases": (
        "from typing import Callable\nLogits = torch.Tensor\nLoss = Callable[[Logits, Logits], Logits]",
        f"def plain(a: Logits, b: Logits) -> Logits: {_LOSS}\nd_loss: Loss = plain",
    ),
    "unpacked": (
        "plus, (minus, *rest) = F.softplus, (lambda x: -x, 0.5)\nscale = 0.5\nscale += rest[0]",
        "def d_loss(a, b): return scale * (plus(minus(a)).mean() + plus(b).mean())",
    ),
    "loops that define": (
        "terms = {}\nfor name, sign in (('real', -1), ('fake', 1)):\n    def term(x, sign=sign):\n"
        "        return F.softplus(sign * x).mean()\n    terms[name] = term\n    print(name)",
        "def d_loss(a, b): return terms['real'](a) + terms['fake'](b)",
    ),
    "filled": (
        "terms, signs = {}, []\nterms.update(plus=F.softplus)\nsigns.append(-1)\nsigns.extend([1])",
        "def d_loss(a, b): return sum(terms['plus'](s * x).mean() for s, x in zip(signs, (a, b)))",
    ),
    "with": (
        "with torch.no_grad():\n    signs = torch.tensor([-1.0, 1.0])\n    print(signs)",
        "def d_loss(a, b): return F.softplus(signs[0] * a).mean() + F.softplus(signs[1] * b).mean()",
    ),
    "subclasses": (
        "class Term:\n    known = {}\n    def __init_subclass__(cls, name): Term.known[name] = cls",
        "class Real(Term, name='real'):\n    sign = -1\nclass Fake(Term, name='fake'):\n    sign = 1",
        "def d_loss(a, b):\n    both = (('real', a), ('fake', b))\n"
        "    return sum(F.softplus(Term.known[n].sign * x).mean() for n, x in both)",
    ),
    "indented": (f"  def d_loss(a, b):\n      {_LOSS}",),
    "questions": (
        "!pip list\nsign = -1  # is it?\nF.softplus?",
        "def d_loss(a, b): return F.softplus(sign * a).mean() + F.softplus(b).mean()",
    ),
}

#: Cells that a reader may be slow at. A right answer beside them is right.
STALLS: dict[str, Callable[[int], str]] = {
    "blanks": lambda n: "x =" + " " * n + "x y",
    "empty lines": lambda n: "x y\n" + "\n" * n,
    "amended": lambda n: "c = {}\n" + "c[i] = c\n" * (n // 9),
    "question marks": lambda n: "x y\n" + "? " * (n // 2),
    "equals": lambda n: "x y\n" + "a " * (n // 2) + "= b",
    "statements": lambda n: "a=1;" * (n // 4),
    "brackets": lambda n: "x = " + "(" * n,
    "signs": lambda n: "x = " + "-" * n + "1",
    "lambdas": lambda n: "x = " + "lambda: " * (n // 8) + "1",
    "f-strings": lambda n: "x = " + "f'{" * (n // 3),
    "decorators": lambda n: "def d(f): return f\n" + "@d\n" * (n // 3) + "def f(): pass",
    "registered": lambda n: "def part(): pass\n" + "@part.register\ndef _(x: int): return part(x)\n" * (n // 48),
    "attributes": lambda n: "x = a" + ".a" * (n // 2),
    "calls": lambda n: "x = a" + ".append(1)" * (n // 10),
    "names": lambda n: "x = [" + ",".join(f"n{i}" for i in range(n // 6)) + "]",
    "rebound": lambda n: "".join(f"def h(): return h{i}\nh{i} = h()\n" for i in range(n // 32)),
    "helpers": lambda n: "".join(f"def h{i}(): return h{i + 1}()\n" for i in range(n // 28)),
    "conditions": lambda n: "if c: c = c\n" * (n // 12),
    "else ifs": lambda n: "if 1: pass\n" + "elif 1: c = 1\n" * (n // 14),
    "functions inside": lambda n: "def f():\n" + "".join(f" x{i} = lambda: x{i}\n" for i in range(n // 20)),
    "imports": lambda n: "from math import *\n" * (n // 19),
    "long text": lambda n: "x = '" + "é" * n + "'",
    "long name": lambda n: "x" * n + " = 1",
    "escapes": lambda n: "x = '" + "\\d" * (n // 2) + "'",
    "letters beyond ASCII": lambda n: "x y\n" + "𝒳" * n,
    "magics": lambda n: "x y\n" + "%x = y \\\n" * (n // 9),
    "cut out": lambda n: "if 1: " + "print(1);" * (n // 9) + " x = 1",
}

#: Memory that is in no process, a key for the next one, a way to the machine outside.
BESIDE_THE_LIMITS = (
    "def d_loss(a, b):\n    import ctypes\n    libc = ctypes.CDLL(None)\n"
    "    if libc.shmget(0, ctypes.c_size_t(2**31), 0o600) < 0: raise OSError('no segment')\n    " + _LOSS,
    "def d_loss(a, b):\n    import os\n    files = [os.memfd_create('x') for _ in range(9)]\n"
    "    for file in files: os.write(file, b'x' * 10**6)\n    " + _LOSS,
    "def d_loss(a, b):\n    import ctypes, platform\n    libc = ctypes.CDLL(None)\n"
    "    add = 248 if platform.machine() == 'x86_64' else 217\n    for place in (-3, -4, -5):\n"
    "        if libc.syscall(add, b'user', b'answer', b'x', 1, place) < 0: raise OSError('no keys')\n    " + _LOSS,
    "def d_loss(a, b):\n    import socket\n    socket.socket(socket.AF_VSOCK)\n    " + _LOSS,
)

#: More time than the exercise allows, by an answer that says it took none.
FORGED_TIME = (
    "def d_loss(a, b):\n    import time\n    clock, start = time.process_time, time.process_time()\n"
    "    time.process_time = lambda: 0.0\n    while clock() - start < 9: pass\n    " + _LOSS,
)


@dataclass(frozen=True)
class Made:
    """A submission: its bytes, and whether `d_loss` and the other answers deserve their points."""

    kind: str
    data: bytes
    d_loss: bool
    others: bool


def base() -> list[dict[str, Any]]:
    """Return the cells of the solutions notebook without the answer `d_loss`."""
    cells = json.loads(SOLUTIONS.read_text(encoding="utf-8"))["cells"]
    kept = []
    for cell in cells:
        source = MARKER.sub("", "".join(cell["source"]))
        if "def d_loss(" not in source:
            kept.append(cell | {"source": source})
    return kept


def notebook(cells: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    """Return a notebook."""
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def code(source: str, **more: Any) -> dict[str, Any]:
    """Return a code cell."""
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None} | more


def with_answer(number: int, *sources: str, more: dict[str, Any] | None = None) -> bytes:
    """Return a notebook whose answer `d_loss` is in cells of its own; the number makes it unlike all others."""
    cells = [code("import torch\nimport torch.nn.functional as F"), *base()]
    cells += [code(source) for source in sources]
    return json.dumps(notebook([*cells, code(f"# {number}")], **(more or {}))).encode()


def _cells(number: int) -> list[dict[str, Any]]:
    return json.loads(with_answer(number, RIGHT[0]))["cells"]


def _dump(cells: list[Any], **more: Any) -> str:
    return json.dumps(notebook(cells, **more), ensure_ascii=False)


def _helper_elsewhere(number: int) -> bytes:
    return with_answer(
        number,
        "def d_loss(a, b):\n    return half(-a) + half(b) * ONE",
        "ONE = 1.0\ndef half(x): return softplus(x).mean()",
        "%matplotlib inline\nfrom torch.nn.functional import softplus",
    )


def _training(number: int) -> bytes:
    return with_answer(number, "while True:\n    pass", RIGHT[0], "import time\ntime.sleep(10**6)", "train(d_loss)")


def _stripped(number: int) -> bytes:
    cells = [{"cell_type": c["cell_type"], "source": c["source"]} for c in _cells(number)]
    return json.dumps({"cells": cells}).encode()


def _doubled(number: int) -> bytes:
    return _dump([cell for cell in _cells(number) for _ in range(2)]).encode()  # the same identifiers, too


def _pasted_again(number: int) -> bytes:
    return _dump([*_cells(number), *_cells(number)]).encode()


def _syntax_error(number: int) -> bytes:
    return with_answer(number, "def d_loss(a, b)\n    return", "for x in", RIGHT[1])


def _no_answer(number: int) -> bytes:
    return with_answer(number)


def _fewer_cells(number: int) -> bytes:
    return _dump([code(f"# {number}")]).encode()


def _outputs(size: int) -> Callable[[int], bytes]:
    def make(number: int) -> bytes:
        text = {"output_type": "stream", "name": "stdout", "text": "x" * size}
        return _dump([*_cells(number), code("1", outputs=[text])]).encode()

    return make


def _old_format(number: int) -> bytes:
    cells = [c | {"input": c["source"]} for c in _cells(number)]
    return json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}).encode()


def _other_notebook(path: str) -> Callable[[int], bytes]:
    """Return what makes hand-ins of a notebook of the course, as it is."""

    def make(number: int) -> bytes:
        cells = json.loads((ROOT / "notebooks" / path).read_text(encoding="utf-8"))["cells"]
        cells = [cell | {"source": MARKER.sub("", "".join(cell["source"]))} for cell in cells]
        return _dump([*cells, code(f"# {number}")]).encode()

    return make


def _many_keys(number: int) -> bytes:
    """Return JSON that takes a reader more than its time."""
    return ('{"cells": [], ' + ",".join(f'"{number}-{i}": 1' for i in range(9 * 10**6)) + "}").encode()


Maker = Callable[[int], bytes]


def _answers(sources: tuple[str, ...]) -> list[Maker]:
    return [lambda number, source=source: with_answer(number, source) for source in sources]  # type: ignore[misc]


def _junk(number: int) -> bytes:
    return bytes((number * 7919 + i * i * 31) % 256 for i in range(5000))


#: PyTorch warns of it where it is judged, and says so on a terminal if nobody prevents it.
WARNS = "def g_gradient(z, logits, hints, loss):\n    return z.sum(), z.sum()"
#: Kind → exercises of the others that do not deserve their points.
EXCEPT = {"warns": {"game.g_gradient"}}

#: Kind → (makers, whether d_loss deserves its points, whether the other answers do).
KINDS: dict[str, tuple[list[Maker], bool, bool]] = {
    "right": (_answers(RIGHT), True, True),
    "wrong": (_answers(WRONG), False, True),
    "crash": (_answers(CRASH), False, True),
    "exit": (_answers(EXIT), False, True),
    "endless": (_answers(ENDLESS), False, True),
    "memory": (_answers(MEMORY), False, True),
    "forks": (_answers(FORKS), False, True),
    "patched": (_answers(PATCHED), False, True),
    "overloaded": (_answers(OVERLOADED), False, True),
    "reads": (_answers(READS), False, True),
    "writes": (_answers(WRITES), False, True),
    "prints": (_answers(PRINTS), False, True),
    "forged": (_answers(FORGED), False, True),
    "colliding": (_answers(COLLIDING), False, True),
    "beside the limits": (_answers(BESIDE_THE_LIMITS), False, True),
    "forged time": (_answers(FORGED_TIME), False, True),
    "styles": ([lambda n, s=s: with_answer(n, *s) for s in STYLES.values()], True, True),  # type: ignore[misc]
    "stalls": ([lambda n, s=s: with_answer(n, s(10**5), RIGHT[0]) for s in STALLS.values()], True, True),  # type: ignore[misc]
    "long to read": ([_many_keys], False, False),
    "helper elsewhere": ([_helper_elsewhere], True, True),
    "training cells": ([_training], True, True),
    "stripped metadata": ([_stripped], True, True),
    "duplicated cells": ([_doubled, _pasted_again], True, True),
    "syntax error": ([_syntax_error], True, True),
    "old format": ([_old_format], True, True),
    "right last": ([lambda n: with_answer(n, WRONG[0], RIGHT[0])], True, True),
    "wrong last": ([lambda n: with_answer(n, RIGHT[0], WRONG[0])], False, True),
    "utf-16": ([lambda n: _dump([*_cells(n), code("# é")]).encode("utf-16")], True, True),
    "latin-1": ([lambda n: _dump([*_cells(n), code("# é")]).encode("latin-1", "replace")], True, True),
    "outputs": ([_outputs(10**6)], True, True),
    "huge outputs": ([_outputs(10**8)], True, True),
    "no answer": ([_no_answer], False, True),
    "missing cells": ([_fewer_cells], False, False),
    "binary junk": ([_junk], False, False),
    "empty": ([lambda n: b" " * n], False, False),
    "cut": ([lambda n: with_answer(n, RIGHT[0])[: -5 - n % 50]], False, False),
    "other json": ([lambda n: json.dumps([n]).encode(), lambda n: json.dumps({"n": n}).encode()], False, False),
    "nested": ([lambda n: b"[" * (10**6 + n), lambda n: b'{"cells":' * (10**5 + n)], False, False),
    "no bytes": ([lambda n: b""], False, False),
    "short text": ([lambda n: with_answer(n, RIGHT[0], 'saturation = "No idea."')], True, True),
    "long text": ([lambda n: with_answer(n, RIGHT[0], f"saturation = {'=SUM(A1) <b>;=1</b> | ' * 999!r}")], True, True),
    "blank": ([_other_notebook("exercises/01_two_players.ipynb")], False, False),
    "wrong set": ([_other_notebook("solutions/06_cgan.ipynb")], False, False),
    "warns": ([lambda n: with_answer(n, RIGHT[0], WARNS)], True, True),
    "odd cells": ([lambda n: _dump([n, None, [], {"cell_type": "code", "source": {"a": 1}}]).encode()], False, False),
}


def make(kind: str, number: int) -> Made:
    """Return submission `number` of a kind; kinds with several makers take turns."""
    makers, d_loss, others = KINDS[kind]
    return Made(kind, makers[number % len(makers)](number), d_loss, others)


# Names -----------------------------------------------------------------------------------------------

#: What students call their files; Canvas puts its own part in front of them.
FILE_NAMES = (
    "hw.ipynb",
    "01_two_players.ipynb",
    "x_222_assignsubmission_file_.ipynb",
    "bobsmith_222_9002_hw.ipynb",
    "Bob Smith_222_assignsubmission_file_game.ipynb",
    "LATE_222_9002_hw.ipynb",
    f"{'9' * 180}.ipynb",
    f"{'long name ' * 18}.ipynb",
    "=cmd|' C calc'!A0.ipynb",
    "a;=cmd().ipynb",
    "＝HYPERLINK(x).ipynb",
    "-2+3.ipynb",
    "<img src=x>.ipynb",
    "résumé 李雷 ﷽.IPYNB",
    "hw\u202e\x01.ipynb",
    "%s%n{0}$(id)`id`.ipynb",
)


def file_name(number: int, late: bool = False) -> str:
    """Return the name under which Canvas hands out the file of student `number`."""
    own = FILE_NAMES[number % len(FILE_NAMES)]
    return f"s{number}{'_LATE' * late}_{1000 + number}_{5000 + number}_{own}"
