"""Short forms in which exercises are declared: tables of numbers, tables of a function's misconceptions, texts.

For example::

    HALF = numbers(
        "game.half",
        "Two losses at equilibrium",
        points=1,
        right="2*log(2)  log(2)",
        table='''
        bits     2       1  | these are bits; the course measures in nats
        no-sum   log(2)  *  | the first number: this loss has two terms, and each costs the same
        ''',
    )

    def d_loss(real, fake, *, average=torch.mean, sign=1): ...

    D_LOSS = function(
        "game.d_loss",
        "A loss",
        points=2,
        cases=cases,
        reference=d_loss,
        let={"sum": torch.sum},
        table='''
        sign          sign=-1      | the sign is turned
        missing-mean  average=sum  | it adds up over the batch; an expectation is a mean
        ''',
    )

A row is an id, some cells, ``|`` and the hint; a line that begins with ``|`` goes on with the hint above. The first row
that an answer agrees with is named, so put the special before the general. Each row is its own mutant: the self-test
tries it. What is wrong with a declaration is told when its set is loaded.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gancourse.checks.core import (
    GENERIC,
    MARGIN,
    Case,
    Cases,
    Comparison,
    Example,
    Exercise,
    Recogniser,
    Result,
    Tolerance,
    close,
    compare,
    given,
    written,
)
from gancourse.errors import UserError, nearest

__all__ = [
    "Like",
    "Places",
    "RightBut",
    "essay",
    "function",
    "generator_of",
    "not_finite",
    "numbers",
    "same",
    "uniform",
    "uniforms",
]

# Tables ----------------------------------------------------------------------------------------------

MATH: dict[str, Any] = {name: thing for name, thing in vars(math).items() if not name.startswith("_")}
_NODES = "Expression Constant BinOp UnaryOp operator unaryop Name Load Call Tuple"
_SYNTAX = tuple(getattr(ast, node) for node in _NODES.split())


@dataclass(frozen=True)
class Line:
    """A row of a table as it is written."""

    word: str
    cells: tuple[str, ...]
    hint: str
    place: str


def _lines(table: str, name: str) -> list[Line]:
    """Return the rows of a table.

    Raises:
        UserError: an id is misspelt or there twice, or a hint is missing.
    """
    lines: list[Line] = []
    for text in table.strip().splitlines():
        head, bar, hint = (part.strip() for part in text.partition("|"))
        if head:
            word, *cells = head.split()
            lines.append(Line(word, tuple(cells), hint, f"{name}, row {word!r}"))
        elif bar and lines:
            lines[-1] = replace(lines[-1], hint=f"{lines[-1].hint} {hint}")
        elif bar:
            raise UserError(f"{name}: the first line of the table has no id: {text.strip()!r}.")
    known: set[str] = set()
    for line in lines:
        word = line.word.removeprefix("+")
        if word in known:
            raise UserError(f"{line.place}: the id is there twice.")
        if word in GENERIC or not word.replace("-", "").isalnum() or word != word.lower():
            raise UserError(f"{line.place}: an id is lower-case words with hyphens, and none of {', '.join(GENERIC)}.")
        if not line.hint or line.hint.endswith("."):
            raise UserError(f"{line.place}: it needs | and a hint in words, without a full stop at its end.")
        known.add(word)
    return lines


def _value(text: str, names: Mapping[str, Any], place: str) -> Any:
    """Return the value of a formula over some names."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        raise UserError(f"{place}: {text!r} is no formula.") from None
    for node in ast.walk(tree):
        if not isinstance(node, _SYNTAX):
            raise UserError(f"{place}: {text!r} is more than arithmetic. Name it in `let`.")
        if isinstance(node, ast.Name) and node.id not in names:
            raise UserError(f"{place}: {text!r} uses {node.id!r}.{nearest(node.id, names)} Name it in `let`.")
    try:
        return eval(compile(tree, place, "eval"), {"__builtins__": {}}, dict(names))
    except Exception as error:
        raise UserError(f"{place}: {text!r} has no value ({error}).") from None


def _number(text: str, names: Mapping[str, Any], place: str) -> float:
    value = _value(text, names, place)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{place}: {text!r} is no number.")
    return float(value)


# Numbers ---------------------------------------------------------------------------------------------


