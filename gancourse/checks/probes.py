"""What runs beside a student's code: an answer is exercised on cases, and plain numbers come out.

This module holds no reference and compares nothing. In a notebook it runs in the notebook's process; the grader runs
it in a process of its own and reads the results as JSON. Cases and results cross as plain data in both.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gancourse.checks.builders import BUILDERS

MAX_NUMBERS = 200_000
"""An answer may return this many numbers; more become an `Opaque`."""

MAX_TEXT, MAX_DEPTH = 20_000, 12


@dataclass(frozen=True)
class Spec:
    """An argument that is built where the answer runs, such as a critic: a name in `BUILDERS` and its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Opaque:
    """Stands for a returned object that is no number, tensor, text, list, tuple or dict; only its type crosses."""

    type: str


@dataclass(frozen=True)
class Case:
    """One call of an answer.

    Args:
        args, kwargs: tensors (CPU), numbers, strings, lists, dicts and `Spec` objects.
        grads: the arguments (position or keyword) with respect to which the gradient of sum(output · cotangent)
            is wanted; for a module, with respect to each of its parameters. Of several outputs each has another weight.
        changes: the arguments that the answer is meant to change; their state after the call is in `Result.after`.
        note: the case in words, for hints ("5 real and 3 generated logits").
        seed: torch's seed right before the call.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    grads: tuple[int | str, ...] = ()
    changes: tuple[int | str, ...] = ()
    note: str = ""
    seed: int = 0


@dataclass
class Result:
    """What one call gave. All fields are plain data (see `encode`), so that they cross as JSON.

    Args:
        error: None, or a short word such as ``raises`` or ``undefined``; `message` says more.
        value: the encoded output; `output` decodes it.
        grads: argument → encoded gradient, None where the output does not depend on it.
        detached: gradients were wanted, but the output carries none.
        cut: of several outputs, the positions of those that carry none, from 1.
        after: argument → encoded state after the call, for `Case.changes`.
        mutated: names of the arguments that were changed and should not have been.
        printed: the first characters of what was printed.
        seconds: processor time of the call; that of the clock depends on what else the machine does.
    """

    error: str | None = None
    message: str | None = None
    value: Any = None
    grads: dict[str, Any] = field(default_factory=dict)
    detached: bool = False
    cut: list[int] = field(default_factory=list)
    after: dict[str, Any] = field(default_factory=dict)
    mutated: list[str] = field(default_factory=list)
    printed: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the call came back at all."""
        return self.error is None

    @property
    def output(self) -> Any:
        """The decoded output: tensors, numbers, lists …"""
        return decode(self.value)

    def gradient(self, argument: int | str) -> Any:
        """Return the decoded gradient with respect to an argument; None where the output does not depend on it."""
        return decode(self.grads.get(str(argument)))

    def changed(self, argument: int | str) -> Any:
        """Return the decoded state of an argument after the call."""
        return decode(self.after.get(str(argument)))


# Plain data ------------------------------------------------------------------------------------------


class _Budget:
    """Counts the numbers that are still allowed to cross."""

    def __init__(self) -> None:
        self.left = MAX_NUMBERS

    def take(self, count: int) -> bool:
        self.left -= count
        return self.left >= 0


def encode(value: Any) -> Any:
    """Return `value` as plain data for JSON: numbers, texts and lists stay, all else becomes a dict with one tag."""
    return _encode(value, 0, _Budget())


