"""The test of the checks themselves: right answers pass, and each typical wrong one gets the hint meant for it.

The reference of an exercise is taken from the solutions notebook, so that what students get to see is tested too. The
rows and knobs of an exercise's declaration are tried (see `forms`), and the answers in ``tests/mutants``, which is not
part of the wheel. Odd answers, such as NaN everywhere, must get a generic hint.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancourse import checks
from gancourse.checks import build, core, sets
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError

SEEDS = 20
SEEDS_TRAINING = 3
SEEDS_QUICK = 3
WRONG_AT_LEAST = {"function": 6, "value": 3, "text": 1}
RIGHT_AT_LEAST = {"function": 3, "value": 3, "text": 1}
OWN_WORDS_AT_LEAST = {"function": 3, "value": 0, "text": 0}
"""So many of the mutants must be in ``tests/mutants``: written as a student would, and not by turning a knob."""


@dataclass
class Row:
    """What was tried of one exercise."""

    name: str
    right: int = 0
    wrong: int = 0
    times: list[float] = field(default_factory=list)  # milliseconds of processor time; nothing is decided by them
    faults: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median time of a check, in milliseconds."""
        return statistics.median(self.times) if self.times else 0.0


def answers(root: Path, word: str) -> dict[str, Any]:
    """Return exercise name → its `Answers`, from ``tests/mutants/WORD.py``.

    Raises:
        UserError: there is no such file.
    """
    folder = root / "tests" / "mutants"
    if not (folder / f"{word}.py").is_file():
        raise UserError(f"There is no {folder / f'{word}.py'}: the set {word} has no mutants.")
    if "gancourse_mutants" not in sys.modules:
        place = {"submodule_search_locations": [str(folder)]}
        spec = importlib.util.spec_from_file_location("gancourse_mutants", folder / "__init__.py", **place)  # type: ignore[arg-type]
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules["gancourse_mutants"] = package
        spec.loader.exec_module(package)
    kind = sys.modules["gancourse_mutants"].Answers
    module = importlib.import_module(f"gancourse_mutants.{word}")
    return {value.exercise: value for value in vars(module).values() if isinstance(value, kind)}


def references(root: Path, word: str) -> dict[str, Any]:
    """Return the names that the solutions notebook of a set defines. Cells tagged ``training`` are not run.

    Raises:
        UserError: there is no such notebook.
    """
    chapter = INDEX[word][0]
    path = root / "notebooks" / "solutions" / f"{chapter}.ipynb"
    if not path.is_file():
        raise UserError(f"There is no {path}: the set {word} has no source.")
    with contextlib.redirect_stdout(io.StringIO()):
        return build.execute(build.read(path), chapter)


def try_exercise(exercise: core.Exercise, reference: Any, tried: Any, seeds: Sequence[int]) -> Row:
    """Grade the reference, every right and every wrong answer of one exercise on each seed."""
    own = list(tried.refused) if tried else []
    examples = getattr(exercise.judge, "examples", ())
    right = [("the solutions notebook", reference), *(tried.accepted if tried else [])]
    right += [(name, answer) for name, hint_id, answer in examples if hint_id is None]
    wrong = own + [example for example in examples if example[1] is not None]
    row = Row(exercise.name, len(right), len(wrong))
    exercise = replace(exercise, seconds=math.inf)  # a busy machine changes no verdict
    if len(right) - 1 < RIGHT_AT_LEAST[exercise.kind]:
        row.faults.append(
            f"{len(right) - 1} right answers besides the reference; {RIGHT_AT_LEAST[exercise.kind]} needed"
        )
    if len(wrong) < WRONG_AT_LEAST[exercise.kind]:
        row.faults.append(f"{len(wrong)} mutants; {WRONG_AT_LEAST[exercise.kind]} needed")
    if len(own) < OWN_WORDS_AT_LEAST[exercise.kind]:
        row.faults.append(f"{len(own)} mutants in tests/mutants; {OWN_WORDS_AT_LEAST[exercise.kind]} needed")
    row.faults += odd_faults(exercise, reference, seeds[0])
    for seed in seeds:
        for name, answer in right:
            judged = _timed(exercise, answer, seed, row)
            if not judged.ok:
                row.faults.append(f"right answer {name}, seed {seed}: refused with {judged.hint_id}: {judged.hint}")
        for name, hint_id, answer in wrong:
            judged = _timed(exercise, answer, seed, row)
            if judged.ok:
                row.faults.append(f"mutant {name}, seed {seed}: accepted, should get {hint_id}")
            elif judged.hint_id != hint_id:
                row.faults.append(
                    f"mutant {name}, seed {seed}: got {judged.hint_id} ({judged.hint}), should get {hint_id}"
                )
    return row