def numbers(
    name: str,
    title: str,
    points: int,
    right: str,
    table: str,
    *,
    let: Mapping[str, Any] | None = None,
    tol: Tolerance = 0.01,
    answer: str = "",
) -> Exercise:
    """Return an exercise that asks for a number or a list of numbers, with a table of misconceptions.

    A row has a cell for each number: a number or a formula without spaces, such as ``2*log(2)``; several with ``;``
    between them, each of which will do; a range ``0..0.1``; ``!`` for any number but the right one; or ``*`` for any.

    Args:
        right: the right numbers, cells like those of the table; a single one makes an exercise without a list.
        let: what the formulas may name besides those of ``math``: numbers, and functions of numbers.
        tol: relative tolerance, for each number; or a tuple with one for each.
        answer: the name that the answer has in the notebook, if not that of the exercise.

    Raises:
        UserError: the table is not as it should be; the row is named.
    """
    names = MATH | dict(let or {})
    wanted = [_number(cell, names, f"{name}, right") for cell in right.split()]
    misconceptions: dict[str, tuple[Any, str]] = {}
    tols = tol if isinstance(tol, tuple) else (tol,) * len(wanted)
    examples: list[Example] = [(f"the answer as {kind}", None, form) for kind, form in _forms_of(wanted, tols)]
    for line in _lines(table, name):
        if len(line.cells) != len(wanted):
            raise UserError(f"{line.place}: {len(line.cells)} cells, and the answer has {len(wanted)} numbers.")
        pairs = zip(line.cells, wanted, strict=True)
        cells = tuple(_cell(cell, value, names, line.place) for cell, value in pairs)
        row = Row(cells, tols, whole=all(cell.values for cell in cells))
        misconceptions[line.word] = row, line.hint
        for tried in row.examples():
            if close(tried, wanted, tol):
                raise UserError(f"{line.place}: this is the right answer.")
            examples.append((f"row {line.word}", line.word, tried if len(wanted) > 1 else tried[0]))
    reference = wanted if len(wanted) > 1 else wanted[0]
    judge = compare(reference, misconceptions, tol=tol, probe="value", examples=examples)
    answer = answer or name.partition(".")[2]
    return Exercise(name=name, title=title, tier="predict", points=points, answer=answer, kind="value", judge=judge)


@dataclass(frozen=True)
class Cell:
    """What a row says of one number: one of these values, a range, anything but the right one, or nothing."""

    right: float
    values: tuple[float, ...] = ()
    range: tuple[float, float] | None = None
    other: bool = False

    def fits(self, x: float, tol: float) -> bool:
        """Return whether a number is what the cell says."""
        if self.values:
            return any(close(x, value, tol) for value in self.values)
        if self.range:
            return self.range[0] <= x <= self.range[1]
        if self.other:
            return math.isfinite(x) and not close(x, self.right, tol)
        return math.isfinite(x) or x == self.right

    def examples(self) -> tuple[float, ...]:
        """Return numbers that fit."""
        if self.other:
            return (-self.right if self.right and math.isfinite(self.right) else 1.0,)
        return self.values or (sum(self.range) / 2 if self.range else self.right,)


def _cell(text: str, right: float, names: Mapping[str, Any], place: str) -> Cell:
    if text in ("*", "!"):
        return Cell(right, other=text == "!")
    if ".." in text:
        low, high = (_number(end, names, place) for end in text.split("..", 1))
        return Cell(right, range=(low, high))
    return Cell(right, tuple(_number(value, names, place) for value in text.split(";")))