def _encode(value: Any, depth: int, budget: _Budget) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if isinstance(value, Tensor):
        return _encode_tensor(value, budget)
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        if kind.__name__ != "ndarray":
            return _encode(value.tolist(), depth + 1, budget) if depth < MAX_DEPTH else {"opaque": kind.__name__}
        plain = _encode_tensor(torch.as_tensor(value), budget) if value.dtype.kind in "fiub" else {"opaque": "ndarray"}
        return plain | {"numpy": True} if "tensor" in plain else plain
    if isinstance(value, int) and abs(value) < 2**63 and budget.take(1):
        return int(value)
    if isinstance(value, (float, Fraction)) and budget.take(1):
        return float(value)
    if isinstance(value, str) and budget.take(1):
        return str(value)[:MAX_TEXT]
    if isinstance(value, Spec):
        return {"spec": value.kind, "options": _encode(value.options, depth + 1, budget)}
    if depth < MAX_DEPTH and budget.take(1):
        if kind is list:
            return [_encode(item, depth + 1, budget) for item in value]
        if isinstance(value, tuple):
            return {"tuple": [_encode(item, depth + 1, budget) for item in value]}
        if isinstance(value, dict):
            pairs = [[k, v] for k, v in value.items()]
            return {"dict": [[_encode(k, depth + 1, budget), _encode(v, depth + 1, budget)] for k, v in pairs]}
    return {"opaque": kind.__name__[:80]}


def _encode_tensor(value: Tensor, budget: _Budget) -> dict[str, Any]:
    tensor = value.detach()
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_complex() or not budget.take(tensor.numel() + 1):
        return {"opaque": f"{type(value).__name__} of {name}, {tuple(tensor.shape)}"[:80]}
    plain: dict[str, Any] = {"tensor": list(tensor.shape), "dtype": name}
    if tensor.device.type != "cpu":
        plain["device"] = tensor.device.type
    if tensor.device.type != "meta":
        plain["data"] = tensor.cpu().reshape(-1).tolist()
    return plain


def decode(plain: Any) -> Any:
    """Return what `encode` was given; a tensor comes back on the CPU.

    Raises:
        ValueError: the data is not what `encode` writes (a process that is not trusted may send anything).
    """
    if plain is None or isinstance(plain, (bool, int, float, str)):
        return plain
    if isinstance(plain, list):
        return [decode(item) for item in plain]
    if not isinstance(plain, dict):
        raise ValueError(f"{type(plain).__name__} is not plain data")
    if "tensor" in plain:
        return _decode_tensor(plain)
    if "tuple" in plain and isinstance(plain["tuple"], list):
        return tuple(decode(item) for item in plain["tuple"])
    if "dict" in plain and isinstance(plain["dict"], list):
        try:
            return {decode(key): decode(value) for key, value in plain["dict"]}
        except TypeError as error:
            raise ValueError("a dict that is not one") from error
    if "spec" in plain:
        return Spec(str(plain["spec"]), decode(plain.get("options", {"dict": []})))
    if "opaque" in plain:
        return Opaque(str(plain["opaque"])[:80])
    raise ValueError("a dict without a known tag")


def _decode_tensor(plain: dict[str, Any]) -> Any:
    shape, data = plain["tensor"], plain.get("data")
    dtype = getattr(torch, str(plain.get("dtype")), None)
    if not isinstance(dtype, torch.dtype) or not isinstance(shape, list):
        raise ValueError("a tensor without dtype or shape")
    if not all(type(size) is int and 0 <= size <= MAX_NUMBERS for size in shape):
        raise ValueError("a tensor of impossible shape")
    if data is None:
        return Opaque(f"tensor on the device {plain.get('device')}"[:80])
    if not isinstance(data, list) or len(data) != math.prod(shape) or len(data) > MAX_NUMBERS:
        raise ValueError("a tensor whose numbers do not fill its shape")
    if not all(type(number) in (bool, int, float) for number in data):
        raise ValueError("a tensor of something else than numbers")
    try:
        return torch.tensor(data, dtype=dtype).reshape(shape)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise ValueError("a tensor that cannot be made") from error


Plain = TypeVar("Plain", Case, Result)


def to_json(items: Sequence[Case] | Sequence[Result]) -> str:
    """Return cases or results as JSON text."""
    plain = []
    for item in items:
        values = {f.name: getattr(item, f.name) for f in fields(item)}
        if isinstance(item, Case):
            values = {name: encode(value) for name, value in values.items()}
        plain.append(values)
    return json.dumps(plain)


