"""The exercise checks: what they accept, what they say, and that each set's mutants get their own hints."""

import json
import subprocess
import sys

import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn.functional import softplus

from gancourse import checks
from gancourse.checks import core, probes, selftest
from gancourse.checks.core import Case, Exercise, Result, Set, Spec, When, compare, written
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError


def mean_square(x, scale):
    return scale * (x**2).mean()


def some_cases(seed):
    generator = torch.Generator().manual_seed(seed)
    return [Case((torch.randn(n, generator=generator) + 1, 2.0), grads=(0,), note=f"{n} numbers") for n in (5, 3)]


TOY = Exercise(
    name="toy.square",
    title="A mean of squares",
    tier="implement",
    points=3,
    answer="mean_square",
    cases=some_cases,
    judge=compare(mean_square, {"no-mean": (lambda x, scale: scale * x**2, "the mean is missing")}),
)
VALUE = Exercise(
    name="toy.half",
    title="A number",
    tier="predict",
    points=1,
    answer="half",
    kind="value",
    judge=compare(1.386, {"one-term": (0.693, "only one of two terms is counted")}, tol=0.01),
)
TEXT = Exercise(
    name="toy.why",
    title="Say why",
    tier="investigate",
    points=4,
    answer="why",
    kind="text",
    judge=written(5),
    rubric="2 points: names the cause. 2 points: shows it.",
)


@pytest.fixture
def toy(monkeypatch):
    """Make the toy set known, and forget what was checked before."""
    exercises = Set("toy", "00_toy", "A toy", (TOY, VALUE, TEXT))
    monkeypatch.setitem(INDEX, "toy", ("00_toy", "A toy"))
    load = checks.load_set
    monkeypatch.setattr(checks, "load_set", lambda word: exercises if word == "toy" else load(word))
    monkeypatch.setattr(checks, "_checked", {})


def graded(answer, exercise=TOY, seed=0):
    return core.grade(exercise, answer, seed)[1]


# Every set -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", INDEX)
def test_right_answers_pass_and_each_mutant_gets_its_own_hint(word):
    rows = selftest.try_set(word, ROOT, selftest.SEEDS_QUICK)
    assert not [f"{row.name}: {fault}" for row in rows for fault in row.faults]


@pytest.mark.parametrize("word", INDEX)
def test_a_set_is_what_the_index_says_and_has_three_tiers(word):
    exercises = checks.load_set(word)
    assert (exercises.word, (exercises.chapter, exercises.title)) == (word, INDEX[word])
    names = [e.name for e in exercises.exercises]
    assert len(set(names)) == len(names) and {name.split(".")[0] for name in names} == {word}
    assert len({e.answer for e in exercises.exercises}) == len(names), "two exercises share an answer's name"
    assert 5 <= len(names) <= 8 and {e.tier for e in exercises.exercises} == set(core.TIERS)
    assert all(e.points > 0 and e.title for e in exercises.exercises)


@pytest.mark.parametrize("word", INDEX)
def test_hints_are_sentences_that_do_not_show_a_formula(word):
    for exercise in checks.load_set(word).exercises:
        for hint_id, (_, text) in getattr(exercise.judge, "misconceptions", {}).items():
            assert hint_id.replace("-", "").isalnum() and hint_id == hint_id.lower(), f"{exercise.name}: {hint_id}"
            assert len(text) > 20 and not text.endswith("."), f"{exercise.name}, {hint_id}: {text}"
            assert ".mean()" not in text and "torch." not in text, f"{exercise.name}, {hint_id}: {text}"


# Messages --------------------------------------------------------------------------------------------


def uses_a_helper(x, scale):
    return helper_of_another_cell(x)  # noqa: F821


def divides(x, scale):
    y = 0
    return x / 1 + 1 // y


def changes_its_input(x, scale):
    result = mean_square(x, scale)
    x.mul_(2)
    return result


