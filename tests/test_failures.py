"""Chapter 4: each displayed result holds, by another route too, and its check on the page notices a mistake."""

import ast
import functools
import math

import chapters
import nbformat
import pytest
import torch
from torch import nn

from gancourse import losses, theory
from gancourse.datasets import toy

PAGE = chapters.ROOT / "notebooks" / "04_why_training_fails.ipynb"
STANDARD = theory.Gaussian(0.0, 1.0)
GRID = theory.line(-12.0, 32.0, 8001)
NEEDED = ("def banner(", "def uniform(", "def compare(")  # the cells that the checks build on
MUTANTS = {
    "4.1 with the other weight": ("(losses.minimax_loss(a), D)", "(losses.minimax_loss(a), 1 - D)"),
    "4.1 with the sign turned": ("-weight[:, None] * hint", "weight[:, None] * hint"),
    "4.2 with the weight of minimax": (".mean(), D * (1 - D)", ".mean(), D"),
    "4.2 with its parentheses back": ("(math.log(1) - D).mean()", "(1 - D).log().mean()"),
    "4.3 with half the distance": ("/ (real - fake).norm(dim=1)", "/ (real - fake).norm(dim=1) * 2"),
    "4.4 for lines that share points": ("js(left, right)", "js(left, (left + right) / 2)"),
    "4.5 beyond the end of the overlap": ("min(shift / 1000, 1)", "min(shift / 1000, 2)"),
    "4.6 with a normal's tail": ("2 / math.pi * math.atan(t)", "math.erf(t / math.sqrt(2))"),
    "4.6 for a sum": ("(r / epsilon).mean", "(r / epsilon).sum"),
    "4.7 with one JSD": ("minimax - 2 * js", "minimax - js"),
    "4.8 for the re-optimised D": ("frozen - (kl - 2 * js)", "moving - (kl - 2 * js)"),
    "4.8 with the sign turned": ("frozen - (kl - 2 * js)", "frozen - (kl + 2 * js)"),
    "4.9 with another covariance": ("distance**2 * torch.outer", "distance * torch.outer"),
    "4.10 with a smaller bound": ("one <= math.log(2)", "one <= math.log(1.5)"),
    "4.11 at the least liked place": ("D_table.argmax", "D_table.argmin"),
}


@functools.cache
def code_cells() -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(PAGE, as_version=4).cells if cell.cell_type == "code"]


@functools.cache
def page() -> dict[str, str]:
    """Return the page's code, one source for each cell that checks a result or is needed by one."""
    cells = code_cells()
    checks = {tag: cell.source for cell in cells for tag in chapters.tags(cell) if tag.startswith("checks-")}
    needed = {word: next(cell.source for cell in cells if word in cell.source) for word in NEEDED}
    return needed | checks


@functools.cache
def names() -> dict[str, object]:
    """Return what the cells that the checks build on define."""
    space: dict[str, object] = {}
    for word in NEEDED:
        exec(page()[word], space)
    return space


def run(source: str) -> None:
    exec(source, dict(names()))


@pytest.mark.parametrize("number", range(1, 12))
def test_a_check_on_the_page_passes(number):
    run(page()[f"checks-4.{number}"])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_check_on_the_page_notices(name):
    right, wrong = MUTANTS[name]
    source = page()[f"checks-{name.split()[0]}"]
    assert source.count(right) == 1
    with pytest.raises(AssertionError):
        run(source.replace(right, wrong))


GROWTH = "def train_only_d(seed)"  # the cell that trains D alone and looks at both gradients
WRONG_GROWTH = {
    "minimax with the other weight": ('"minimax": D_fake * size', '"minimax": (1 - D_fake) * size'),
    "non-saturating with the other weight": ("= (1 - D_fake) * size", "= D_fake * size"),
    "a discriminator that does not learn": ("lr=1e-3", "lr=0.0"),
}


