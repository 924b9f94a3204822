"""What an exercise is, and how an answer is judged: cases → run (`probes`) → judge.

The judging side alone knows the reference. It reads plain results, wherever they were made. A misconception is claimed
only where `telling` allows it; all other wrong answers get a generic hint.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from gancourse.checks.probes import PROBES, RETURNED, Case, Opaque, Result, Spec, from_json, mutation, run, to_json

__all__ = [
    "Case",
    "Comparison",
    "Exercise",
    "Opaque",
    "Recogniser",
    "Result",
    "Set",
    "Spec",
    "Verdict",
    "When",
    "close",
    "compare",
    "differ",
    "from_json",
    "given",
    "grade",
    "once",
    "right",
    "run",
    "telling",
    "to_json",
    "verdict",
    "written",
    "wrong",
]

TIERS = ("implement", "predict", "investigate")
KINDS = {"function": "call", "value": "value", "text": "text"}

#: Faults that are found for every exercise, whatever its judge.
GENERIC = {
    "not-done": "not written yet",
    "undefined": "needs a name that is not defined",
    "raises": "stops with an exception",
    "signature": "takes other arguments",
    "type": "the result is of another type",
    "shape": "the result has another shape",
    "device": "the result is on another device",
    "nan": "the result is not finite",
    "no-grad": "the result carries no gradient",
    "mutates": "changes an argument in place",
    "slow": "takes too long",
    "constant": "the result is always the same",
    "value": "the value differs",
    "gradient": "the value is right, the gradient is not",
    "state": "an argument is left in another state than it should be",
    "judge-error": "the result could not be read",
}


@dataclass(frozen=True)
class Verdict:
    """The judgement of one answer: right, or wrong with the id of the misconception and a hint in words."""

    ok: bool
    hint_id: str | None = None
    hint: str | None = None


def right() -> Verdict:
    """Return the verdict of a right answer."""
    return Verdict(True)


def wrong(hint_id: str, hint: str) -> Verdict:
    """Return the verdict of a wrong answer."""
    return Verdict(False, hint_id, hint)


Cases = Callable[[int], list[Case]]
Judge = Callable[[list[Case], list[Result]], Verdict]
Example = tuple[str, str | None, Any]
"""An answer to try: a name, the hint id that it must get (None if it is right), and the answer."""


def once(seed: int) -> list[Case]:
    """Cases of an exercise that asks for a value or a text: one, without arguments."""
    return [Case()]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise.

    Args:
        name: set word, a dot, exercise word: ``"game.d_loss"``.
        tier: ``implement``, ``predict`` or ``investigate``.
        answer: the name that the answer has in the notebook.
        kind: ``function``, ``value`` (a number or a list) or ``text`` (a person grades it by the rubric).
        cases: seed → the calls; fresh, asymmetric, batched inputs.
        judge: (cases, results) → verdict. It compares with the reference and names the misconception.
        probe: how the answer is exercised, a name in ``probes.PROBES``; follows from `kind` if not given.
        trains: takes seconds; the self-test then uses 3 seeds.
        seconds: more processor time than this for all cases together is ``slow``.
        rubric: for a text, what a person looks for.
    """

    name: str
    title: str
    tier: str
    points: int
    answer: str
    kind: str = "function"
    cases: Cases = once
    judge: Judge
    probe: str = ""
    trains: bool = False
    seconds: float = 5.0
    rubric: str = ""

    def __post_init__(self) -> None:
        """Fill in the probe, and refuse an exercise that contradicts itself."""
        if not self.probe:
            object.__setattr__(self, "probe", KINDS[self.kind])
        word, _, rest = self.name.partition(".")
        assert word and rest.isidentifier(), f"{self.name!r} should be like 'game.d_loss'"
        assert self.tier in TIERS and self.kind in KINDS and self.probe in PROBES, self.name
        assert self.kind != "text" or self.rubric, f"{self.name}: a text needs a rubric"
        judge_probe = getattr(self.judge, "probe", self.probe)
        assert judge_probe == self.probe, f"{self.name}: compare(…, probe={self.probe!r}) is missing"


@dataclass(frozen=True)
class Set:
    """The exercises of one chapter."""

    word: str
    chapter: str
    title: str
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> int:
        """The points of all exercises together."""
        return sum(e.points for e in self.exercises)