def leaves(x, scale):
    raise SystemExit


def not_written(x, scale):
    raise NotImplementedError("Your turn: two lines")


WRONG = {
    "undefined": (uses_a_helper, "'helper_of_another_cell', which is not defined"),
    "raises": (divides, "ZeroDivisionError: integer division or modulo by zero (in divides, its line 3)"),
    "raises, leaving": (leaves, "SystemExit"),
    "signature": (lambda x: x, "called with 2 arguments, and that does not fit (x)"),
    "type": (lambda x, scale: None, "nothing (None; is a return missing?); expected a number (a scalar tensor)"),
    "type, number": (lambda x, scale: mean_square(x, scale).item(), "a plain number, which carries no gradient"),
    "type, object": (lambda x, scale: softplus, "expected a number (a scalar tensor)"),
    "type, no function": (3.5, "a function is expected, and a float was given"),
    "type, called": (torch.ones(()), "the function's name without parentheses"),
    "type, nothing": (None, "a function is expected, and nothing was given"),
    "shape": (lambda x, scale: mean_square(x, scale)[None], "its shape is (1,), expected () (for 5 numbers)"),
    "device": (lambda x, scale: torch.zeros((), device="meta"), "on the device meta"),
    "nan": (lambda x, scale: mean_square(x, scale) * float("nan"), "it gives nan where a finite number is expected"),
    "no-grad": (lambda x, scale: mean_square(x, scale).detach(), "the graph is cut"),
    "no-grad, backward": (lambda x, scale: (y := mean_square(x, scale), y.backward())[0], "leave backward() to"),
    "mutates": (changes_its_input, "changes its argument x in place"),
    "gradient": (lambda x, scale: scale * (x.detach() * x).mean(), "the gradient with respect to x is not"),
    "value": (lambda x, scale: mean_square(x, scale) + 1, "expected"),
    "no-mean": (lambda x, scale: scale * x**2, "the mean is missing"),
    "not-done": (not_written, "Your turn: two lines"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_has_a_message_of_its_own(case):
    answer, words = WRONG[case]
    judged = graded(answer)
    assert (judged.ok, judged.hint_id) == (False, case.split(",")[0])
    assert words in judged.hint


def test_a_slow_answer_is_refused_however_right(monkeypatch):
    """Processor time counts, here of a clock that only the answer moves: a busy machine is no fault."""
    clock = [0.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def works_in_vain(x, scale):
        clock[0] += 3
        return mean_square(x, scale)

    judged = graded(works_in_vain)
    assert judged.hint_id == "slow" and "6.0 s of processor time" in judged.hint
    assert graded(mean_square).ok
    row = selftest.try_exercise(TOY, works_in_vain, Tried([mean_square] * 3, [("no-mean", no_mean)] * 6), range(1))
    assert not row.faults, "the self-test decides nothing by the clock"


@pytest.mark.parametrize(
    ("answer", "hint_id"),
    [(1.386, None), (2 * 0.6931, None), (torch.tensor(1.39), None), (0.69, "one-term"), (None, "not-done")]
    + [
        (7, "value"),
        ("1.386", "type"),
        ([1.386], "type"),
        (True, "type"),
        (mean_square, "type"),
        (float("nan"), "nan"),
    ],
)
def test_values(answer, hint_id):
    assert graded(answer, VALUE).hint_id == hint_id


@pytest.mark.parametrize(
    ("answer", "hint_id"),
    [("It cannot tear the noise.", None), ("No idea.", "too-short"), ("", "not-done"), (None, "not-done"), (3, "type")],
)
def test_texts(answer, hint_id):
    assert graded(answer, TEXT).hint_id == hint_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("One, two: three.", 3),
        ("It's W_1 = 0.25 (p. 3)", 5),
        (". " * 130 + "| - | - |\n" * 40 + "— – …", 0),
        ("判别器赢了", 5),
        ("判别器 wins 3 of 5", 7),
    ],
)
def test_marks_are_no_words_and_languages_without_spaces_have_some(text, words):
    assert core.count_words(text) == words


def test_a_text_of_one_word_is_told_in_good_english():
    assert "it has 1 word;" in graded("Apart.", TEXT).hint
    assert "a function was given" in graded(lambda: 0, TEXT).hint


def test_check_prints_one_line_and_returns_nothing(toy, capsys):
    assert checks.check("toy.square", mean_square) is None
    assert capsys.readouterr().out == "✅ toy.square (3 points)\n"
    assert checks.check("toy.square", lambda x, scale: scale * x**2) is None
    assert capsys.readouterr().out == "❌ toy.square: the mean is missing.\n"


def test_printing_is_allowed_and_said(toy, capsys):
    assert checks.passes("toy.square", lambda x, scale: (print("loss", x.shape), mean_square(x, scale))[1])
    assert "It prints 'loss torch.Size([5])'. That is allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("toy.sqare", "Did you mean 'toy.square'?"),
        ("square", "Did you mean 'toy.square'?"),
        ("toi.square", "Did you mean 'toy.square'?"),
        ("xyz", "Sets:"),
        (None, "Sets:"),
    ],
)
def test_an_unknown_name_gets_the_nearest_and_raises_nothing(toy, monkeypatch, capsys, name, words):
    monkeypatch.setattr(checks, "names", lambda: ["toy.square", "toy.half", "toy.why"])
    assert not checks.passes(name, mean_square)
    told = capsys.readouterr().out
    assert told.startswith("❌ Unknown exercise") and words in told


