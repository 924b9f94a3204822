"""What finds code that would fail on a GPU, on a machine that has none.

A tensor that is made without naming a device lands on the CPU. There everything works; on a GPU it meets tensors that
are elsewhere, and the run ends. Two things find such code:

- :class:`Watch` looks on while code runs. It knows what is a tensor and what is not, and where each was meant to be.
- :func:`read` reads the source, with the branches that no test takes.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import linecache
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

import gancourse
from gancourse import runtime, training
from gancourse.datasets.source import Batches, Source
from gancourse.systems.base import LatentSystem, System

PACKAGE = Path(gancourse.__file__).parent
ROOT = PACKAGE.parent
CPU = torch.device("cpu")

FACTORIES = (
    "arange asarray as_tensor bartlett_window blackman_window empty empty_permuted empty_strided eye fft.fftfreq "
    "fft.rfftfreq full hamming_window hann_window kaiser_window linspace logspace normal ones rand randint randn "
    "randperm range scalar_tensor tensor tril_indices triu_indices zeros"
).split()
"""Functions of torch that make a tensor and take a device."""
OF_TENSORS = ("as_tensor", "asarray", "normal", "tensor")
"""Those among them that stay on the device of the tensor they are given."""
WITHOUT_DEVICE = ("from_numpy", "frombuffer", "from_file", "from_dlpack")
"""Functions that make a tensor on the CPU and cannot be told otherwise."""


def _function(name: str) -> Callable[..., Any]:
    found: Any = torch
    for part in name.split("."):
        found = getattr(found, part)
    return found


# ------------------------------------------------------------------------------------------------- while it runs


def _folder(module: ModuleType, *parts: str) -> str:
    return str(Path(module.__file__ or "").parent.joinpath(*parts)) + os.sep


TORCH, NUMPY = _folder(torch), _folder(np)
DISTRIBUTIONS, MODULES = _folder(torch, "distributions"), _folder(torch, "nn", "modules")


class Watch(TorchFunctionMode):
    """Refuses tensors that the judged code makes without saying where, or says it and does not hold to it.

    Raises an AssertionError, with file, line and source, for

    - a factory that is called without ``device=``. ``torch.zeros(3).to(device)`` counts too: it runs on a GPU, but
      makes the tensor on the CPU and waits for a copy. What is drawn on the CPU on purpose says ``device="cpu"``;
    - a tensor that says ``device="cpu"``, or comes from ``.cpu()``, and meets one that does not before ``.to(device)``
      has moved it. Single numbers (no dimensions) may;
    - ``.numpy()`` or ``np.asarray`` of a tensor that is not known to be on the CPU.

    Code of torch is not judged, but for distributions, which are where their arguments are. Not seen at all: the
    backward pass, other threads, and what makes tensors without asking torch's modes (``torch.Tensor(…)``,
    ``from_numpy``).

    Args:
        judged: files or folders whose code is judged.
        building: networks are being built: on the CPU, to be moved as a whole, so constructors of modules may do as
            they like. Afterwards no network should be built any more.
    """

    MAKERS = {_function(name): name for name in FACTORIES}
    STAYING = {_function(name) for name in OF_TENSORS}
    MOVES = {Tensor.to, Tensor.cpu, Tensor.type_as}
    ARRAYS = {Tensor.numpy, Tensor.__array__}

    def __init__(self, *judged: Path, building: bool = False) -> None:
        super().__init__()
        self.judged = tuple(str(path) for path in judged)
        self.building = building

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.MAKERS:
            return self._make(func, args, kwargs)
        if func in self.MOVES:
            return self._move(func, args, kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        held = [tensor for tensor in given if _held(tensor)]
        if func in self.ARRAYS and not held:
            self._refuse("becomes an array, and may be on another device", (TORCH, NUMPY))
        if not held or func is Tensor.copy_:
            return func(*args, **kwargs)
        if len(held) < len(given):
            if where := next((_held(tensor) for tensor in held if tensor.ndim), ""):
                self._refuse(f"that is on the CPU by name ({where}) meets one that is not", (TORCH, NUMPY))
            return func(*args, **kwargs)
        found = func(*args, **kwargs)
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor):
                _hold(leaf, _held(held[0]))
        return found

    def _make(self, func: Any, args: Any, kwargs: Any) -> Any:
        device, given = kwargs.get("device"), [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        kept = func in self.STAYING and given
        if device is None and not kept and kwargs.get("out") is None:
            self._refuse(f"is made by {self.MAKERS[func]} without a device", (DISTRIBUTIONS, MODULES))
        made = func(*args, **kwargs)
        if isinstance(device, str):  # "cpu"; the system's own device is a torch.device
            frame = self._culprit((TORCH,))
            return _hold(_other(made, given), _where(frame)) if frame else made
        return _hold(made, _held(given[0])) if device is None and kept else made

    def _move(self, func: Any, args: Any, kwargs: Any) -> Any:
        tensor, found = args[0], func(*args, **kwargs)
        to = [value for value in (*args[1:], *kwargs.values()) if isinstance(value, (str, torch.device, Tensor))]
        frame = self._culprit((TORCH,))
        if func is not Tensor.cpu and not to or frame is None:
            return _hold(found, _held(tensor))
        if func is Tensor.cpu or isinstance(to[0], str):
            return _hold(_other(found, [tensor]), _where(frame))
        return _hold(_other(found, [tensor]), _held(to[0]) if isinstance(to[0], Tensor) else "")

    def _refuse(self, what: str, through: tuple[str, ...]) -> None:
        """Raise if judged code is to blame: the nearest frame that is not in one of the folders `through`."""
        if frame := self._culprit(through):
            source = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            raise AssertionError(f"{_where(frame)}: a tensor {what}: {source}")

    def _culprit(self, through: tuple[str, ...]) -> FrameType | None:
        if self.building and any(_is_constructor(frame) for frame in _frames()):
            return None
        nearest = next((f for f in _frames() if not f.f_code.co_filename.startswith(through)), None)
        return nearest if nearest is not None and nearest.f_code.co_filename.startswith(self.judged) else None


def _held(tensor: Tensor) -> str:
    """Return where a tensor was said to be on the CPU; nothing for one that is on the system's device."""
    return getattr(tensor, "_held", "")