def from_json(kind: type[Plain], text: str) -> list[Plain]:
    """Return the cases or results of a JSON text.

    Raises:
        ValueError: the text is not what `to_json` writes. It may come from a process that is not trusted.
    """
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("not a list of records")
    names = {f.name for f in fields(kind)}
    if any(set(item) != names for item in items):
        raise ValueError(f"not a list of {kind.__name__}")
    if kind is Case:
        return [kind(**{name: decode(value) for name, value in item.items()}) for item in items]
    return [_checked_result(item) for item in items]  # type: ignore[misc]


def _checked_result(item: dict[str, Any]) -> Result:
    """Return a result whose every field has its type, and whose values decode."""
    if not isinstance(item["mutated"], list):
        raise ValueError("a result with a wrong field")
    texts = [item["error"] or "", item["message"] or "", item["printed"], *item["mutated"]]
    if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts):
        raise ValueError("a result with a wrong field")
    if not isinstance(item["cut"], list) or not all(type(position) is int for position in item["cut"]):
        raise ValueError("a result with a wrong field")
    if not isinstance(item["detached"], bool) or type(item["seconds"]) not in (int, float):
        raise ValueError("a result with a wrong field")
    if not isinstance(item["grads"], dict) or not isinstance(item["after"], dict):
        raise ValueError("a result with a wrong field")
    try:
        for plain in (item["value"], *item["grads"].values(), *item["after"].values()):
            decode(plain)
    except RecursionError as error:
        raise ValueError("a result nested too deep") from error
    return Result(**item)


# How an answer is exercised --------------------------------------------------------------------------


