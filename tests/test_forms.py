"""The short forms of exercises, and the rule that a hint is true of everyone who gets it."""

import math
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from gancourse import checks
from gancourse.checks import core, forms, selftest
from gancourse.checks.core import Case, Exercise, Spec, When, compare, wrong
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError

inf, nan = math.inf, math.nan


def verdict(exercise, answer, seed=0):
    return core.grade(exercise, answer, seed)[1]


def hint_id(exercise, answer, seed=0):
    return verdict(exercise, answer, seed).hint_id


# Tables of numbers -----------------------------------------------------------------------------------

TABLE = """
whole      1  2  inf     | every number is given here
swapped    4  3  -inf    | the first two have changed places
first      h;2*h  *  *   | the first number is one of two,
                         | and the rest may be anything
range      *  0..1  *    | the second number lies in a range
other      *  *  !       | the third number is another one
"""
THREE = forms.numbers("toy.three", "Three numbers", 2, "3  4  -inf", TABLE, let={"h": 0.5}, tol=0.01)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([3, 4, -inf], None),
        (torch.tensor([3.01, 3.99, -inf]), None),
        ([1, 2, inf], "whole"),
        ((4, 3, -inf), "swapped"),
        ([0.5, 7, 8], "first"),
        ([1.0, 7, -inf], "first"),
        ([3, 0.5, -inf], "range"),
        ([3, 4, 5], "other"),
        ([3, 4, inf], "value"),  # the third number is none
        ([3, 5, -inf], "value"),
        ([0.5, 0.5, 0.5], "value"),  # the same everywhere
        ([0.5, nan, 8], "value"),
        ([nan] * 3, "nan"),
        ([3, 4], "shape"),
        (["a"] * 3, "type"),
        (None, "not-done"),
    ],
)
def test_a_table_of_numbers(answer, expected):
    assert hint_id(THREE, answer) == expected


def test_a_hint_goes_on_in_the_next_line_and_the_answer_is_not_told():
    assert verdict(THREE, [0.5, 7, 8]).hint == "the first number is one of two, and the rest may be anything"
    assert verdict(THREE, [3, 5, -inf]).hint == "in item 2, it gives 5, and that is not it"


def test_rows_and_the_right_answer_are_tried_by_the_self_test():
    found = {}
    for _, word, answer in THREE.judge.examples:
        found.setdefault(word, []).append(answer)
        assert hint_id(THREE, answer) == word
    assert found["first"] == [[0.5, 4, -inf], [1, 4, -inf]] and found["range"] == [[3, 0.5, -inf]]
    assert [type(answer) for answer in found[None]] == [list, tuple, torch.Tensor]
    row = selftest.try_exercise(THREE, [3, 4, -inf], None, range(2))
    assert (row.right, row.wrong, row.faults) == (4, 6, [])


def test_each_number_may_have_a_tolerance_of_its_own():
    table = "less  *  8;9 | the second number is one or two too small"
    count = forms.numbers("toy.count", "A share and a count", 1, "1/3  10", table, tol=(0.01, 0))
    assert hint_id(count, [0.333, 10]) is None and hint_id(count, torch.tensor([0.333, 10])) is None
    assert hint_id(count, [0.333, 10.01]) == hint_id(count, [0.34, 10]) == "value" and hint_id(count, [3, 9]) == "less"


def test_one_number_and_whole_numbers():
    one = forms.numbers("toy.one", "One", 1, "log(2)", "bits  1  | these are bits", tol=0.01, answer="loss")
    assert one.answer == "loss" and verdict(one, 0.693).ok and hint_id(one, 1) == "bits" and hint_id(one, [1]) == "type"
    exact = forms.numbers("toy.exact", "Exact", 1, "60000", "more  60001  | one too many", tol=1e-8)
    assert verdict(exact, 60000).ok and hint_id(exact, 60001) == "more" and hint_id(exact, 60002) == "value"
    assert all(verdict(exact, answer).ok for _, word, answer in exact.judge.examples if word is None)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("few  1  2  | a hint", "toy.x, row 'few': 2 cells, and the answer has 3 numbers"),
        ("two  1 2 3 | a hint\ntwo  1 2 4 | a hint", "row 'two': the id is there twice"),
        ("none  1 2 3", "row 'none': it needs | and a hint"),
        ("stop  1 2 3 | a hint.", "row 'stop': it needs | and a hint in words, without a full stop"),
        ("nan  1 2 3 | a hint", "row 'nan': an id is lower-case words with hyphens"),
        ("Big  1 2 3 | a hint", "row 'Big': an id is lower-case"),
        ("| a hint", "the first line of the table has no id"),
        ("name  logg(2) 2 3 | a hint", "row 'name': 'logg(2)' uses 'logg'. Did you mean 'log'?"),
        ("code  __import__('os') 2 3 | a hint", "uses '__import__'"),
        ("dot  h.real 2 3 | a hint", "'h.real' is more than arithmetic"),
        ("half  2* 2 3 | a hint", "'2*' is no formula"),
        ("zero  1/0 2 3 | a hint", "'1/0' has no value (division by zero)"),
        ("text  'a' 2 3 | a hint", "is no number"),
        ("same  3 4 -inf | a hint", "row 'same': this is the right answer"),
    ],
)
def test_what_is_wrong_with_a_table_of_numbers_is_told(table, words):
    with pytest.raises(UserError) as caught:
        forms.numbers("toy.x", "X", 1, "3 4 -inf", table, let={"h": 0.5})
    assert words in str(caught.value)