def _hold(tensor: Tensor, where: str) -> Tensor:
    if where or _held(tensor):
        tensor._held = where  # type: ignore[attr-defined]
    return tensor


def _other(made: Tensor, given: list[Tensor]) -> Tensor:
    """Return `made` as an object of its own: on the CPU alone, what is moved there is the tensor that was given."""
    return made.view_as(made) if any(made is tensor for tensor in given) else made


def _where(frame: FrameType) -> str:
    return f"{os.path.relpath(frame.f_code.co_filename, ROOT)}:{frame.f_lineno}, in {frame.f_code.co_qualname}"


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            yield frame
        frame = frame.f_back


def _is_constructor(frame: FrameType) -> bool:
    return frame.f_code.co_name == "__init__" and isinstance(frame.f_locals.get("self"), nn.Module)


@contextlib.contextmanager
def noting_moves() -> Iterator[set[int]]:
    """Give the ids of all modules that are moved to a device within the block, alone or as a part."""
    moved: set[int] = set()
    to = nn.Module.to

    def noted(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        if any(isinstance(value, torch.device) for value in (*args, *kwargs.values())):
            moved.update(map(id, self.modules()))
        return to(self, *args, **kwargs)

    with mock.patch.object(nn.Module, "to", noted):
        yield moved


def left_behind(system: System, moved: set[int]) -> list[str]:
    """Return what of a system's networks stays on the CPU: those not `moved`, and tensors that are no buffers."""
    held = {name: value for name, value in vars(system).items() if isinstance(value, nn.Module)}
    found = []
    for name, network in {**held, **system.networks}.items():
        if any(id(module) not in moved for module in network.modules()):
            found.append(f"{name} was not moved to the device")
        for part, module in network.named_modules(prefix=name):
            plain = {key: value for key, value in vars(module).items() if key not in ("_parameters", "_buffers")}
            found += [f"{part}.{key} is no buffer" for key, value in plain.items() if _holds_a_tensor(value)]
    return found


def _holds_a_tensor(value: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(value))


# ----------------------------------------------------------------------------------------------- what is watched


def exercise(build: Callable[[Any, torch.device], System], config: Any, source: Source, *judged: Path) -> System:
    """Build a system, train it for a few steps, save and load it, and draw from it, all under :class:`Watch`."""
    runtime.seed_everything(0)
    with Watch(*judged, building=True), noting_moves() as moved:
        system = build(config, CPU)
        batches = Batches(source, config.batch_size, 0)
        save_and_load(system)
        system.start_step(0)
    if judged and (left := left_behind(system, moved)):
        raise AssertionError(f"{type(system).__qualname__}: {', '.join(left)}")
    with Watch(*judged):
        train(system, batches, config.steps)
        save_and_load(system)
        draw(system, next(batches))
    return system


def save_and_load(system: System) -> None:
    """Do what a checkpoint does to a system."""
    system.load_extra_state(training.on(CPU, training.plain(system.extra_state())))
    system.average.load_state_dict(system.average.state_dict())


def train(system: Any, batches: Any, steps: int) -> None:
    """Take the first step, one in the middle, the last, and the first of every phase."""
    parameters, losses = [p for network in system.networks.values() for p in network.parameters()], {}
    for step in sorted({0, steps // 2, steps - 1, *(phase.start for phase in system.phases)}):
        losses |= training.training_step(system, batches, step, parameters)
    assert set(losses) == {phase.name for phase in system.phases}


def draw(system: System, batch: Any) -> None:
    """Ask for everything that people ask a system for."""
    system.sheet(seed=1)
    system.draw(5, seed=2)
    system.sample(3)
    if type(system).translate is not System.translate:
        system.translate(batch.x)
    if not isinstance(system, LatentSystem):
        return
    z, classes = torch.randn(4, system.spec.latent_dim, device="cpu"), system.spec.classes
    if not classes:
        system.generate(z)
        return
    labels = [0, 1, classes - 1, 0]
    for c in (labels, np.array(labels), torch.tensor(labels, device=CPU)):
        system.draw(4, c=c)
    system.generate(z, torch.tensor(labels, device="cpu"))
    system.generate(z, torch.full((4, classes), 1 / classes, device="cpu"))


# ---------------------------------------------------------------------------------------------- without running it


class Found(NamedTuple):
    """A line that would not do on a GPU."""

    file: str
    function: str
    line: int
    name: str
    what: str


def read(module: ModuleType, *, makers: bool = True) -> list[Found]:
    """Return the lines of a module that make a tensor without saying where, or say it by a device's name.

    Args:
        makers: False looks only for devices' names, ``.cuda()`` and what sets a device for everything.
    """
    reader = _Reader(module, makers)
    reader.visit(ast.parse(inspect.getsource(module)))
    return reader.found


class _Reader(ast.NodeVisitor):
    """Resolves names of torch by the file's imports. Constructors of modules may make what they like."""

    MAKERS = {f"torch.{name}" for name in FACTORIES}
    FIXED = {f"torch.{name}" for name in WITHOUT_DEVICE}
    GLOBAL = {"torch.set_default_device", "torch.set_default_tensor_type"}
    LEGACY = re.compile(r"torch\.(cuda\.)?\w*Tensor")

    def __init__(self, module: ModuleType, makers: bool) -> None:
        self.module, self.makers = module, makers
        self.file = Path(module.__file__ or "")
        self.names: dict[str, str] = {}
        self.scope: list[str] = []
        self.exempt = 0
        self.called: set[int] = set()
        self.found: list[Found] = []

    def note(self, node: Any, name: str, what: str) -> None:
        file = Path(os.path.relpath(self.file, PACKAGE)).as_posix()
        self.found.append(Found(file, ".".join(self.scope) or "<module>", node.lineno, name, what))

    def dotted(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "")
        if isinstance(node, ast.Attribute) and (base := self.dotted(node.value)):
            return f"{base}.{node.attr}"
        return ""

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self.names[name.asname or name.name.split(".")[0]] = name.name if name.asname else name.name.split(".")[0]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            self.names[name.asname or name.name] = f"{node.module}.{name.name}"

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        self.generic_visit(node)
        self.scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        constructor = node.name == "__init__" and self._in_a_network()
        self.scope.append(node.name)
        self.exempt += constructor
        self.generic_visit(node)
        self.exempt -= constructor
        self.scope.pop()

    def _in_a_network(self) -> bool:
        found = functools.reduce(lambda part, name: getattr(part, name, None), self.scope, self.module)
        return isinstance(found, type) and issubclass(found, nn.Module)

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        self.called.add(id(node.func))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
            self.note(node, ".cuda()", "names one kind of device")
        if self.makers and not self.exempt:
            said = {k.arg for k in node.keywords if not (isinstance(k.value, ast.Constant) and k.value.value is None)}
            if name in self.MAKERS and not said & {"device", "out", None} and not self._of_tensors(name, node):
                self.note(node, name, "names no device")
            elif name in self.FIXED or self.LEGACY.fullmatch(name):
                self.note(node, name, "makes a tensor on one kind of device")
            elif not name and isinstance(node.func, ast.Attribute) and node.func.attr == "numpy":
                self.note(node, ".numpy()", "needs the CPU")
        self.generic_visit(node)

    @staticmethod
    def _of_tensors(name: str, node: ast.Call) -> bool:
        """Whether it is ``torch.normal(mean, std)`` of two tensors; with a size it makes a tensor from numbers."""
        return name == "torch.normal" and len(node.args) < 3 and all(k.arg != "size" for k in node.keywords)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        self._reference(node, name)
        if name.startswith("torch.cuda."):
            self.note(node, name, "asks for one kind of device")
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._reference(node, self.dotted(node))

    def _reference(self, node: ast.AST, name: str) -> None:
        if name in self.GLOBAL:
            self.note(node, name, "sets a device for everything")
        if self.makers and not self.exempt and id(node) not in self.called and name in self.MAKERS | self.FIXED:
            self.note(node, name, "is handed on, and may be called without a device")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and re.fullmatch(r"cuda(:\d+)?", node.value):
            self.note(node, repr(node.value), "names one kind of device")
