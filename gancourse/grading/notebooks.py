"""The code that one answer needs, found in a submitted notebook by name.

Nothing is run here. An answer is a name that a statement of some cell binds: a function, a class, an assignment. What
it uses is followed by name, through helpers, imports and constants of any cell, as a clean run from top to bottom would
find them, and so is what fills a table or a registry that it uses. Bare calls, and loops that hold one, are never part
of it, so no training is run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gancourse.grading.cells import MAX_CODE, Notebook, Statement, Unreadable, read

__all__ = ["Answer", "Notebook", "Unreadable", "find", "read"]

END = 1 << 30
"""A position after every statement."""

MAX_STEPS = 100_000
"""So many times a statement is looked at for one answer; an ordinary one needs some hundred."""


class TooFar(Exception):
    """An answer needs more than the grader follows."""


@dataclass(frozen=True)
class Answer:
    """The code that an answer needs: pieces of (source, label), in the order in which they are run.

    Args:
        missing: names that it uses and that no cell defines in a way that may be run, each with the reason.
        notes: what an instructor should know, such as a second definition.
    """

    code: tuple[tuple[str, str], ...]
    missing: dict[str, str]
    notes: tuple[str, ...]


def find(notebook: Notebook, name: str, index: Index | None = None) -> Answer | str:
    """Return the code that the answer `name` needs, or a sentence that says why there is none.

    Args:
        index: of the notebook, if there is one already.
    """
    index = index or Index(notebook)
    index.left = MAX_STEPS
    runnable = index.binders(name)
    if not runnable:
        return index.reason(name)
    if runnable[-1].imports:
        return f"{name!r} is imported in cell {runnable[-1].cell} and not written"
    follower = _Follower(index)
    try:
        follower.follow(name, END)
    except TooFar:
        return f"{name!r} needs more definitions of the notebook than the grader follows"
    notes = []
    if len(runnable) > 1:
        numbers = [str(s.cell) for s in runnable]
        numbers = numbers if len(numbers) <= 10 else [*numbers[:9], "…", numbers[-1]]
        notes.append(f"{name} is defined {len(runnable)} times (cells {', '.join(numbers)}); the last one counts")
    pieces = sorted(follower.order.values(), key=lambda s: s.position)
    if sum(len(s.source) for s in pieces) > MAX_CODE:
        return f"{name!r} needs more than {MAX_CODE:,} characters of code"
    if _out_of_order(pieces):
        pieces = list(follower.order.values())
        notes.append("the cells do not run from top to bottom")
    notes += sorted({f"uses {module}" for s in pieces for module in s.course})
    return Answer(tuple((s.source, f"cell {s.cell}") for s in pieces), follower.missing, tuple(notes))


def _out_of_order(pieces: list[Statement]) -> bool:
    """Return whether some statement uses at once what only a later one binds."""
    bound: set[str] = set()
    own = {name for piece in pieces for name in piece.facts.binds}
    for piece in pieces:
        if (piece.facts.now & own) - bound - piece.facts.binds:
            return True
        bound |= piece.facts.binds
    return False


# Following names -------------------------------------------------------------------------------------


class _Follower:
    """Collects the statements that a name needs, as of a position in the notebook."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.order: dict[int, Statement] = {}  # what a statement needs stands before it
        self.missing: dict[str, str] = {}
        self._seen: set[tuple[Any, ...]] = set()
        self._done: dict[tuple[str, int], int] = {}

    def follow(self, name: str, position: int) -> None:
        """Collect what makes `name` as of `position`."""
        work: list[tuple[str | Statement, int, bool, bool]] = [(name, position, True, False)]
        while work:  # no recursion: a notebook may have any number of helpers that call each other
            item, at, must, kept = work.pop()
            if isinstance(item, Statement):
                self.order.setdefault(item.position, item)
                continue
            if (item, at, kept) in self._seen:
                continue
            self._seen.add((item, at, kept))
            for statement in self._makers(item, at, must, kept):
                facts = statement.facts
                called = at if statement.position < at else END
                key = statement.position, (called if facts.later or facts.wanted else -1)
                if key in self._seen:
                    continue
                self._seen.add(key)
                self.index.count(1 + len(facts.now) + len(facts.later) + len(facts.wanted))
                work.append((statement, at, must, False))
                work += [(each, called, False, False) for each in sorted(facts.wanted)]
                work += [(each, called, must, False) for each in sorted(facts.later)]
                work += [(each, statement.position, must, each in facts.keeps) for each in sorted(facts.now)]

    def _makers(self, name: str, position: int, must: bool, kept: bool) -> list[Statement]:
        """Return the statements that make a name as of a position, without those that need not be looked at again.

        Of what is `kept` under another name, later changes count too.
        """
        events = self.index.events(name)
        if not events.binders:
            if must and (not self.index.stars or self.index.left_out(name)):
                self.missing.setdefault(name, self.index.reason(name))
            return self.index.stars if must else []
        start, stop = events.before(position, kept)
        done = self._done.get((name, start), start)
        self._done[name, start] = max(done, stop)
        # what its functions need depends on the position from which they are called
        found = [each for each in events.all[start : min(done, stop)] if each.facts.later or each.facts.wanted]
        found += events.all[done:stop]
        self.index.count(stop - start)
        return found