# Grading one answer ----------------------------------------------------------------------------------


def fresh_seed() -> int:
    """Return a seed that nobody can foresee."""
    return secrets.randbelow(2**31)


def grade(exercise: Exercise, answer: Any, seed: int) -> tuple[list[Result], Verdict]:
    """Run an answer in this process and judge it."""
    cases = exercise.cases(seed)
    results = run(answer, cases, exercise.probe)
    return results, verdict(exercise, cases, results)


def verdict(exercise: Exercise, cases: list[Case], results: list[Result], seconds: float = 0.0) -> Verdict:
    """Judge results, wherever they were made. Never raises, whatever the results hold.

    Args:
        seconds: processor time at least, as somebody else has measured it: what results say of themselves may be less.
    """
    for result in results:
        if not result.ok:
            hint_id = result.error if result.error in GENERIC else "raises"
            return wrong(str(hint_id), result.message or GENERIC[str(hint_id)])
    if len(results) != len(cases):
        return wrong("raises", "it did not come back from every call")
    try:
        judged = exercise.judge(cases, results)
        claimed = not judged.ok and judged.hint_id not in GENERIC
        if claimed and len(cases) > 1 and not telling(results, exercise.probe):
            return wrong(*_says_nothing(results, exercise.probe))
    except Exception as error:  # odd results must not stop a whole class from being graded
        return wrong("judge-error", f"its result could not be read ({type(error).__name__})")
    if not judged.ok and judged.hint_id not in ("value", "gradient", "state", "type", "shape"):
        return judged
    if names := sorted({name for result in results for name in result.mutated}):
        return wrong("mutates", mutation(names[0]))
    if not judged.ok:
        return judged
    if (seconds := max(seconds, sum(result.seconds for result in results))) > exercise.seconds:
        return wrong("slow", f"it takes {seconds:.1f} s of processor time, and {exercise.seconds:.0f} s are allowed")
    return judged


def line(exercise: Exercise, judged: Verdict, results: Sequence[Result] = ()) -> str:
    """Return the line that `check` prints."""
    points = f"{exercise.points} point{'s' * (exercise.points != 1)}"
    printed = next((" ".join(result.printed.split()) for result in results if result.printed.strip()), "")
    told = f"\n   (It prints {printed[:60]!r}. That is allowed, and not looked at.)" if printed else ""
    if not judged.ok:
        return f"❌ {exercise.name}: {judged.hint}.{told}"
    if exercise.kind == "text":
        return f"✅ {exercise.name} is written; a person gives its {points} by the rubric.{told}"
    return f"✅ {exercise.name} ({points}){told}"


def table(exercises: Set, checked: Mapping[str, Verdict]) -> str:
    """Return the points of one set as a table of plain text."""
    width = max(len(e.name) for e in exercises.exercises)
    rows, total = [f"{exercises.title}"], 0
    for e in exercises.exercises:
        judged = checked.get(e.name)
        if judged is None:
            state = "·  not tried"
        elif not judged.ok:
            state = f"❌ {judged.hint_id}"
        else:
            state = "✅" if e.kind != "text" else "✅ written, graded by a person"
        points = e.points if judged is not None and judged.ok and e.kind != "text" else 0
        total += points
        given = f"{points} of {e.points}" if e.kind != "text" else f"– of {e.points}"
        rows.append(f"  {e.name:{width}}  {given:>7}  {state}")
    checkable = sum(e.points for e in exercises.exercises if e.kind != "text")
    rows.append(f"  {'points':{width}}  {f'{total} of {checkable}':>7}" + _by_hand(exercises))
    return "\n".join(rows)


def _by_hand(exercises: Set) -> str:
    open_points = sum(e.points for e in exercises.exercises if e.kind == "text")
    return f"  and up to {open_points} by the rubric" if open_points else ""


# Comparing -------------------------------------------------------------------------------------------


MARGIN = 1e-6
Tolerance = float | tuple[float, ...]
"""A relative tolerance; for a list it may be one for each of its items."""


def close(a: Any, b: Any, tol: Tolerance = 1e-4, margin: float = MARGIN) -> bool:
    """Return whether two decoded outputs agree in structure, shape and numbers.

    Numbers may differ by `tol` times the largest expected one (`b`), and by `margin`. Floating types are not told
    apart, nor is a number from a tensor without dimensions. NaN agrees with NaN.
    """
    return differ(a, b, tol, margin) is None