def gradients_while_d_trains(right: str = "", wrong: str = "") -> tuple[object, object]:
    """Run the page's cell for one seed and half the steps: does minimax fall 100-fold, does the other grow 10-fold?"""
    source = next(cell.source for cell in code_cells() if GROWTH in cell.source)
    assert source.count("range(5)") == 1 and (not right or source.count(right) == 1)
    space = names() | {"blob_steps": 1000}
    with torch.random.fork_rng():
        exec(source.replace("range(5)", "range(1)").replace(right, wrong), space)
    return space["falls"], space["grows"]


def test_gradients_decay_and_grow_while_d_trains(capsys):
    assert gradients_while_d_trains() == (1, 1)


@pytest.mark.parametrize("name", WRONG_GROWTH)
def test_decay_and_growth_need_the_right_weights(name, capsys):
    assert gradients_while_d_trains(*WRONG_GROWTH[name]) != (1, 1)


FOLLOW = "def follow(D, optimizer, loss)"  # the cell in which all fakes move together


def test_adam_does_not_stand_still_where_descent_does(capsys):
    """A factor that all samples share makes the steps of plain descent small, and is lost on Adam."""
    train, follow = (next(c.source for c in code_cells() if word in c.source) for word in (GROWTH, FOLLOW))
    space = names() | {"blob_steps": 1000}
    with torch.random.fork_rng():
        exec(train.replace("range(5)", "range(1)"), space)
        exec(follow, space)
        (D,) = space["judges"]
        ways = {
            (rule, loss): space["follow"](D, rule, loss)
            for rule in (torch.optim.SGD, torch.optim.Adam)
            for loss in (losses.minimax_loss, losses.nonsaturating_loss)
        }
    assert ways[torch.optim.SGD, losses.minimax_loss] < 0.01
    assert ways[torch.optim.SGD, losses.nonsaturating_loss] > 1
    assert ways[torch.optim.Adam, losses.minimax_loss] > 1


@pytest.mark.parametrize(("data", "count"), [("ring", 8), ("grid", 25)])
def test_the_page_counts_the_clusters_of_its_data(data, count):
    source = next(c.source for c in code_cells() if "def reached(" in c.source)
    (counting,) = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "reached")
    clusters = toy.get(data)
    space = {"torch": torch, "clusters": clusters, "K": count}
    exec(ast.unparse(counting), space)
    assert space["reached"](clusters.sample(2500, torch.Generator().manual_seed(0))) == count
    assert space["reached"](clusters.centres[:1].repeat(2500, 1)) == 1
    rare = torch.cat([clusters.centres[:1].repeat(2499, 1), clusters.centres[1:2]])
    assert space["reached"](rare) == 1  # one sample is less than 8 % of a fair share