def test_summary_lists_points_and_what_was_not_tried(toy, capsys):
    checks.summary()
    assert "No check has run yet" in capsys.readouterr().out
    checks.check("toy.square", mean_square)
    checks.check("toy.why", "It cannot tear the noise.")
    capsys.readouterr()
    checks.summary()
    table = capsys.readouterr().out
    assert "toy.square   3 of 3  ✅" in table and "toy.half     0 of 1  ·  not tried" in table
    assert "– of 4  ✅ written, graded by a person" in table
    assert "3 of 4  and up to 4 by the rubric" in table
    checks.check("toy.square", None)
    checks.summary("toy")
    assert "0 of 3  ❌ type" in capsys.readouterr().out and not checks.solved("toy.square")
    checks.summary("tey")
    assert "Did you mean 'toy'?" in capsys.readouterr().out


# Properties of the machinery -------------------------------------------------------------------------


def test_each_check_draws_fresh_inputs(toy):
    seen = []
    for _ in range(2):
        checks.passes("toy.square", lambda x, scale: (seen.append(x.detach()), mean_square(x, scale))[1])
    assert not torch.equal(seen[0], seen[2])


def test_a_check_leaves_the_random_generators_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    graded(lambda x, scale: mean_square(x, scale) + 0 * torch.rand(()))
    assert torch.equal(torch.rand(2), expected)


def test_a_check_works_where_gradients_are_switched_off():
    with torch.no_grad():
        assert graded(mean_square).ok


def test_an_object_that_claims_to_equal_everything_earns_nothing():
    class Yes(float):
        def __eq__(self, other):
            return True

        __hash__ = float.__hash__
        __sub__ = __rsub__ = __abs__ = lambda self, *other: 0.0

    class YesTensor(torch.Tensor):
        def __eq__(self, other):
            return torch.tensor(True)

    assert graded(Yes(0.5), VALUE).hint_id == "value"
    assert not graded(lambda x, scale: Yes(0.5)).ok
    assert not graded(lambda x, scale: (x.sum() * 0).as_subclass(YesTensor)).ok


def test_an_object_that_fights_back_is_told_not_raised():
    class Trap:
        def __getattr__(self, name):
            raise RuntimeError("no")

        def __repr__(self):
            raise RuntimeError("no")

        def __call__(self, *args):
            raise ValueError(self)

    assert graded(Trap()).hint_id == "raises"
    assert not graded(lambda x, scale: Trap()).ok
    assert not graded(Trap(), VALUE).ok