def differ(a: Any, b: Any, tol: Tolerance = 1e-4, margin: float = MARGIN) -> tuple[str, str] | None:
    """Return None if `a` agrees with the expected `b`, else the fault's id and what is wrong in words."""
    if isinstance(a, Opaque):
        kind = "device" if a.type.startswith("tensor on the device") else "type"
        return kind, f"it gives {_kind(a)}; {_expected(b)}"
    if isinstance(b, (list, tuple)):
        return _differ_lists(a, b, tol, margin)
    tol = max(tol) if isinstance(tol, tuple) else tol
    if isinstance(b, dict):
        return _differ_dicts(a, b, tol, margin)
    if b is None or isinstance(b, (str, bool)):
        if isinstance(a, Tensor) and a.ndim == 0 and isinstance(b, bool):
            a = bool(a)
        told = f"it gives {_show(a)}, expected {_show(b)}"
        return ("type", told) if type(a) is not type(b) else None if a == b else ("value", told)
    return _differ_numbers(a, b, tol, margin)


NOTHING = "nothing (None; is a return missing?)"
PARTS = {
    "output": "",
    "log": "",
    "training": "asked after the call whether each module and its parts are in train mode, ",
    "buffers": "among the buffers (running means and the like) after the call, ",
    "graph": "asked whether the result carries a graph, ",
    "untouched": "asked whether the global random generator is untouched, ",
}
"""Parts of what a probe gives, in words."""
AND_ITEM = "; and in item"
"""How a fault of some item is told after that of their number."""


def _differ_lists(a: Any, b: Sequence[Any], tol: Tolerance, margin: float) -> tuple[str, str] | None:
    if isinstance(a, Tensor) and all(isinstance(item, (int, float)) for item in b):
        a = a.tolist()
    if not isinstance(a, (list, tuple)):
        return "type", f"it gives {_kind(a)}; {_expected(b)}"
    tols = tol if isinstance(tol, tuple) else (tol,) * len(b)
    if len(a) != len(b):
        faults = (differ(*items) for items in zip(a, b, tols, (margin,) * len(b), strict=False))
        first = next((f"{AND_ITEM} {i}: {fault[1]}" for i, fault in enumerate(faults, 1) if fault), "")
        return "shape", f"it has {len(a)} item{'s' * (len(a) != 1)}, expected {len(b)}{first}"
    for position, (item, expected) in enumerate(zip(a, b, strict=True)):
        if fault := differ(item, expected, tols[position], margin):
            return fault[0], f"in item {position + 1}, {fault[1]}"
    return None


def _differ_dicts(a: Any, b: Mapping[Any, Any], tol: float, margin: float) -> tuple[str, str] | None:
    if not isinstance(a, dict):
        return "type", f"it gives {_kind(a)}; {_expected(b)}"
    if set(a) != set(b):
        return "type", f"it has the keys {sorted(map(str, a))}, expected {sorted(map(str, b))}"
    for key, expected in b.items():
        if fault := differ(a[key], expected, tol, margin):
            return fault[0], f"under {key!r}, {fault[1]}"
    return None


def _differ_numbers(a: Any, b: Any, tol: float, margin: float) -> tuple[str, str] | None:
    if isinstance(a, bool) or not isinstance(a, (int, float, Tensor)):
        return "type", f"it gives {_kind(a)}; {_expected(b)}"
    shape, wanted = _shape(a), _shape(b)
    if shape != wanted:
        return "shape", f"its shape is {shape}, expected {wanted}"
    got, expected = _numbers(a), _numbers(b)
    if any(not math.isfinite(x) for x, y in zip(got, expected, strict=True) if math.isfinite(y)):
        bad = next(x for x, y in zip(got, expected, strict=True) if math.isfinite(y) and not math.isfinite(x))
        return "nan", f"it gives {bad} where a finite number is expected"
    bound = margin + tol * max((abs(y) for y in expected if math.isfinite(y)), default=0.0)
    for position, (x, y) in enumerate(zip(got, expected, strict=True)):
        if x != y and not abs(x - y) <= bound and not (math.isnan(x) and math.isnan(y)):
            place = f", first at position {_index(position, wanted)}" if len(expected) > 1 else ""
            digits = next((n for n in (4, 6, 9) if _show(x, n) != _show(y, n)), 17)
            if isinstance(b, Tensor) and b.dtype == torch.bool:
                x, y = bool(x) if x in (0, 1) else x, bool(y)
            return "value", f"it gives {_show(x, digits)}, expected {_show(y, digits)}{place}"
    return None


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _numbers(value: Any) -> list[float]:
    return value.double().reshape(-1).tolist() if isinstance(value, Tensor) else [float(value)]