def call(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The answer is a function; its result is looked at."""
    return answer(*args, **kwargs)


def value(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The answer itself is looked at: a number, a tensor, a list."""
    return answer


def module(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The answer builds a module from all arguments but `inputs`; gives its ``output``, ``parameters``, ``shapes``."""
    options = {name: argument for name, argument in kwargs.items() if name != "inputs"}
    built = answer(*args, **options)
    if not isinstance(built, nn.Module):
        return built
    shapes = [list(p.shape) for p in built.parameters()]
    count = sum(map(math.prod, shapes))
    return {"output": built(kwargs["inputs"]), "parameters": count, "shapes": shapes}


def aftermath(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The answer is a function of modules; its result is looked at, and what it leaves behind.

    Gives ``output``, its ``graph``, ``training`` of all their parts and the ``buffers`` of the modules, and whether
    torch's generator is ``untouched``.
    """
    torch.rand(1)  # or who sets the seed again that a session began with would leave no trace
    before = torch.get_rng_state()
    output = answer(*args, **kwargs)
    modules = [argument for argument in args if isinstance(argument, nn.Module)]
    return {
        "output": output,
        "graph": _carries_graph(output),
        "training": [[part.training for part in built.modules()] for built in modules],
        "buffers": [list(built.buffers()) for built in modules],
        "untouched": torch.equal(before, torch.get_rng_state()),
    }


def kept(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """As `call`, for an answer that must leave modules in the mode, train or eval, in which they came."""
    return answer(*args, **kwargs)


def in_place(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """As `aftermath`, for an answer that changes values of parameters and nothing else of a module."""
    return aftermath(answer, args, kwargs)


def train(answer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The answer is one training step; it is called for each of the batches, which are the last two arguments.

    Gives the last ``log`` that it returns, and whether that carries a ``graph``.
    """
    *players, batches, noises = args
    log = None
    for batch, noise in zip(batches, noises, strict=True):
        log = answer(*players, batch, noise, **kwargs)
    return {"log": log, "graph": _carries_graph(log)}


def _carries_graph(output: Any) -> bool:
    return any(isinstance(item, Tensor) and item.requires_grad for item in _leaves(output))


#: Probe name → function (answer, args, kwargs) → what is looked at. New ones go here, not into a set.
PROBES: dict[str, Callable[[Any, list[Any], dict[str, Any]], Any]] = {
    "call": call,
    "value": value,
    "text": value,
    "module": module,
    "aftermath": aftermath,
    "in_place": in_place,
    "kept": kept,
    "train": train,
}


#: Under which key of what a probe gives the answer's own result stands.
RETURNED = {"module": "output", "aftermath": "output", "in_place": "output", "train": "log"}


def run(answer: Any, cases: Sequence[Case], probe: str = "call") -> list[Result]:
    """Exercise an answer on each case, and stop after the first call that does not come back.

    Never raises for anything that the answer does, but `KeyboardInterrupt`. Arguments are built afresh for each case,
    the random generators seeded by it, and put back at the end.
    """
    results: list[Result] = []
    if probe not in ("value", "text") and not callable(answer):
        what = "nothing" if answer is None else _type_name(answer)
        note = f"a function is expected, and {what} was given. Give the function's name without parentheses"
        return [Result(error="type", message=note)]
    with _random_state_kept(), torch.enable_grad():
        for case in cases:
            results.append(_run_one(answer, case, PROBES[probe]))
            if not results[-1].ok:
                break
    return results


def _run_one(answer: Any, case: Case, probe: Callable[[Any, list[Any], dict[str, Any]], Any]) -> Result:
    args, kwargs, leaves = _build_arguments(case)
    if message := _signature_problem(answer, args, kwargs, probe):
        return Result(error="signature", message=message)
    given = list(enumerate(args)) + list(kwargs.items())
    guarded = [(key, argument) for key, argument in given if key not in case.changes]
    before = [_guarded(argument) for _, argument in guarded]
    owned = {key: _Owned(owner) for key, owner in given if isinstance(owner, nn.Module)}
    result, printed = Result(), _Head(200)
    torch.default_generator.manual_seed(case.seed)  # torch.manual_seed takes ten times longer: it sees to CUDA too
    random.seed(case.seed)
    start, came_back = time.process_time(), False
    try:
        with contextlib.redirect_stdout(printed):
            output = probe(answer, args, kwargs)
        result.seconds = time.process_time() - start
        came_back = True
        for key, before_call in owned.items():
            before_call.check(
                _argument_name(answer, key),
                modes=probe in (kept, in_place),
                frozen=probe is in_place or key not in case.changes,
                slopes=not case.changes,
            )
        if not torch.is_grad_enabled():
            raise Left("it leaves autograd switched off: what comes after it would learn nothing")
        result.value = encode(output)
        if case.grads:
            _take_gradients(result, output, leaves)
        result.after = {str(key): _state(argument) for key, argument in given if key in case.changes}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: whatever an answer raises is told, never passed on
        result = Result(seconds=time.process_time() - start)
        result.error, result.message = _explain(error, came_back)
    result.printed = printed.getvalue()
    changed = [key for (key, argument), old in zip(guarded, before, strict=True) if _guarded(argument) != old]
    result.mutated = [_argument_name(answer, key) for key in changed]
    if result.mutated and result.message and "inplace operation" in result.message:  # what autograd says of it
        result.error, result.message = "mutates", mutation(result.mutated[0])
    return result


def _build_arguments(case: Case) -> tuple[list[Any], dict[str, Any], dict[str, list[Tensor]]]:
    """Return fresh arguments, and for each argument of `case.grads` the tensors to differentiate by."""
    leaves: dict[str, list[Tensor]] = {}
    args: list[Any] = []

    def build(key: int | str, argument: Any) -> Any:
        argument = decode(encode(argument))
        built = _build(argument, args)
        if key not in case.grads:
            return built
        if isinstance(built, nn.Module):
            leaves[str(key)] = list(built.parameters())
            return built
        leaves[str(key)] = [built.requires_grad_()]
        return built.clone()  # no leaf: an in-place change goes through, and is found by its effect

    for position, argument in enumerate(case.args):
        args.append(build(position, argument))
    kwargs = {name: build(name, argument) for name, argument in case.kwargs.items()}
    return args, kwargs, leaves


def _build(argument: Any, built: Sequence[Any]) -> Any:
    if isinstance(argument, Spec):
        return BUILDERS[argument.kind](built, **argument.options)
    if isinstance(argument, (list, tuple)):
        return type(argument)(_build(item, built) for item in argument)
    return argument


def _state(argument: Any) -> Any:
    """Return what must not change of an argument, as plain data; the parameters of a module."""
    if isinstance(argument, nn.Module):
        return [_encode_tensor(parameter, _Budget()) for parameter in argument.parameters()]
    return encode(argument)


def _guarded(argument: Any) -> Any:
    """Return what an answer must leave as it is: the state, and for a module also which parameters take gradients."""
    wanted = [parameter.requires_grad for parameter in argument.parameters()] if isinstance(argument, nn.Module) else []
    return _state(argument), wanted


def _take_gradients(result: Result, output: Any, leaves: dict[str, list[Tensor]]) -> None:
    """Fill in the gradients of sum(output · cotangent); the cotangent is cos 1, cos 2, …, or 1 for a scalar.

    Of several outputs the k-th weighs 1 + k/4 (the first 1), or two of them could take each other's gradient away.
    """
    parts = []
    for position, item in enumerate(_leaves(output)):
        if isinstance(item, Tensor) and item.requires_grad:
            steps = torch.arange(1, item.numel() + 1, device=item.device)
            cotangent = steps.to(item.dtype).cos().reshape(item.shape) if item.numel() > 1 else 1.0
            parts.append((1 + position / 4) * (item * cotangent).sum())
        else:
            result.cut.append(position + 1)
    if not parts:
        result.detached, result.cut = True, []
        result.grads = dict.fromkeys(leaves)
        return
    flat = [tensor for group in leaves.values() for tensor in group]
    found = iter(torch.autograd.grad(sum(parts[1:], parts[0]), flat, allow_unused=True))
    for name, group in leaves.items():
        gradients = [next(found) for _ in group]
        result.grads[name] = encode(gradients if len(group) > 1 else gradients[0])


class _Owned:
    """The parameters that a module came with, what they were like, and which of its parts were in train mode."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.parameters = list(module.parameters())
        self.kinds = [(parameter.dtype, parameter.requires_grad) for parameter in self.parameters]
        self.slopes = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        self.parts = list(module.modules())
        self.modes = [part.training for part in self.parts]

    def check(self, name: str, *, modes: bool, frozen: bool, slopes: bool) -> None:
        """Refuse other parameters than these: values are changed, and not who has them.

        Raises:
            Left: parameters are gone, new or of another type; or they take no gradient any more, have other gradients,
                or the mode is another one, if `frozen` ones, `slopes` and `modes` count.
        """
        now = list(self.module.parameters())
        if len(now) < len(self.parameters):
            raise Left(f"a parameter of {name} is gone")
        if len(now) > len(self.parameters) or any(a is not b for a, b in zip(now, self.parameters, strict=True)):
            raise Left(
                f"it puts new parameters into {name}. Change the values of those that are there: an optimiser that "
                "was made before knows no others"
            )
        for parameter, (kind, wanted) in zip(now, self.kinds, strict=True):
            if parameter.dtype != kind:
                words = (str(dtype).removeprefix("torch.") for dtype in (kind, parameter.dtype))
                raise Left(f"it changes the type of {name}'s parameters from {' to '.join(words)}")
            if frozen and wanted and not parameter.requires_grad:
                raise Left(
                    f"it leaves parameters of {name} with requires_grad=False: they would never learn. What autograd "
                    "is not to see stands under torch.no_grad()"
                )
        if slopes and not all(map(_same_slope, self.slopes, (parameter.grad for parameter in now))):
            raise Left(
                f"it leaves gradients in the parameters of {name}, or takes some away. Differentiate with "
                "torch.autograd.grad, and leave backward() to the caller"
            )
        parts = list(self.module.modules())
        if modes and (len(parts) != len(self.parts) or any(a is not b for a, b in zip(parts, self.parts, strict=True))):
            raise Left(f"it adds parts to {name}, or takes some away")
        for part, mode in zip(self.parts, self.modes, strict=True) if modes else ():
            if part.training != mode:
                which = name if part is self.module else f"a part of {name}, a {type(part).__name__},"
                raise Left(f"it leaves {which} in {'eval' if mode else 'train'} mode, and it came in the other")


def _same_slope(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b is None or (a is not None and b is not None and torch.equal(a, b))


def _leaves(output: Any) -> Iterator[Any]:
    """Yield what lists, tuples and dicts hold."""
    if isinstance(output, (list, tuple, dict)):
        for item in output.values() if isinstance(output, dict) else output:
            yield from _leaves(item)
    else:
        yield output


# Faults in words -------------------------------------------------------------------------------------


class Left(Exception):
    """An argument was left in another state than it may be; the text says how."""


def _explain(error: BaseException, came_back: bool) -> tuple[str, str]:
    """Return the word of a fault and a sentence about it; it may come after the answer `came_back`."""
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:
        text = "(an error without a readable text)"
    if isinstance(error, Left):
        return "state", text
    if isinstance(error, NotImplementedError) and "not implemented for" not in text:  # PyTorch's has these words
        own = _frames(error)
        if len(own) > 1 and own[-1][0] != own[0][0]:
            return "not-done", f"it uses {own[-1][0]}, which is not written yet"
        return "not-done", text or "not written yet"
    if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
        name = getattr(error, "name", None) or text
        return "undefined", f"it uses {name!r}, which is not defined. Run or write the cell that defines it"
    kind = type(error).__name__
    if isinstance(error, RuntimeError) and "same device" in text:
        return "device", f"tensors on different devices meet. The inputs are on the CPU; stay there ({text})"
    place = _place(error)
    if isinstance(error, RuntimeError) and "second time" in text:
        if came_back:
            return (
                "no-grad",
                "its result has been differentiated already; return it, and leave backward() to the caller",
            )
        return "raises", f"it goes backward twice through one graph, and the first backward() has used it up{place}"
    return "raises", f"it stops with {kind}{': ' if text else ''}{text}{place}"


def mutation(name: str) -> str:
    """Return the sentence for an argument that was changed."""
    return f"it changes its argument {name} in place. Work on a copy, and leave the caller's as it is"


def _place(error: BaseException) -> str:
    """Return where in the answer's own code an error arose, counted from the ``def`` line."""
    frames = _frames(error)
    return f" (in {frames[-1][0]}, its line {frames[-1][1]})" if frames else ""


def _frames(error: BaseException) -> list[tuple[str, int]]:
    """Return the functions of a student that an error came through, outermost first, each with a line of its own."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        own = "site-packages" not in code.co_filename and code.co_filename != __file__ and code.co_name != "<module>"
        if own and "gancourse" not in trace.tb_frame.f_globals.get("__name__", ""):
            frames.append((code.co_name, trace.tb_lineno - code.co_firstlineno + 1))
        trace = trace.tb_next
    return frames


def _signature_problem(answer: Any, args: list[Any], kwargs: dict[str, Any], probe: Any) -> str | None:
    """Return a sentence if the answer cannot be called with these arguments."""
    if probe is value:
        return None
    names = {name: argument for name, argument in kwargs.items() if not (probe is module and name == "inputs")}
    try:
        signature = inspect.signature(answer)
    except Exception:  # a callable without a signature is simply called
        return None
    try:
        signature.bind(*args, **names)
    except TypeError as error:
        count = f"{len(args)} argument{'s' * (len(args) != 1)}" if args else "no positional arguments"
        extra = f" and {', '.join(names)}" if names else ""
        return f"it is called with {count}{extra}, and that does not fit {signature}: {error}"
    return None


def _argument_name(answer: Any, key: int | str) -> str:
    """Return the name that an answer gives to an argument."""
    if isinstance(key, str):
        return key
    try:
        return list(inspect.signature(answer).parameters)[key]
    except Exception:
        return f"argument {key + 1}"


def _type_name(value: Any) -> str:
    name = type(value).__name__
    return f"a {name}" if name[:1].lower() not in "aeiou" else f"an {name}"


class _Head(io.TextIOBase):
    """A text stream that keeps the first characters and drops the rest."""

    def __init__(self, size: int) -> None:
        self.size, self.text = size, ""

    def write(self, text: str) -> int:
        if len(self.text) < self.size:
            self.text += text[: self.size - len(self.text)]
        return len(text)

    def writable(self) -> bool:
        return True

    def getvalue(self) -> str:
        return self.text


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    state, python_state = torch.get_rng_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(state)
        random.setstate(python_state)