# The same results by another route ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "by_logit", "by_probability"),
    [(losses.minimax_loss, -4.54e-5, -1.0), (losses.nonsaturating_loss, -0.99995, -2.2027e4)],
)
def test_slopes_where_the_discriminator_is_sure(loss, by_logit, by_probability):
    a = torch.tensor([-10.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(a), a)
    D = a.detach().sigmoid()
    assert slope.item() == pytest.approx(by_logit, rel=1e-3)
    assert (slope / (D * (1 - D))).item() == pytest.approx(by_probability, rel=1e-3)


def test_divergences_with_little_overlap():
    far, near = theory.Gaussian(20.0, 1.0), theory.Gaussian(4.0, 1.0)
    assert float(theory.kl(far, STANDARD, GRID)) == pytest.approx(200)
    assert float(theory.js(STANDARD, far, GRID)) == pytest.approx(math.log(2), abs=5e-6)
    assert 2 * float(theory.js(STANDARD, near, GRID)) - math.log(4) == pytest.approx(-0.121, abs=5e-4)
    assert float(theory.kl([0.0, 0.99, 0.01], [0.01, 0.99, 0.0])) == math.inf  # 99 % overlap


def test_parallel_lines_do_not_feel_their_distance():
    for distance in (0.01, 1.0, 100.0):
        left, right = toy.lines(distance).sample(1000)[:, 0].sign().unique().tolist()
        assert left != right  # no point of one lies on the other
    assert float(theory.js([1.0, 0.0], [0.0, 1.0])) == math.log(2)


@pytest.mark.parametrize(
    ("logit", "target", "loss", "gradient"),
    [(-90.0, 1.0, 100.0, 0.0), (-50.0, 1.0, 50.0, -1.93e-10), (17.0, 0.0, 100.0, 0.0)],
)
def test_cross_entropy_of_rounded_probabilities(logit, target, loss, gradient):
    a, y = torch.tensor([logit], requires_grad=True), torch.tensor([target])
    value = nn.BCELoss()(a.sigmoid(), y)
    value.backward()
    assert value.item() == pytest.approx(loss)
    assert a.grad.item() == pytest.approx(gradient, rel=1e-2)
    (on_logits,) = torch.autograd.grad(nn.BCEWithLogitsLoss()(a, y), a)
    assert on_logits.item() == pytest.approx(-1.0 if target else 1.0)


def test_what_a_step_descends():
    """∇KL is θ for two Gaussians of width 1; ∇JSD is an integral that autograd can differentiate."""
    theta = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    x, weights = GRID.x, GRID.weights
    p = STANDARD.density(x)
    q = (-((x - theta) ** 2) / 2).exp() / math.sqrt(2 * math.pi)
    m = (p + q) / 2
    jsd = (weights * (p * (p / m).log() + q * (q / m).log())).sum() / 2
    (slope,) = torch.autograd.grad(jsd, theta)
    identity = 1.0 - 2 * slope.item()

    def gradient(frozen):
        family = functools.partial(theory.Gaussian, std=1.0)
        return float(theory.generator_gradient(STANDARD, family, 1.0, "nonsaturating", frozen, GRID))

    assert identity == pytest.approx(0.60203, abs=5e-6)
    assert gradient(True) == pytest.approx(identity, abs=1e-6)
    assert gradient(False) == pytest.approx(0.80101, abs=5e-6)


@pytest.mark.parametrize(("theta", "expected"), [(0.0, 0.693), (1.0, 0.582), (2.0, 0.356), (4.0, 0.060)])
def test_the_dropped_term_depends_on_the_generator(theta, expected):
    """E under p_data of -log D* is the mean of log(1 + p_g/p_data); here by sampling, not on the grid."""
    x = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_sampling = torch.log1p((theta * x - theta**2 / 2).exp()).mean().item()
    p, q = STANDARD.density(GRID.x), theory.Gaussian(theta, 1.0).density(GRID.x)
    by_grid = float(GRID.integrate(-p * theory.optimal_discriminator(p, q).log()))
    assert by_grid == pytest.approx(expected, abs=5e-4)
    assert by_sampling == pytest.approx(by_grid, abs=2e-3)


def test_the_mean_of_ratios_is_as_wide_as_one():
    r, epsilon = torch.randn(2, 20_000, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one, mean = (r / epsilon)[:, 0].abs(), (r / epsilon).mean(dim=1).abs()
    assert one.median().item() == pytest.approx(1.0, abs=0.05)
    assert mean.median().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("cut", [1.0, 10.0, 1000.0])
def test_a_ratio_has_no_mean(cut):
    """Cut off at R, the mean of |c| under the Cauchy density is log(1 + R²)/π: no limit, so no mean."""
    x = torch.linspace(0, cut, 2_000_001, dtype=torch.float64)
    by_integral = torch.trapezoid(2 * x / (math.pi * (1 + x**2)), x)
    assert by_integral.item() == pytest.approx(math.log1p(cut**2) / math.pi, rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_one_of_several_modes_costs_at_most_log_k(count):
    line = theory.line(-40.0, 40.0, 8001)
    for distance in (1.0, 3.0, 8.0):
        centres = [distance * (k - (count - 1) / 2) for k in range(count)]
        data = theory.Mixture([1 / count] * count, centres, [1.0] * count)
        cost = float(theory.kl(theory.Gaussian(centres[0], 1.0), data, line))
        assert 0 < cost <= math.log(count) + 1e-9
    assert cost == pytest.approx(math.log(count), abs=1e-3)  # eight widths apart: the bound is reached