def _index(position: int, shape: tuple[int, ...]) -> str:
    index: list[int] = []
    for size in reversed(shape):
        position, rest = divmod(position, size)
        index.insert(0, rest)
    return str(index)


def _show(value: Any, digits: int = 4) -> str:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, float):
        value += 0.0  # no -0
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e12 else f"{value:.{digits}g}"
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _kind(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = value.type if isinstance(value, Opaque) else type(value).__name__
    return f"an {name}" if name[:1].lower() in tuple("aeiou") else f"a {name}"


def _expected(value: Any) -> str:
    if value is None:
        return "nothing is to be returned"
    if isinstance(value, Tensor):
        return (
            "expected a number (a scalar tensor)"
            if value.ndim == 0
            else f"expected a tensor of shape {tuple(value.shape)}"
        )
    if isinstance(value, (int, float)):
        return "expected a number"
    return f"expected {f'a tuple of {len(value)}' if isinstance(value, tuple) else _kind(value)}"


# Recognising misconceptions --------------------------------------------------------------------------


def telling(results: Sequence[Result], probe: str = "call", alone: bool = False, whole: bool = True) -> bool:
    """Return whether these results say enough to claim a misconception that they agree with.

    Two of them must have values, and different ones: what is the same in every case, NaN or infinite may come from
    anywhere. An exercise with one case only (`alone`) has but one result. There all numbers must agree; where a
    misconception speaks of some of them (not `whole`), the others are numbers too, and not all are the same.
    """
    said = [list(_numbers_said(result, probe)) for result in results]
    if not alone:
        finite = [tuple(x for x in numbers if math.isfinite(x)) for numbers in said]
        return len({numbers if len(set(numbers)) > 1 else numbers[:1] for numbers in finite if numbers}) > 1
    (numbers,) = said
    if any(math.isnan(x) for x in numbers):
        return False
    return bool(numbers) and (whole or len(numbers) == 1 or len(set(numbers)) > 1)


def _numbers_said(result: Result, probe: str) -> Iterator[float]:
    """Yield the numbers of an answer's own result; where it has none, those that it leaves in its arguments."""
    output = result.output
    if isinstance(output, dict) and probe in RETURNED:
        output = output.get(RETURNED[probe])
    numbers = list(_flat(output))
    yield from numbers or (x for key in result.after for x in _flat(result.changed(key)))


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, (int, float, Tensor)):
        yield from _numbers(value)
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _flat(item)


def _says_nothing(results: Sequence[Result], probe: str) -> tuple[str, str]:
    """Return the generic fault of an answer that is the same in every case, or has no numbers."""
    numbers = [x for result in results for x in _numbers_said(result, probe)]
    if numbers and not any(math.isfinite(x) for x in numbers):
        return "nan", f"it gives {numbers[0]} where a finite number is expected"
    return "constant", "it gives the same whatever its arguments are"


def given(formula: Any, cases: Sequence[Case], probe: str) -> list[Result]:
    """Return what a formula of ours gives, and remember it: the self-test holds many answers against it."""
    if probe == "value":
        return run(formula, cases, probe)
    return list(_given(formula, to_json(cases), probe))


@functools.lru_cache(1024)
def _given(formula: Any, cases: str, probe: str) -> tuple[Result, ...]:
    return tuple(run(formula, from_json(Case, cases), probe))


class Recogniser:
    """A misconception that is no wrong formula; it says in which cases an answer agrees with it.

    `whole` is False if it looks at some numbers of a result and not at all of them.
    """

    whole = True

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return the positions of the cases in which the answer agrees; none if it has another fault."""
        raise NotImplementedError


@dataclass(frozen=True)
class When(Recogniser):
    """A misconception that is recognised by a test of an answer of the right form: (cases, results) → bool."""

    test: Callable[[list[Case], list[Result]], bool]
    whole = False

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return all cases if the test holds."""
        return range(len(cases)) if judge.has_form(results, expected) and self.test(cases, results) else ()