# Tables of a function's misconceptions ---------------------------------------------------------------


def some_cases(seed):
    draws = torch.Generator().manual_seed(seed)
    cases = [Case((torch.randn(n, generator=draws) + 1, 2.0), grads=(0,), note=f"{n} numbers") for n in (5, 3)]
    return [*cases, Case((torch.zeros(4), 2.0), grads=(0,), note="four zeros")]


def mean_square(x, scale, *, mean=torch.mean, power=2, sign=1, cut=None):
    return sign * scale * mean((x.detach() if cut else x) ** power)


LET = {
    "sum": torch.sum,
    "absolute": lambda x, scale, *, shift=0: scale * x.abs().mean() + shift,
    "odd": forms.RightBut((2,), forms.not_finite),
    "first": lambda x, scale: scale * x[0] ** 2,
}
ROWS = """
missing-mean  mean=sum           | the mean is missing
cubed         power=3            | it is the third power
absolute      absolute           | the absolute value stands for the square
shifted       absolute shift=1   | that, and something is added
first-only    first @0,1         | only the first number enters
detached      cut=True           | the graph is cut
not-at-zero   odd                | it is right, except for zeros
+sign         sign=-1            | the sign is turned
+halved       power=2 mean=half  | it is half of it
"""
SQUARE = forms.function(
    "toy.square",
    "A mean of squares",
    2,
    some_cases,
    mean_square,
    ROWS,
    let=LET | {"half": lambda values: values.mean() / 2},
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (mean_square, None),
        (lambda x, scale: scale * (x * x).sum() / len(x), None),
        (lambda x, scale: scale * (x * x).sum(), "missing-mean"),
        (lambda x, scale: scale * (x**3).mean(), "cubed"),
        (lambda x, scale: scale * (x**3).mean().detach(), "cubed"),  # its value says enough
        (lambda x, scale: scale * x.abs().mean(), "absolute"),
        (lambda x, scale: 1 + scale * x.abs().mean(), "shifted"),
        (lambda x, scale: scale * x[0] ** 2 + 7 * (x == 0).all(), "first-only"),
        (lambda x, scale: mean_square(x.detach(), scale), "detached"),
        (lambda x, scale: mean_square(x, scale) / (0.0 if (x == 0).all() else 1.0), "not-at-zero"),
        (lambda x, scale: mean_square(x, scale) + (x == 0).all(), "value"),  # wrong for zeros in another way
        (lambda x, scale: -mean_square(x, scale), "sign"),
        (lambda x, scale: mean_square(x, scale) / 2, "halved"),
        (lambda x, scale: -mean_square(x, scale) / 2, "sign-and-halved"),
        (lambda x, scale: mean_square(x, scale) * 3, "value"),
        (lambda x, scale: mean_square(x, scale) * nan, "nan"),
    ],
)
def test_a_table_of_misconceptions(answer, expected):
    assert hint_id(SQUARE, answer) == expected


def test_knobs_and_mixes_are_tried_by_the_self_test():
    words = [word for _, word, _ in SQUARE.judge.examples]
    assert words[-3:] == ["sign-and-halved", "sign", "halved"] and "not-at-zero" not in words
    assert [hint_id(SQUARE, answer) for _, _, answer in SQUARE.judge.examples] == words
    assert SQUARE.judge.misconceptions["sign-and-halved"][1] == "the sign is turned; and it is half of it"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("knob  pover=3 | a hint", "toy.x, row 'knob': no knob 'pover'. Did you mean 'power'? Its knobs: mean, power"),
        ("none  first power=3 | a hint", "no knob 'power'. It has none (a knob is a keyword-only argument)"),
        ("right  @0 | a hint", "no knob is turned and no function is named"),
        ("name  abslute | a hint", "uses 'abslute'. Did you mean 'absolute'? Name it in `let`"),
        ("three  3 | a hint", "'3' names no function"),
        ("odd  odd @1 | a hint", "a recogniser has no knobs"),
        ("cell  mean=x.sum() | a hint", "is more than arithmetic. Name it in `let`"),
        ("place  power=3 @first | a hint", "'@first' should be like '@0,2' or '@state'"),
        ("+two  power=1 | a hint\ntwo  power=3 | a hint", "row 'two': the id is there twice"),
    ],
)
def test_what_is_wrong_with_a_table_of_misconceptions_is_told(row, words):
    with pytest.raises(UserError) as caught:
        forms.function("toy.x", "X", 1, some_cases, mean_square, row, let=LET)
    assert words in str(caught.value)