@dataclass(frozen=True)
class Row(Recogniser):
    """A row of numbers: what a wrong answer has in each place."""

    cells: tuple[Cell, ...]
    tols: tuple[float, ...]
    whole: bool = True

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return the one case if each number fits its cell."""
        if not judge.has_form(results, expected):
            return ()
        output = results[0].output
        found = output.reshape(-1).tolist() if isinstance(output, Tensor) else output
        found = found if isinstance(found, (list, tuple)) else [found]
        fits = all(cell.fits(float(x), tol) for cell, x, tol in zip(self.cells, found, self.tols, strict=True))
        return (0,) if fits else ()

    def examples(self) -> Iterator[list[float]]:
        """Yield answers that fit, as one would type them."""
        options = [cell.examples() for cell in self.cells]
        for i in range(max(map(len, options))):
            yield _typed([values[i % len(values)] for values in options], self.tols)


def _typed(values: Sequence[float], tols: Sequence[float]) -> list[float]:
    """Return numbers with as many digits as the tolerances ask for."""
    digits = [max(3, math.ceil(-math.log10(tol)) + 2) if tol else 17 for tol in tols]
    pairs = zip(values, digits, strict=True)
    return [float(f"{v:.{d}g}") if math.isfinite(v) and v != int(v) else v for v, d in pairs]


def _forms_of(wanted: list[float], tols: Sequence[float]) -> list[tuple[str, Any]]:
    """Return the right answer in the forms that people give."""
    typed = _typed(wanted, tols)
    if len(wanted) == 1:
        return [("a rounded number", typed[0]), ("a number", wanted[0]), ("a tensor", torch.tensor(wanted[0]))]
    return [("a rounded list", typed), ("a tuple", tuple(wanted)), ("a tensor", torch.tensor(wanted))]


# Functions -------------------------------------------------------------------------------------------


def function(
    name: str,
    title: str,
    points: int,
    cases: Cases,
    reference: Callable[..., Any],
    table: str,
    *,
    let: Mapping[str, Any] | None = None,
    where: str = "",
    tol: float = 1e-4,
    margin: float = MARGIN,
    values: bool = True,
    probe: str = "call",
    answer: str = "",
    judge: type[Comparison] = Comparison,
    **options: Any,
) -> Exercise:
    """Return an exercise that asks for a function, with a table of misconceptions.

    The reference may have knobs: keyword-only arguments whose defaults make it right. A row turns some of them,
    ``knob=value``; or it names another function or a `Recogniser` of `let`, whose knobs may be turned too. The cell
    ``@0,1`` says that the answer has to follow in these cases only, ``@state`` that it has to leave the same of its
    arguments, whatever it returns, and ``.output`` that it follows in this part only of what the probe gives, see
    `Like`. Rows whose id begins with ``+`` are bugs of which some may be left: they stand for themselves and for all
    their mixes.

    Args:
        cases, reference: as in `Exercise` and `compare`.
        let: what the cells name besides numbers: functions, recognisers, values of knobs.
        where: cells beginning with ``@`` for rows without one.
        tol, margin, values: see `compare`.
        answer: the name that the answer has in the notebook, if not that of the exercise.
        judge: the kind of comparison; one's own may look at more.
        options: further arguments of `Exercise`, such as ``trains`` or ``seconds``.

    Raises:
        UserError: the table is not as it should be, or there is no such knob; the row is named.
    """
    names = MATH | dict(let or {})
    misconceptions: dict[str, tuple[Any, str]] = {}
    examples: list[Example] = []
    for line in _with_mixes(_lines(table, name)):
        formula, places, parts = _formula(line, reference, names)
        if not isinstance(formula, Recogniser):
            examples.append((f"row {line.word}", line.word, formula))
            formula = _like(formula, places or where.split(), parts, line.place)
        misconceptions[line.word] = formula, line.hint
    judged = judge(reference, misconceptions, tol, probe, values, margin, tuple(examples))
    answer = answer or name.partition(".")[2]
    given: dict[str, Any] = {"name": name, "title": title, "points": points, "cases": cases, "probe": probe}
    return Exercise(tier="implement", answer=answer, judge=judged, **given, **options)


def _with_mixes(lines: list[Line]) -> Iterator[Line]:
    """Yield rows; in place of the first whose id begins with ``+`` all mixes of these, the largest first."""
    bugs = [replace(line, word=line.word[1:]) for line in lines if line.word[0] == "+"]
    for line in lines:
        if line.word[0] != "+":
            yield line
        elif line.word[1:] == bugs[0].word:
            for count in range(len(bugs), 0, -1):
                for some in combinations(bugs, count):
                    cells = tuple(dict.fromkeys(cell for bug in some for cell in bug.cells))
                    hint = "; and ".join(bug.hint for bug in some)
                    yield Line("-and-".join(bug.word for bug in some), cells, hint, some[0].place)


def _formula(line: Line, reference: Any, names: Mapping[str, Any]) -> tuple[Any, list[str], tuple[str, ...]]:
    """Return the wrong formula or the recogniser of a row, its cells that say where it is followed, and its parts."""
    places = [cell for cell in line.cells if cell.startswith("@")]
    parts = tuple(part for cell in line.cells if cell.startswith(".") for part in cell[1:].split(","))
    formula, knobs = reference, dict[str, Any]()
    for cell in line.cells:
        knob, equals, value = cell.partition("=")
        if equals:
            knobs[knob] = _value(value, names, line.place)
        elif cell[:1] not in ("@", "."):
            formula = _value(cell, names, line.place)
    if formula is reference and not knobs:
        raise UserError(f"{line.place}: no knob is turned and no function is named, so it is the right answer.")
    if isinstance(formula, Recogniser):
        if knobs or places or parts:
            raise UserError(f"{line.place}: a recogniser has no knobs, and looks at the cases that it chooses.")
        return formula, [], ()
    if not callable(formula):
        raise UserError(f"{line.place}: {' '.join(line.cells)!r} names no function.")
    _check_knobs(formula, knobs, line.place)
    return (functools.partial(formula, **knobs) if knobs else formula), places, parts


def _like(formula: Any, places: Sequence[str], parts: tuple[str, ...], place: str) -> Any:
    """Return a formula, to be followed in the cases that cells beginning with ``@`` name, and in these parts."""
    cells = [cell.removeprefix("@") for cell in places]
    state, cases = "state" in cells, [cell for cell in cells if cell != "state"]
    try:
        where = tuple(int(number) for number in cases[0].split(",")) if cases else None
    except ValueError:
        raise UserError(f"{place}: {places[0]!r} should be like '@0,2' or '@state'.") from None
    return Like(formula, where, state, parts) if places or parts else formula


def _check_knobs(formula: Callable[..., Any], knobs: Mapping[str, Any], place: str) -> None:
    """Refuse knobs that a formula does not have."""
    if not knobs:
        return
    parameters = inspect.signature(formula).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for knob in knobs:
        if knob not in known:
            has = f"Its knobs: {', '.join(known)}." if known else "It has none (a knob is a keyword-only argument)."
            raise UserError(f"{place}: no knob {knob!r}.{nearest(knob, known)} {has}")


def same(value: Any) -> Any:
    """Return what is given: a knob that is not turned."""
    return value


# Texts -----------------------------------------------------------------------------------------------


def essay(name: str, title: str, points: int, words: int, rubric: str, answer: str = "") -> Exercise:
    """Return an exercise that asks for a text of so many words; a person grades it by the rubric."""
    given: dict[str, Any] = {"name": name, "title": title, "points": points, "answer": answer or name.partition(".")[2]}
    return Exercise(tier="investigate", kind="text", judge=written(words), rubric=rubric, **given)


# Recognisers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Like(Recogniser):
    """The answer follows a wrong formula in some cases (None: in all), whatever it does in the others.

    With `state` it leaves what the formula leaves of its arguments, whatever it returns. With `parts` it follows in
    these alone: keys of the dict that the probe gives, or positions of arguments that the answer changes. The formula
    must be wrong there.
    """

    formula: Any
    where: tuple[int, ...] | None = None
    state: bool = False
    parts: tuple[str, ...] = ()

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return these cases, and those in which the answer is right, if it follows the formula in all of these."""
        where = range(len(cases)) if self.where is None else self.where
        if self.parts:
            follows = self._follows_in_parts(judge, where, cases, results, expected)
        else:
            follows = judge.follows(self.formula, where, cases, results, expected, self.state)
        if not follows:
            return ()
        return [i for i in range(len(cases)) if i in where or judge.is_right(results[i], expected[i])]

    def _follows_in_parts(
        self,
        judge: Comparison,
        where: Sequence[int],
        cases: list[Case],
        results: list[Result],
        expected: list[Result],
    ) -> bool:
        if not judge.has_form(results, expected):
            return False
        wrong = False
        for i in where:
            (found,) = given(self.formula, [cases[i]], judge.probe)
            for part in self.parts:
                if not found.ok or judge.differ(_part(results[i], part), _part(found, part)):
                    return False
                wrong = wrong or judge.differ(_part(found, part), _part(expected[i], part)) is not None
        return wrong


