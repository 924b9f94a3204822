"""Right and wrong answers of every exercise, one module per set. They are not part of the wheel.

    d_loss = Answers("game.d_loss")

    @d_loss.right
    def with_softplus(real_logits, fake_logits): ...

    @d_loss.wrong("swapped-labels")
    def swapped(real_logits, fake_logits): ...

    at_half = Answers("game.value_at_half")
    at_half.right(1.386, 2 * math.log(2))
    at_half.wrong("one-expectation", math.log(2), 0.693)

``gancourse exercises selftest`` asks that each right one passes and each wrong one gets its own hint, on every seed. It
tries the rows and knobs of an exercise's table as well (``gancourse.checks.forms``). So what stands here is written in
another way than those, as students write it, or has a fault of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Answers:
    """The answers of one exercise that are tried: right ones, and wrong ones with the hint that each must get."""

    def __init__(self, exercise: str) -> None:
        self.exercise = exercise
        self.accepted: list[tuple[str, Any]] = []  # name, answer
        self.refused: list[tuple[str, str, Any]] = []  # name, hint id, answer

    def right(self, *answers: Any) -> Any:
        """Add right answers. As a decorator it takes one function, and gives it back."""
        self.accepted += [(_name(answer), answer) for answer in answers]
        return answers[0]

    def wrong(self, hint_id: str, *answers: Any) -> Callable[[Any], Any]:
        """Add wrong answers that must get this hint. Without answers it is a decorator."""
        self.refused += [(_name(answer), hint_id, answer) for answer in answers]

        def decorate(answer: Any) -> Any:
            self.refused.append((_name(answer), hint_id, answer))
            return answer

        return decorate


def _name(answer: Any) -> str:
    return getattr(answer, "__name__", None) or repr(answer)[:40]