def test_plain_data_comes_back_as_it_was():
    values = [1, 2.5, True, None, "a", [1, [2]], (1, "b"), {"k": (1,)}, float("inf")]
    for value in values:
        assert probes.decode(json.loads(json.dumps(probes.encode(value)))) == value
    for tensor in (torch.randn(2, 3), torch.arange(4), torch.zeros(0, 2), torch.tensor(True), torch.rand(2).double()):
        back = probes.decode(json.loads(json.dumps(probes.encode(tensor))))
        assert torch.equal(back, tensor) and back.dtype == tensor.dtype
    assert torch.equal(probes.decode(probes.encode(torch.ones(2).numpy())), torch.ones(2))
    assert probes.decode(probes.encode(torch.nn.Linear(1, 1))) == core.Opaque("Linear")
    assert isinstance(probes.decode(probes.encode(torch.zeros(10**6))), core.Opaque), "too many numbers cross"
    loop: list = []
    loop.append(loop)
    probes.encode(loop)


def test_cases_and_results_cross_as_json():
    cases = [Case((torch.ones(2, 1), Spec("mlp", {"sizes": [1, 2, 1]})), {"n": 3}, grads=(0,), note="x")]
    (back,) = probes.from_json(Case, probes.to_json(cases))
    assert torch.equal(back.args[0], cases[0].args[0]) and back.args[1] == cases[0].args[1]
    assert (back.kwargs, back.grads, back.note) == ({"n": 3}, (0,), "x")
    results = probes.run(mean_square, TOY.cases(1))
    assert probes.from_json(Result, probes.to_json(results)) == results


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(value={"tensor": [10**9, 10**9], "dtype": "float32", "data": []}),
        lambda r: r.update(value={"tensor": [2], "dtype": "float32", "data": ["1", "2"]}),
        lambda r: r.update(value={"tensor": [1], "dtype": "load", "data": [1]}),
        lambda r: r.update(value={"tensor": [1], "dtype": "int8", "data": [10**30]}),
        lambda r: r.update(value={"tensor": [-1], "dtype": "int8", "data": []}),
        lambda r: r.update(value={"surprise": 1}),
        lambda r: r.update(value={"dict": [[[], 1]]}),
        lambda r: r.update(grads=[1]),
        lambda r: r.update(mutated="x"),
        lambda r: r.update(seconds="fast"),
        lambda r: r.update(printed=3),
        lambda r: r.update(message="x" * 10**6),
        lambda r: r.update(extra=1),
        lambda r: r.pop("value"),
    ],
)
def test_results_that_nobody_should_send_are_refused(change):
    (record, *_) = json.loads(probes.to_json(probes.run(mean_square, TOY.cases(1))))
    change(record)
    with pytest.raises(ValueError):
        probes.from_json(Result, json.dumps([record]))


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[" * 100_000, "NaN", '[{"value": 1}]'])
def test_text_that_is_no_list_of_results_is_refused(text):
    with pytest.raises(ValueError):
        probes.from_json(Result, text)


def test_fewer_results_than_cases_earn_nothing():
    cases = TOY.cases(0)
    results = probes.run(mean_square, cases)
    assert core.verdict(TOY, cases, results).ok
    assert not core.verdict(TOY, cases, results[:1]).ok and not core.verdict(TOY, cases, []).ok


def test_a_module_argument_is_built_where_the_answer_runs():
    case = Case((Spec("mlp", {"sizes": [2, 4, 1], "seed": 1}), torch.ones(3, 2)), grads=(0, 1))
    first, second = probes.run(lambda net, x: net(x).mean(), [case, case])
    assert first.value == second.value and len(first.gradient(0)) == 4 and first.gradient(1).shape == (3, 2)
    linear = Spec("linear", {"weight": [[3.0, 4.0]], "bias": [1.0]})
    (result,) = probes.run(lambda net, x: net(x), [Case((linear, torch.ones(1, 2)))])
    assert result.output.item() == 8
    mixture = Spec("mixture", {"means": [0.0], "stds": [1.0], "weights": [1.0]})
    (result,) = probes.run(lambda p, x: p(x), [Case((mixture, torch.zeros(1)))])
    assert result.output.item() == pytest.approx(0.39894, abs=1e-4)


def test_what_an_answer_is_meant_to_change_is_compared():
    def step(net, optimizer, x):
        optimizer.zero_grad()
        net(x).mean().backward()
        optimizer.step()

    def forgets_to_step(net, optimizer, x):
        net(x).mean().backward()

    specs = Spec("linear", {"weight": [[1.0, 2.0]]}), Spec("optimizer", {"of": 0, "lr": 0.1})
    cases = [Case((*specs, torch.ones(4, 2)), changes=(0,))]
    judge = compare(step)
    assert judge(cases, probes.run(step, cases)).ok
    judged = judge(cases, probes.run(forgets_to_step, cases))
    assert judged.hint_id == "state" and "net is not what it should be" in judged.hint
    (guarded,) = probes.run(step, [Case((*specs, torch.ones(4, 2)))])
    assert guarded.mutated == ["net"]


def gives_the_loss_after_backward(net):
    loss = net(torch.ones(1, 2)).mean()
    loss.backward(retain_graph=True)
    return loss


def switches_autograd_off(net):
    torch.set_grad_enabled(False)
    return net(torch.ones(1, 2)).mean()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gives_the_loss_after_backward, "it leaves gradients in the parameters of net"),
        (switches_autograd_off, "autograd"),
    ],
)
def test_what_an_answer_leaves_behind(answer, words):
    (result,) = probes.run(answer, [Case((Spec("linear", {"weight": [[1.0, 2.0]]}),))])
    assert result.error == "state" and words in result.message
    assert torch.is_grad_enabled()