def test_gradients_alone_and_a_margin():
    options = {"cases": some_cases, "reference": mean_square, "let": LET}
    slope = forms.function("toy.slope", "X", 1, table="cubed  power=3 | it is the third power", values=False, **options)
    assert verdict(slope, lambda x, scale: mean_square(x, scale) + 5).ok
    judged = verdict(slope, lambda x, scale: 3 * mean_square(x, scale))
    assert judged.hint_id == "gradient" and judged.hint.startswith("the gradient with respect to x is not right: ")
    assert hint_id(slope, lambda x, scale: scale * (x**3).mean() - 2) == "cubed"
    near = forms.function("toy.near", "X", 1, table="sum  mean=sum | it adds up", tol=0.0, margin=0.1, **options)
    assert verdict(near, lambda x, scale: mean_square(x, scale) + 0.09).ok
    assert hint_id(near, lambda x, scale: mean_square(x, scale) + 0.11) == "value"


def test_what_is_left_of_an_argument_may_decide():
    def step(net, x, *, rate=0.1):
        """Move by the gradient of the mean output, and return that."""
        value = net(x).mean()
        (slope,) = torch.autograd.grad(value, net.weight)
        with torch.no_grad():
            net.weight -= rate * slope
        return value.item()

    def cases(seed):
        specs = [Spec("linear", {"weight": [[1.0, 2.0 + k]]}) for k in (0, 1)]
        return [Case((spec, torch.ones(3, 2)), changes=(0,)) for spec in specs]

    table = "climbs  rate=-0.1 @state | it goes up\nfar  rate=0.2 | it goes too far"
    made = forms.function("toy.step", "X", 1, cases, step, table)
    assert verdict(made, step).ok and hint_id(made, lambda net, x: step(net, x, rate=0.2)) == "far"
    assert hint_id(made, lambda net, x: 3 * step(net, x, rate=-0.1)) == "climbs"
    assert hint_id(made, lambda net, x: 3 * step(net, x, rate=0.2)) == "value"


def test_places():
    def root(x):
        return x.abs().sqrt()

    def cases(seed):
        return [Case((torch.tensor([0.0, 1.0, 4.0]) + k * torch.tensor([0.0, 1.0, 1.0]),)) for k in (0, 1)]

    zero = forms.Places(lambda x: x == 0)
    made = forms.function("toy.root", "X", 1, cases, root, "zero  zero | right, except at 0", let={"zero": zero})
    assert hint_id(made, lambda x: x / root(x)) == "zero"
    assert hint_id(made, lambda x: (x / root(x)).nan_to_num() + 1) == "value"


def test_parts_of_what_a_probe_gives_and_a_judge_of_ones_own():
    def step(net, x, *, rate=0.1, tell=lambda loss: loss, detach=True):
        loss = net(x).mean()
        (slope,) = torch.autograd.grad(loss, net.parameters())
        with torch.no_grad():
            net.weight -= rate * slope
        return tell(loss.detach() if detach else loss)

    def cases(seed):
        draws = torch.Generator().manual_seed(seed)
        net = core.Spec("linear", {"weight": [[1.0, 2.0]]})
        return [Case((net, torch.randn(n, 2, generator=draws)), changes=(0,)) for n in (3, 4)]

    class NeverRight(core.Comparison):
        def __call__(self, cases, results):
            judged = super().__call__(cases, results)
            return wrong("more", "something more is asked for") if judged.ok else judged

    table = """
    too-far  rate=1 .0          | the step is too long
    graph    detach=False .graph | the result carries its graph
    both     tell=twice .output | the result is twice what it should be
    """
    let = {"twice": lambda loss: 2 * loss}
    options = {"cases": cases, "reference": step, "table": table, "let": let, "probe": "aftermath", "judge": NeverRight}
    made = forms.function("toy.step", "X", 1, **options)
    assert [hint_id(made, answer) for _, _, answer in made.judge.examples] == [
        "too-far",
        "graph",
        "both",
    ]
    assert hint_id(made, step) == "more" and hint_id(made, lambda net, x: 7 + step(net, x, rate=1)) == "too-far"
    assert hint_id(made, lambda net, x: 2 * step(net, x, rate=0.2)) == "both"
    assert hint_id(made, lambda net, x: str(step(net, x, rate=1))) == "type", "a part speaks where the form is right"
    assert hint_id(made, lambda net, x: step(net, x) + 1) == "value"


# The rule --------------------------------------------------------------------------------------------