@dataclass(frozen=True)
class Comparison:
    """A judge that compares with a reference, and failing that with wrong formulas. Made by `compare`.

    `examples` are answers that the declaration holds anyway.
    """

    reference: Any
    misconceptions: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    tol: Tolerance = 1e-4
    probe: str = "call"
    values: bool = True
    margin: float = MARGIN
    examples: Sequence[Example] = ()

    def __call__(self, cases: list[Case], results: list[Result]) -> Verdict:
        """Return the verdict on the results of these cases."""
        if self.probe == "value" and results[0].value is None:
            return wrong("not-done", f"{GENERIC['not-done']}: the answer is still None")
        expected = given(self.reference, cases, self.probe)
        assert all(result.ok for result in expected), expected[-1].message
        fault = self.fault(cases, results, expected)
        if fault is None:
            return right()
        for hint_id, (formula, text) in self.misconceptions.items():
            if self._claims(formula, cases, results, expected):
                return wrong(hint_id, text)
        return wrong(*fault)

    def _claims(self, formula: Any, cases: list[Case], results: list[Result], expected: list[Result]) -> bool:
        """Return whether an answer agrees with a misconception, in cases that tell something."""
        whole, where = True, range(len(cases))  # type: bool, Sequence[int]
        if isinstance(formula, Recogniser):
            whole = formula.whole
            try:
                where = formula.agrees(self, cases, results, expected)
            except Exception:  # the output is of another type than the test looks for
                return False
        elif not self.follows(formula, where, cases, results, expected):
            return False
        return bool(where) and telling([results[i] for i in where], self.probe, len(cases) == 1, whole)

    def follows(
        self,
        formula: Any,
        where: Sequence[int],
        cases: list[Case],
        results: list[Result],
        expected: list[Result],
        state: bool = False,
    ) -> bool:
        """Return whether an answer gives what a wrong formula gives in these cases.

        Values decide; but where the formula's are all the wanted ones, gradients do. With `state` only what is left of
        the arguments counts.
        """
        decided = False
        for i in where if self.values else ():
            (found,) = given(formula, [replace(cases[i], grads=())], self.probe)
            if not found.ok or (not state and self.differ(results[i].output, found.output)):
                return False
            if any(self.differ(results[i].changed(key), found.changed(key)) for key in found.after):
                return False
            decided = decided or not cases[i].grads or self.differ(found.output, expected[i].output) is not None
        if decided:
            return True
        for i in where:
            (found,) = given(formula, [cases[i]], self.probe)
            if not found.ok or self.fault([cases[i]], [results[i]], [found]):
                return False
        return True

    def differ(self, a: Any, b: Any) -> tuple[str, str] | None:
        """Return the first difference of two outputs by this judge's tolerances, see `differ`."""
        return differ(a, b, self.tol, self.margin)

    def is_right(self, got: Result, want: Result) -> bool:
        """Return whether one result is right."""
        return self._fault(got, want) is None

    def has_form(self, results: list[Result], expected: list[Result]) -> bool:
        """Return whether all results have the expected types and shapes."""
        faults = (self.differ(got.output, want.output) for got, want in zip(results, expected, strict=True))
        return all(fault is None or fault[0] in ("value", "nan") for fault in faults)

    def fault(self, cases: list[Case], results: list[Result], expected: list[Result]) -> tuple[str, str] | None:
        """Return the first difference between results and expected ones: its id and a sentence."""
        for case, got, want in zip(cases, results, expected, strict=True):
            if found := self._fault(got, want):
                return found[0], found[1] + (f" (for {case.note})" if case.note else "")
        return None

    def _fault(self, got: Result, want: Result) -> tuple[str, str] | None:
        if got.detached and not want.detached and isinstance(got.output, (int, float)):
            return "type", "it gives a plain number, which carries no gradient; expected a scalar tensor"
        found = self.differ(got.output, want.output)
        if found and (self.values or found[0] != "value"):
            if self.probe == "value" and found[0] == "value":  # the number asked for must not be told
                return "value", found[1].partition(", expected")[0] + ", and that is not it"
            if self.probe == "value":
                return found[0], found[1].partition(AND_ITEM)[0].replace(NOTHING, "None: it is not filled in")
            for key, words in PARTS.items() if self.probe in RETURNED else ():
                found = found[0], found[1].replace(f"under {key!r}, ", words, 1)
            return found
        but, right_value = ("the value is right, but ", "the value is right, ") if self.values else ("", "")
        if got.detached and not want.detached:
            return "no-grad", f"{but}the result carries no gradient: the graph is cut"
        if got.detached != want.detached:
            return "gradient", f"{but}the result should carry no gradient"
        cut = [position for position in got.cut if position not in want.cut]
        for key in want.grads:
            if text := _differ_gradients(got.gradient(key), want.gradient(key), self.tol):
                if cut:
                    return "no-grad", f"{but}item {cut[0]} of the result carries no gradient: the graph is cut"
                name = _name(self.reference, key)
                told = f"the gradient with respect to {name} is not" + ("" if self.values else " right")
                return "gradient", f"{right_value}{told}: {text}"
        for key in want.after:
            if found := self.differ(got.changed(key), want.changed(key)):
                name = _name(self.reference, key)
                return "state", f"after the call, {name} is not what it should be: {found[1]}"
        return None