def test_what_torch_does_not_implement_is_no_unwritten_answer():
    (result,) = probes.run(
        lambda x: torch.ones(2, dtype=torch.int64).lerp_(torch.ones(2, dtype=torch.int64), 0.5), [Case((1,))]
    )
    assert result.error == "raises"


def test_an_unwritten_helper_is_named():
    def helper(x):
        raise NotImplementedError("Your turn: the helper")

    def answer(x):
        return helper(x)

    (result,) = probes.run(answer, [Case((1,))])
    assert (result.error, result.message) == ("not-done", "it uses helper, which is not written yet")


def test_a_pair_is_differentiated_item_by_item():
    """The second item's gradient is what the first one's lacks, and a sum of both would not show that it is cut."""
    judge = compare(lambda a, b: (b.mean() - a.mean(), -b.mean()))
    cases = [Case((torch.arange(3.0), torch.arange(4.0)), grads=(0, 1))]
    judged = judge(cases, probes.run(lambda a, b: (b.detach().mean() - a.mean(), -b.detach().mean()), cases))
    assert judged.hint_id == "no-grad" and "item 2 of the result carries no gradient" in judged.hint


def renews(net):
    net.weight = nn.Parameter(net.weight.detach() * 0)


def adds(net):
    net.scale = nn.Parameter(torch.ones(1))


def takes_away(net):
    net.weight = None


def freezes(net):
    net.requires_grad_(False)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (renews, "it puts new parameters into net"),
        (adds, "it puts new parameters into net"),
        (takes_away, "a parameter of net is gone"),
        (freezes, "requires_grad=False"),
    ],
)
@pytest.mark.parametrize("changes", [(), (0,)])
def test_parameters_are_changed_and_not_exchanged(answer, words, changes):
    cases = [Case((Spec("linear", {"weight": [[1.0, 2.0]]}),), changes=changes)]
    (result,) = probes.run(answer, cases, "in_place")
    assert result.error == "state" and words in result.message
    (result,) = probes.run(lambda net: net.weight.data.zero_(), cases, "in_place")
    assert result.ok and result.mutated == ([] if changes else ["net"])


