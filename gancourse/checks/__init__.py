"""Checks of the exercises: ``check("game.d_loss", d_loss)`` prints ✅, or ❌ with a hint.

Importing this loads no torch; the first check does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gancourse.checks.sets import INDEX
from gancourse.console import say
from gancourse.errors import UserError, nearest, unknown

if TYPE_CHECKING:
    from gancourse.checks.core import Exercise, Set, Verdict

__all__ = ["check", "exercise", "names", "passes", "require", "solved", "summary"]

#: What was checked in this session: exercise name → the verdict of its last check.
_checked: dict[str, Verdict] = {}


def check(name: str, answer: Any, *, seed: int | None = None) -> None:
    """Check an answer on fresh random inputs, and print one line: ✅, or ❌ with a hint.

    Args:
        name: the exercise, such as ``"game.d_loss"``; an unknown one is told with the nearest.
        answer: the function itself (not its result), or the number, list or text that the exercise asks for.
        seed: the seed of the inputs; without it each check draws new ones.

    A wrong answer never raises an exception. The state of the random number generators stays as it was.
    """
    passes(name, answer, seed=seed)


def passes(name: str, answer: Any, *, seed: int | None = None) -> bool:
    """Check like `check`, and return whether the answer is right."""
    try:
        found = exercise(name)
    except UserError as error:
        say(f"❌ {error}")
        return False
    from gancourse.checks import core

    results, verdict = core.grade(found, answer, core.fresh_seed() if seed is None else seed)
    _checked[name] = verdict
    say(core.line(found, verdict, results))
    return verdict.ok


def require(name: str, answer: Any, *, seed: int | None = None) -> None:
    """Check without printing, and raise if the answer is wrong: the form that nbgrader and Otter understand.

    Raises:
        AssertionError: the answer is wrong; the text is the line that `check` prints.
        UserError: there is no such exercise.
    """
    found = exercise(name)
    from gancourse.checks import core

    results, verdict = core.grade(found, answer, core.fresh_seed() if seed is None else seed)
    if not verdict.ok:
        raise AssertionError(core.line(found, verdict, results))


def solved(name: str) -> bool:
    """Return whether the last check of this exercise in this session was ✅."""
    return name in _checked and _checked[name].ok


def summary(word: str | None = None) -> None:
    """Print a table of points: the exercises of one set, or of every set that was checked in this session."""
    words = [word] if word else list(dict.fromkeys(name.split(".")[0] for name in _checked))
    if not words:
        say("No check has run yet. Run the cells that call check(…), then this one again.")
        return
    from gancourse.checks import core

    try:
        sets = [load_set(word) for word in words]
    except UserError as error:
        say(f"❌ {error}")
        return
    say("\n\n".join(core.table(exercises, _checked) for exercises in sets))


def load_set(word: str) -> Set:
    """Return a set by its word, such as ``"game"``.

    Raises:
        UserError: there is no such set.
    """
    if word not in INDEX:
        raise unknown("exercise set", word, INDEX)
    import importlib

    return importlib.import_module(f"gancourse.checks.sets.{word}").SET


def exercise(name: str) -> Exercise:
    """Return an exercise by its name, such as ``"game.d_loss"``.

    Raises:
        UserError: there is no such exercise; the text suggests the nearest.
    """
    word = str(name).split(".")[0]
    if word in INDEX:
        exercises = {e.name: e for e in load_set(word).exercises}
        if name in exercises:
            return exercises[name]
        raise unknown("exercise", str(name), exercises)
    options = names()
    # "d_loss" alone is meant as "game.d_loss"
    guess = [option for option in options if option.split(".")[1] == name]
    hint = f" Did you mean {guess[0]!r}?" if guess else nearest(str(name), options)
    raise UserError(f"Unknown exercise {str(name)!r}.{hint} Sets: {', '.join(INDEX)}.")


def names() -> list[str]:
    """Return the names of all exercises, in the order of the chapters."""
    return [e.name for word in INDEX for e in load_set(word).exercises]