def _differ_gradients(a: Any, b: Any, tol: Tolerance) -> str | None:
    """Return None if two gradients agree; no gradient counts as one of zeros."""
    if isinstance(b, list):
        if isinstance(a, list) and len(a) != len(b):  # a process that is not trusted may send fewer
            return "there is not one for each parameter"
        pairs = zip(a if isinstance(a, list) else [None] * len(b), b, strict=True)
        return next((text for x, y in pairs if (text := _differ_gradients(x, y, tol))), None)
    if a is None or b is None:
        other = b if a is None else a
        same = other is None or (isinstance(other, Tensor) and not other.any())
        return None if same else ("there is none" if a is None else "there should be none")
    fault = differ(a, b, tol)
    return fault[1] if fault else None


def _name(function: Any, key: str) -> str:
    """Return the name of an argument of the reference."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_varnames[int(key)] if code is not None and key.isdigit() else f"argument {key}"


def compare(
    reference: Any,
    misconceptions: Mapping[str, tuple[Any, str]] | None = None,
    *,
    tol: Tolerance = 1e-4,
    margin: float = MARGIN,
    values: bool = True,
    probe: str | None = None,
    examples: Sequence[Example] = (),
) -> Comparison:
    """Return the judge that compares outputs, gradients and changed arguments with those of a reference.

    Args:
        reference: the right function; for an exercise that asks for a value, the value.
        misconceptions: hint id → (the wrong function or value, or a `Recogniser`; the hint in words, without a full
            stop). They are tried in this order when the answer is wrong; the first that gives the same results is
            named, if they tell something (see `telling`). When none does, the hint is generic: what was given, and
            what was expected.
        tol, margin: tolerances, relative and absolute, see `close`.
        values: False compares gradients alone, as for a loss that may differ by a constant.
        probe: as the exercise's; follows from the reference if not given.
        examples: what the self-test tries beside the answers of ``tests/mutants``.
    """
    probe = probe or ("call" if callable(reference) else "value")
    return Comparison(reference, dict(misconceptions or {}), tol, probe, values, margin, tuple(examples))


_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A character of Chinese or Japanese, whose words are not set apart; else a run of letters and digits."""


def count_words(text: str) -> int:
    """Return how many words and numbers a text has; marks, lines of tables and the like are none."""
    joined = re.sub(r"(?<=\w)[-–'’.,/_^=](?=\w)", "", text)  # one word: don't, 0.25, W_1
    return len(_WORD.findall(joined.replace("_", " ")))


def written(words: int) -> Judge:
    """Return the judge of a text: it must be there and have this many words. A person grades it by the rubric."""

    def judge(cases: list[Case], results: list[Result]) -> Verdict:
        text = results[0].value
        if text is None or text == "":
            return wrong("not-done", "nothing is written yet")
        if not isinstance(text, str):
            return wrong("type", f"a text in quotes is expected, and {_kind(results[0].output)} was given")
        if (count := count_words(text)) < words:
            return wrong("too-short", f"it has {count} word{'s' * (count != 1)}; at least {words} are asked for")
        return right()

    return judge