def test_an_answer_that_builds_a_module():
    def critic(width):
        return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))

    (result,) = probes.run(critic, [Case((8,), {"inputs": torch.ones(3, 2)})], "module")
    assert result.output["output"].shape == (3, 1) and result.output["parameters"] == 33
    assert result.output["shapes"] == [[8, 2], [8], [1, 8], [1]]


def test_a_misconception_may_be_a_test():
    judge = compare(mean_square, {"negative": (When(lambda cases, results: results[0].output < 0), "it is negative")})
    cases = TOY.cases(0)
    assert judge(cases, probes.run(lambda x, scale: -mean_square(x, scale), cases)).hint_id == "negative"
    assert judge(cases, probes.run(lambda x, scale: "a", cases)).hint_id == "type", "a test that fails names nothing"


@pytest.mark.parametrize(
    ("a", "b", "fault"),
    [
        ([1, 2.0], (1, 2), None),
        (torch.tensor([1.0, 2.0]), [1, 2], None),
        ([1], [1, 2], "shape"),
        ({"a": 1.0}, {"a": 1}, None),
        ({"b": 1.0}, {"a": 1}, "type"),
        ({"a": 2.0}, {"a": 1}, "value"),
        (torch.tensor(3), 3, None),
        (3.00001, 3, None),
        (3.01, 3, "value"),
        (float("inf"), float("inf"), None),
        ("a", "a", None),
        (torch.zeros(2, 2), torch.zeros(4), "shape"),
    ],
)
def test_comparing(a, b, fault):
    found = core.differ(a, b)
    assert (found and found[0]) == fault and core.close(a, b) == (fault is None)


def test_importing_loads_no_torch_and_the_probes_know_no_reference():
    def modules(code):
        command = f"import sys\n{code}\nprint(*sorted(m for m in sys.modules if m.startswith(('torch', 'gancourse'))))"
        return subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, check=True
        ).stdout.split()

    assert not [name for name in modules("import gancourse.checks") if name.startswith("torch")]
    known = {name for name in modules("import gancourse.checks.probes") if name.startswith("gancourse")}
    assert known == {
        "gancourse",
        "gancourse.console",
        "gancourse.errors",
        "gancourse.checks",
        "gancourse.checks.builders",
        "gancourse.checks.probes",
        "gancourse.checks.sets",
    }


# The self-test itself --------------------------------------------------------------------------------


class Tried:
    """Answers like those of tests/mutants."""

    def __init__(self, accepted, refused):
        self.accepted = [(f"right {i}", answer) for i, answer in enumerate(accepted)]
        self.refused = [(f"mutant {i}", hint_id, answer) for i, (hint_id, answer) in enumerate(refused)]


def no_mean(x, scale):
    return scale * x**2


def test_the_selftest_accepts_what_is_right():
    row = selftest.try_exercise(TOY, mean_square, Tried([mean_square] * 3, [("no-mean", no_mean)] * 6), range(2))
    assert row.faults == [] and (row.right, row.wrong, len(row.times)) == (4, 6, 20) and row.median > 0


@pytest.mark.parametrize(
    ("accepted", "refused", "words"),
    [
        ([mean_square] * 3, [("no-mean", mean_square)] * 6, "mutant mutant 0, seed 0: accepted, should get no-mean"),
        ([mean_square] * 3, [("sign", no_mean)] * 6, "seed 0: got no-mean (the mean is missing), should get sign"),
        ([mean_square, no_mean, mean_square], [("no-mean", no_mean)] * 6, "right answer right 1, seed 0: refused"),
        ([mean_square] * 3, [("no-mean", no_mean)] * 5, "5 mutants; 6 needed"),
        ([mean_square] * 2, [("no-mean", no_mean)] * 6, "2 right answers besides the reference; 3 needed"),
    ],
)
def test_the_selftest_names_what_is_wrong(accepted, refused, words):
    row = selftest.try_exercise(TOY, mean_square, Tried(accepted, refused), range(1))
    assert words in "\n".join(row.faults)


