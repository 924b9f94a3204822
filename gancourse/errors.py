"""Errors written for people: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
import operator
import shlex
from collections.abc import Iterable


class UserError(Exception):
    """Something the person at the keyboard can put right.

    The command line prints its text as one sentence and exits with status 1, without a traceback.
    """


def nearest(given: str, options: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the option closest to `given`, or an empty string."""
    match = difflib.get_close_matches(str(given), list(options), n=1, cutoff=0.5)
    return f" Did you mean {match[0]!r}?" if match else ""


def unknown(kind: str, given: str, options: Iterable[str]) -> UserError:
    """Return the error for a name that is not in `options`, with the nearest name and the full list."""
    options = list(options)
    return UserError(f"Unknown {kind} {given!r}.{nearest(given, options)} Known: {', '.join(options)}.")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise a UserError unless `value` is a whole number between `low` and `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name}={value!r} must be a whole number from {low} to {high}.")
    if not low <= value <= high:
        raise UserError(f"{name}={value!r} is out of range: it is a whole number from {low} to {high}.")


def check_real(name: str, value: object, low: float, high: float) -> None:
    """Raise a UserError unless `value` is a number with `low` ≤ value < `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{name}={value!r} must be a number from {low:g} to below {high:g}.")
    if not low <= value < high:
        raise UserError(f"{name}={value!r} is out of range: it is a number from {low:g} to below {high:g}.")


def check_switch(name: str, value: object) -> None:
    """Raise a UserError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name}={value!r} must be True or False.")


def check_seed(seed: object) -> int:
    """Return a seed as an int: the one check for training, sampling and measuring alike.

    Raises:
        UserError: it is not a whole number in 0 … 2**32 - 1.
    """
    try:
        whole = -1 if isinstance(seed, bool) else operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        whole = -1
    if not 0 <= whole < 2**32:
        raise UserError(f"A seed is a whole number from 0 to 2**32 - 1, got {seed!r}.")
    return whole


def command_line(*words: object) -> str:
    """Return a command that a shell takes as it is printed: words with blanks or other special signs are quoted."""
    return shlex.join(map(str, words))