def odd_faults(exercise: core.Exercise, reference: Any, seed: int) -> list[str]:
    """Return what is wrong with the hints of odd answers: each must be generic, or name just this answer."""
    faults = []
    for name, answer in odd_answers(exercise, reference):
        judged = core.grade(exercise, answer, seed)[1]
        named = getattr(exercise.judge, "misconceptions", {}).get(judged.hint_id, (None,))[0]
        if exercise.kind == "value" and named is not None and getattr(named, "whole", True):
            continue  # a number that is itself a misconception, as 0 may be
        if judged.ok or judged.hint_id not in core.GENERIC:
            faults.append(f"odd answer {name}, seed {seed}: got {judged.hint_id} ({judged.hint}), should be generic")
    return faults


def odd_answers(exercise: core.Exercise, reference: Any) -> Iterator[tuple[str, Any]]:
    """Yield answers that hold no misconception: the same everywhere, of another form, or none at all."""
    if exercise.kind == "text":
        return

    def like(change: Callable[[Any], Any]) -> Any:
        return change(reference) if exercise.kind == "value" else lambda *args, **kw: change(reference(*args, **kw))

    def raises(*args: Any, **kw: Any) -> None:
        raise ValueError

    for number in (math.nan, math.inf, -math.inf, 0.0, 1.0, 0.37):
        yield f"{number} everywhere", like(functools.partial(_filled, number))
        yield f"the number {number}", number if exercise.kind == "value" else _always(number)
    yield "of another shape", like(lambda given: given[None] if isinstance(given, Tensor) else [given])
    yield (
        "with one number more",
        like(lambda given: [*given, 1.0] if isinstance(given, (list, tuple)) else [given, 1.0]),
    )
    yield "a text", like(lambda given: "a text")
    yield "an object", like(lambda given: object())
    if exercise.kind == "value":
        yield "None", None
    else:
        yield "raising", raises
        if not _gives_nothing(exercise, reference):
            yield "None", _always(None)


def _always(output: Any) -> Callable[..., Any]:
    return lambda *args, **kw: output


def _filled(number: float, given: Any) -> Any:
    """Return an answer of the same form, filled with a number."""
    if isinstance(given, Tensor):
        return torch.full(given.shape, number)
    if isinstance(given, (list, tuple)):
        return [_filled(number, item) for item in given]
    if isinstance(given, dict):
        return {key: _filled(number, item) for key, item in given.items()}
    return number


def _gives_nothing(exercise: core.Exercise, reference: Any) -> bool:
    """Return whether the right answer itself returns None, as one that changes an argument."""
    (result,) = core.run(reference, exercise.cases(0)[:1], exercise.probe)
    output = result.output
    return output is None or isinstance(output, dict) and output.get("output", 0) is None


def _timed(exercise: core.Exercise, answer: Any, seed: int, row: Row) -> core.Verdict:
    start = time.process_time()
    _, judged = core.grade(exercise, answer, seed)
    row.times.append(1e3 * (time.process_time() - start))
    return judged


def try_set(word: str, root: Path, seeds: int = SEEDS) -> list[Row]:
    """Try every exercise of a set. Answers for an exercise that the set does not have are a fault too."""
    exercises = checks.load_set(word).exercises
    tried, namespace = answers(root, word), references(root, word)
    rows = []
    for exercise in exercises:
        if exercise.answer not in namespace:
            rows.append(Row(exercise.name, faults=[f"the solutions notebook defines no {exercise.answer}"]))
            continue
        number = min(seeds, SEEDS_TRAINING) if exercise.trains else seeds
        rows.append(try_exercise(exercise, namespace[exercise.answer], tried.get(exercise.name), range(number)))
    strange = sorted(set(tried) - {e.name for e in exercises})
    rows += [Row(name, faults=["tests/mutants has answers for it, the set does not have it"]) for name in strange]
    return rows


def selftest(word: str | None = None, seeds: int = SEEDS, root: Path | None = None) -> None:
    """Try every set, or one, and print a table; the last line has the totals.

    Raises:
        UserError: something is wrong; each fault is named with exercise, answer, seed and hint.
    """
    if word is not None:
        word = sets.word(word)
    root = root or build.checkout()
    torch.set_num_threads(1)
    words = [word] if word else list(INDEX)
    print(f"{'exercise':34}{'right':>6}{'mutants':>9}{'gradings':>10}{'ms/check':>10}")
    rows: list[Row] = []
    start = time.monotonic()
    for each in words:
        for row in try_set(each, root, seeds):
            rows.append(row)
            state = "" if not row.faults else f"   {len(row.faults)} faults"
            print(f"{row.name:34}{row.right:6}{row.wrong:9}{len(row.times):10,}{row.median:10.1f}{state}", flush=True)
    faults = [f"{row.name}: {fault}" for row in rows for fault in row.faults]
    for fault in faults:
        print(fault)
    right, wrong = sum(row.right for row in rows), sum(row.wrong for row in rows)
    gradings = sum(len(row.times) for row in rows)
    said = "right answers accepted, " if not faults else "right answers, "
    told = "mutants refused, each with its own hint" if not faults else "mutants"
    print(
        f"{len(rows)} exercises in {len(words)} sets: {right} {said}{wrong} {told}; "
        f"{gradings:,} gradings, {len(faults)} faults, {time.monotonic() - start:.0f} s"
    )
    if faults:
        raise UserError(f"The self-test found {len(faults)} faults.")