def _part(result: Result, name: str) -> Any:
    return result.changed(name) if name.isdigit() else result.output[name]


@dataclass(frozen=True)
class RightBut(Recogniser):
    """The answer is right except in some of these cases, where a test (case, result) → bool holds, if there is one."""

    which: tuple[int, ...]
    test: Callable[[Case, Result], bool] | None = None

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return the cases in which the answer is right, if it is wrong in the way of the test in the others."""
        good = [i for i, pair in enumerate(zip(results, expected, strict=True)) if judge.is_right(*pair)]
        bad = [i for i in range(len(cases)) if i not in good]
        if not set(bad) <= set(self.which):
            return ()
        return good if self.test is None or all(self.test(cases[i], results[i]) for i in bad) else ()


def not_finite(case: Case, result: Result) -> bool:
    """Return whether a result is, or holds, NaN or infinity; a test for `RightBut`."""
    return not bool(torch.isfinite(torch.as_tensor(result.output)).all())


@dataclass(frozen=True)
class Places(Recogniser):
    """The answer, a tensor, is right except at some places: a function of the case's arguments gives their mask."""

    mask: Callable[..., Tensor]

    def agrees(
        self, judge: Comparison, cases: list[Case], results: list[Result], expected: list[Result]
    ) -> Sequence[int]:
        """Return all cases if the answer is wrong at such places only."""
        if not judge.has_form(results, expected):
            return ()
        for case, got, want in zip(cases, results, expected, strict=True):
            elsewhere = ~self.mask(*case.args)
            if judge.differ(got.output[elsewhere], want.output[elsewhere]):
                return ()
        return range(len(cases))


# What cases are drawn from ---------------------------------------------------------------------------


def generator_of(seed: int) -> torch.Generator:
    """Return a random generator for the cases of one seed."""
    return torch.Generator().manual_seed(seed)


def uniform(draws: torch.Generator, low: float, high: float) -> float:
    """Return one number, uniform between two."""
    return uniforms(draws, low, high).item()


def uniforms(draws: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return numbers that are uniform between two, in double precision."""
    return low + (high - low) * torch.rand(shape, generator=draws, dtype=torch.float64)