def test_an_exercise_without_mutants_is_a_fault(monkeypatch):
    exercises = Set("toy", "00_toy", "A toy", (TOY,))
    monkeypatch.setattr(checks, "load_set", lambda word: exercises)
    monkeypatch.setattr(selftest, "references", lambda root, word: {"mean_square": mean_square})
    stray = type("Answers", (Tried,), {"exercise": "toy.gone"})([], [])
    monkeypatch.setattr(selftest, "answers", lambda root, word: {"toy.gone": stray})
    toy, gone = selftest.try_set("toy", ROOT, 1)
    assert "0 mutants; 6 needed" in toy.faults and "does not have it" in gone.faults[0]


def test_the_selftest_prints_totals_last_and_fails_on_a_fault(monkeypatch, capsys):
    rows = [selftest.Row("toy.square", 4, 6, [1.0] * 10), selftest.Row("toy.half", 4, 3, [1.0] * 7)]
    monkeypatch.setattr(selftest, "try_set", lambda word, root, seeds: rows)
    monkeypatch.setitem(INDEX, "toy", ("00_toy", "A toy"))
    selftest.selftest("toy", 1)
    last = capsys.readouterr().out.splitlines()[-1]
    assert (
        last.startswith("2 exercises in 1 sets: 8 right answers accepted, 9 mutants refused") and "17 gradings" in last
    )
    rows[0].faults.append("mutant x, seed 0: accepted, should get y")
    with pytest.raises(UserError, match="found 1 faults"):
        selftest.selftest("toy", 1)
    told = capsys.readouterr().out.splitlines()
    assert "toy.square: mutant x, seed 0" in told[-2] and "1 faults" in told[-1]
    with pytest.raises(UserError, match="Did you mean 'toy'"):
        selftest.selftest("toi")


def test_a_wrong_prediction_is_not_answered_with_the_right_number() -> None:
    cases, judge = core.once(0), core.compare(0.6931, {}, tol=0.01, probe="value")
    judged = judge(cases, core.run(0.25, cases, "value"))
    assert not judged.ok and "0.25" in str(judged.hint)
    assert "0.69" not in str(judged.hint) and "expected" not in str(judged.hint)


def test_of_lists_of_other_lengths_the_first_wrong_item_is_told() -> None:
    assert core.differ([3, 9], [3, 5, 7]) == (
        "shape",
        "it has 2 items, expected 3; and in item 2: it gives 9, expected 5",
    )
    assert core.differ([3], [3, 5]) == ("shape", "it has 1 item, expected 2")
    cases, judge = core.once(0), core.compare([0.5, 0.25], {}, probe="value")
    assert judge(cases, core.run([0.5, 7.0, 1.0], cases, "value")).hint == "it has 3 items, expected 2"


def test_whole_numbers_are_shown_whole_and_objects_by_their_type() -> None:
    assert core.differ(12_658_438, 12_658_432.0, tol=0)[1] == "it gives 12658438, expected 12658432"
    assert core.differ(core.Opaque("ellipsis"), 1.0)[1] == "it gives an ellipsis; expected a number"


def test_fewer_gradients_than_parameters_do_not_pass() -> None:
    wanted = [torch.ones(2), torch.ones(3)]
    assert core._differ_gradients([torch.ones(2), torch.ones(3)], wanted, 1e-4) is None
    assert core._differ_gradients([], wanted, 1e-4) == "there is not one for each parameter"
    assert core._differ_gradients(None, wanted, 1e-4) is not None