def claims(test, answer, cases=some_cases):
    """Return the hint id of an answer where a test decides about the only misconception."""
    judge = compare(mean_square, {"claimed": (When(test), "the answer has this misconception")})
    exercise = Exercise(name="toy.rule", title="X", tier="implement", points=1, answer="rule", cases=cases, judge=judge)
    return hint_id(exercise, answer)


def always(cases, results):
    return True


def test_a_misconception_is_claimed_where_two_cases_say_something_different():
    assert claims(always, lambda x, scale: x.sum()) == "claimed"
    for answer, generic in [
        (lambda x, scale: 0 * x.sum(), "value"),
        (lambda x, scale: 0 * x.sum() + 0.3, "value"),
        (lambda x, scale: x.sum() * nan, "nan"),
        (lambda x, scale: x.sum() + inf, "nan"),
        (lambda x, scale: x.sum() / (0 if len(x) > 3 else 1), "nan"),  # only one case has a number
        (lambda x, scale: x, "shape"),
        (lambda x, scale: "a", "type"),
        (lambda x, scale: 1 / 0, "raises"),
    ]:
        assert claims(always, answer) == generic


def test_one_case_of_agreement_is_not_enough():
    table = "first  first @0 | only the first number enters"
    made = forms.function("toy.x", "X", 1, some_cases, mean_square, table, let=LET)
    first = LET["first"]
    assert hint_id(made, lambda x, scale: first(x, scale) if len(x) == 5 else x.sum() + 9) == "value"
    right_in_the_others = lambda x, scale: first(x, scale) if len(x) == 5 else mean_square(x, scale)  # noqa: E731
    assert hint_id(made, right_in_the_others) == "first"


def test_an_exercise_with_one_case_needs_all_its_numbers():
    def one(seed):
        return some_cases(seed)[:1]

    assert claims(lambda cases, results: False, lambda x, scale: x.sum(), one) == "value"
    judge = compare(mean_square, {"cubed": (lambda x, scale: mean_square(x, scale, power=3), "the third power")})
    cases = one(0)
    assert judge(cases, core.run(lambda x, scale: scale * (x**3).mean(), cases)).hint_id == "cubed"


@pytest.mark.parametrize(
    ("number", "generic"), [(0.0, "constant"), (0.3, "constant"), (nan, "nan"), (inf, "nan"), (-inf, "nan")]
)
def test_a_judge_of_its_own_is_held_to_the_rule(number, generic):
    exercise = Exercise(
        name="toy.own",
        title="X",
        tier="implement",
        points=1,
        answer="own",
        cases=some_cases,
        judge=lambda cases, results: wrong("claimed", "whatever it gives"),
    )
    assert hint_id(exercise, lambda x, scale: number) == generic
    assert hint_id(exercise, lambda x, scale: x.sum()) == "claimed"


def test_the_self_test_finds_an_untrue_hint():
    exercise = Exercise(
        name="toy.untrue",
        title="X",
        tier="predict",
        points=1,
        answer="untrue",
        kind="value",
        judge=lambda cases, results: wrong("claimed", "whatever it is"),
    )
    faults = selftest.odd_faults(exercise, 1.5, 0)
    assert any(fault.startswith("odd answer 0.0 everywhere, seed 0: got claimed") for fault in faults)
    assert any(fault.startswith("odd answer a text") for fault in faults)


@pytest.mark.parametrize("word", INDEX)
def test_odd_answers_get_generic_hints(word):
    """NaN, infinity, 0 or a constant everywhere, None, raising, another shape or type: in every exercise."""
    references = selftest.references(ROOT, word)
    for exercise in checks.load_set(word).exercises:
        assert not selftest.odd_faults(exercise, references[exercise.answer], seed=11), exercise.name


def test_hints_that_were_untrue():
    """What used to be claimed of answers that have another fault."""
    d_loss = checks.exercise("game.d_loss")
    for factor in (0.0, nan, inf):
        judged = verdict(d_loss, lambda real, fake, factor=factor: factor * (real.mean() + fake.mean()).abs())
        assert judged.hint_id in ("value", "nan") and "moderate" not in judged.hint

    found = selftest.answers(Path(ROOT), "first_gan")["first_gan.train_step"]
    (answer,) = [answer for name, _, answer in found.refused if name == "graph_used_up"]
    judged = verdict(checks.exercise("first_gan.train_step"), answer)
    assert judged.hint_id == "raises" and "goes backward twice" in judged.hint and "caller" not in judged.hint

    gaussian = checks.exercise("failure.best_gaussian")
    assert hint_id(gaussian, lambda data, x, order: (nan, nan)) == "nan"
    judged = verdict(checks.exercise("failure.divergence_loss"), lambda a, divergence: 7 * a.mean())
    assert judged.hint.startswith("the gradient with respect to fake_logits is not right: it gives")