# Where a name is bound and changed -------------------------------------------------------------------


class Index:
    """Name → the statements that bind it, change it, or use it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.left = MAX_STEPS
        self.stars: list[Statement] = []
        self._strong, self._weak, self._left_out = _lists(), _lists(), _lists()
        self._changes, self._registers, self._wrapped_by = _lists(), _lists(), _lists()
        self._called_by, self._derived, self._calls = _lists(), _lists(), _lists()
        self._aliases: dict[str, list[str]] = defaultdict(list)
        self._effects: dict[str, set[str]] = defaultdict(set)  # name → what is bound to functions that change it
        self._watched: set[str] = set()
        self._loopless: dict[str, bool] = {}
        self._events: dict[str, _Events] = {}
        for statement in notebook.statements:
            self._add(statement)

    def _add(self, statement: Statement) -> None:
        facts = statement.facts
        if not statement.runs:
            for name in facts.binds | facts.skipped:
                self._left_out[name].append(statement)
            return
        if "*" in facts.binds:
            self.stars.append(statement)
        for names, table in (
            (facts.binds - facts.weak, self._strong),
            (facts.weak, self._weak),
            (facts.skipped, self._left_out),
            (facts.changes, self._changes),
            (facts.registers, self._registers),
            (facts.wrappers, self._wrapped_by),
            (facts.later, self._called_by),
            (facts.bases, self._derived),
            (facts.calls, self._calls),
        ):
            for name in names:
                table[name].append(statement)
        for name in facts.effects:
            self._effects[name] |= facts.binds
        for alias, other in facts.aliases:
            self._aliases[other].append(alias)
        self._watched |= facts.watched

    def count(self, steps: int) -> None:
        """Count steps.

        Raises:
            TooFar: they were too many for one answer.
        """
        self.left -= steps
        if self.left < 0:
            raise TooFar

    def binders(self, name: str) -> list[Statement]:
        """Return the statements that may be run and bind a name; loops that count with it if there are no others."""
        found = self._strong.get(name) or self._weak.get(name)
        if found is None and name in self._effects:  # global in a function, which some assignment calls
            makers = self._effects[name]
            self.count(len(makers))
            found = [each for maker in makers for each in self._calls.get(maker, ())]
            found.sort(key=lambda statement: statement.position)
        return found or []

    def left_out(self, name: str) -> bool:
        """Return whether some part that is not run binds a name."""
        return name in self._left_out

    def reason(self, name: str) -> str:
        """Return why there is no statement to run for a name."""
        if left_out := self._left_out.get(name):
            return f"{name!r} is only made in cell {left_out[-1].cell}, in a part that the grader does not run"
        if name in self.notebook.broken:
            return f"{name!r} seems to be in cell {self.notebook.broken[name]}, which cannot be read"
        if makers := sorted(self._effects.get(name, ())):
            return f"{name!r} is only made when {makers[0]!r} is called, and the grader runs no bare calls"
        return f"{name!r} is defined in no cell"

    def events(self, name: str) -> _Events:
        """Return what happens to a name."""
        if name not in self._events:
            binders = self.binders(name)
            changers = list(self._changes.get(name, ()))
            if not self._foreign(name):
                changers += self._changers(name, binders)
            self.count(len(binders) + len(changers))
            self._events[name] = _Events(name, binders, changers)
        return self._events[name]

    def _foreign(self, name: str) -> bool:
        """Return whether a name is no thing of the notebook's: it is imported, or stands for something imported."""
        for _ in range(5):
            binders = self.binders(name)
            if not binders or binders[-1].imports:
                return True
            others = [other for alias, other in binders[-1].facts.aliases if alias == name]
            if not others:
                return False
            name = others[0]
        return False

    def _changers(self, name: str, binders: Sequence[Statement]) -> list[Statement]:
        """Return the statements that change what a name stands for, and do not have its name on the left."""
        found: list[Statement] = []
        together = {name} | {other for each in binders if each.facts.makers for other in each.facts.binds}
        for each in together:
            found += self._registers.get(each, ())
            made_by = {maker for binder in self.binders(each) for maker in binder.facts.makers}
            if any(binder.defines for maker in made_by for binder in self.binders(maker)):
                found += self._wrapped_by.get(each, ())  # an object of the notebook's own that decorates
        for alias in self._aliases_of(name):
            found += [*self._changes.get(alias, ()), *self._registers.get(alias, ())]
        if name in self._effects or name in self._watched:
            found += self._caused(name)
        self.count(len(together) + len(found))
        return found

    def _aliases_of(self, name: str) -> set[str]:
        """Return the names that may stand for the same thing, or for a part of it."""
        found, work = set(), [name]
        while work:
            for alias in self._aliases.get(work.pop(), ()):
                self.count(1)
                if alias not in found and alias != name:
                    found.add(alias)
                    work.append(alias)
        return found

    def _caused(self, name: str) -> list[Statement]:
        """Return what runs a function that changes `name`.

        That is decorated definitions, classes made from a class, and what calls a function in which there is no loop.
        """
        found: list[Statement] = []
        work = [(each, True) for each in sorted(self._effects.get(name, ()))]
        work += [(name, False)] if name in self._watched else []
        seen = {each for each, _ in work}
        while work:
            each, called = work.pop()
            derived, wrapped = self._derived.get(each, []), self._wrapped_by.get(each, []) if called else []
            found += [*derived, *wrapped]
            if called and self._runs_no_loop(each):
                found += [statement for statement in self._calls.get(each, ()) if not statement.facts.loops]
            callers = self._called_by.get(each, []) if called else []
            self.count(len(derived) + len(wrapped) + len(callers))
            for statement in [*derived, *callers]:
                new = statement.facts.binds - seen
                seen |= new
                work += [(other, called) for other in new]
        return found

    def _runs_no_loop(self, name: str) -> bool:
        """Return whether no loop runs when a function is called, as far as names tell: then it is no training."""
        if name not in self._loopless:
            self._loopless[name] = not any(each.facts.loops for each in self._called(name))
        return self._loopless[name]

    def _called(self, name: str) -> Iterator[Statement]:
        """Yield the definitions that a call of a function may run."""
        work, seen = [name], {name}
        while work:
            for each in self.binders(work.pop()):
                self.count(1 + len(each.facts.later))
                yield each
                new = {other for other in each.facts.later if self._defined(other)} - seen
                seen |= new
                work += new

    def _defined(self, name: str) -> bool:
        return any(each.defines for each in self.binders(name))


class _Events:
    """What happens to a name, in order: it is bound, perhaps bound, or changed."""

    def __init__(self, name: str, binders: Sequence[Statement], changers: Iterable[Statement]) -> None:
        self.binders = binders
        together = {each.position: each for each in (*binders, *changers)}
        self.all = [together[position] for position in sorted(together)]
        self._positions = sorted(together)
        self._bound = [each.position for each in binders]
        self._sure = [each.position for each in binders if name in each.facts.sure]

    def before(self, position: int, kept: bool) -> tuple[int, int]:
        """Return from which to which of them a name is made as of a position: from the last that surely binds it.

        What is used before it is bound is taken from its first binder. What is `kept` changes until it is bound anew.
        """
        if kept:
            after = bisect_left(self._bound, position)
            position = self._bound[after] if after < len(self._bound) else END
        stop = bisect_left(self._positions, position)
        first = bisect_left(self._positions, self.binders[0].position)
        if stop <= first:
            return first, first + 1
        at = bisect_left(self._sure, position)
        return (bisect_left(self._positions, self._sure[at - 1]) if at else first), stop


def _lists() -> dict[str, list[Statement]]:
    return defaultdict(list)
