"""LSGAN: both losses by hand, what they optimise, the step of the system, and the traps of its reimplementations."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from gancourse import cli, losses, systems, theory, training
from gancourse.datasets.source import Batch
from gancourse.errors import UserError
from gancourse.systems import gan, lsgan
from gancourse.systems.configs import change, flat
from gancourse.systems.seeds import Seeds

CPU = torch.device("cpu")
GRID = theory.line(-12, 14)
DATA = theory.Mixture((0.5, 0.5), (-1.5, 1.5), (0.6, 0.6))
PAIRS = {
    "overlapping": (DATA, theory.Gaussian(0.5, 1.0)),
    "equal": (DATA, DATA),
    "nearly apart": (theory.Gaussian(-4.0, 0.5), theory.Gaussian(4.0, 0.5)),
    "narrow": (theory.Gaussian(0.0, 1.0), theory.Gaussian(0.0, 0.3)),
}
PEARSON = [(-1.0, 1.0, 0.0), (0.0, 2.0, 1.0), (3.0, 5.0, 4.0)]  # b - c = 1 and b - a = 2
OTHERS = [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 0.5), (2.0, -1.0, 0.3)]
SMALL = {"g_widths": (16,), "d_widths": (16,), "batch_size": 8, "steps": 3, "latent_dim": 4}


def system(**changes: Any) -> lsgan.LSGAN:
    torch.manual_seed(0)
    return lsgan.LSGAN(change(systems.recipe("digits-lsgan").config, system="lsgan", **{**SMALL, **changes}), CPU)


# ---------------------------------------------------------------------------------------------------- losses


def test_losses_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.0, 1.0]), torch.tensor([0.5, -1.5])
    # ½ · (1 + 1 + 0) / 3 + ½ · (0.25 + 2.25) / 2
    assert losses.least_squares_d_loss(real, fake).item() == pytest.approx(1 / 3 + 0.625)
    # ½ · (9 + 1 + 4) / 3 + ½ · (1.5² + 0.5²) / 2, targets a = -1 and b = -1 + 2
    assert losses.least_squares_d_loss(real - 2, fake, -1, 1).item() == pytest.approx(7 / 3 + 0.625)
    # ½ · (0.25 + 6.25) / 2, and ½ · (0.25 + 2.25) / 2
    assert losses.least_squares_g_loss(fake).item() == pytest.approx(1.625)
    assert losses.least_squares_g_loss(fake, 0.0).item() == pytest.approx(0.625)


def test_halves_are_those_of_the_paper() -> None:
    """Half a mean squared error for each kind, not a mean over both, and no missing ½."""
    real, fake = torch.randn(40), torch.randn(60)
    mse = nn.functional.mse_loss
    both = mse(real, torch.full_like(real, 3.0)) + mse(fake, torch.full_like(fake, -2.0))
    torch.testing.assert_close(losses.least_squares_d_loss(real, fake, -2.0, 3.0), both / 2)
    torch.testing.assert_close(losses.least_squares_g_loss(fake, 0.7), mse(fake, torch.full_like(fake, 0.7)) / 2)


def test_real_and_fake_are_not_swapped() -> None:
    ones, zeros = torch.ones(5), torch.zeros(5)
    assert losses.least_squares_d_loss(ones, zeros) == 0 and losses.least_squares_d_loss(zeros, ones) == 1
    assert losses.least_squares_d_loss(ones, -ones, a=-1.0, b=1.0) == 0  # a is the fakes', b the data's


def test_slopes_are_distances_to_the_target() -> None:
    """No slope dies: it grows with the distance, and changes sign at the target."""
    real, fake = (torch.linspace(-8, 8, 33, dtype=torch.float64).requires_grad_() for _ in range(2))
    by_real, by_fake = torch.autograd.grad(losses.least_squares_d_loss(real, fake, -1.0, 2.0), (real, fake))
    torch.testing.assert_close(33 * by_real, real.detach() - 2)
    torch.testing.assert_close(33 * by_fake, fake.detach() + 1)
    (slope,) = torch.autograd.grad(losses.least_squares_g_loss(fake, 1.0), fake)
    torch.testing.assert_close(33 * slope, fake.detach() - 1)
    assert slope[-1] > 0  # a sample scored far above c is pulled back; the non-saturating slope is ≤ 0 everywhere
    (cross_entropy,) = torch.autograd.grad(losses.nonsaturating_loss(fake), fake)
    assert cross_entropy[-1] < 0 and abs(cross_entropy[-1]) < 1e-3 * abs(slope[-1])


def test_shapes_do_not_broadcast() -> None:
    """Errata C-15's twin: MSELoss of (B, 1) scores and (B,) targets warns and compares all with all."""
    scores, targets = torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 1.0])
    with pytest.warns(UserWarning, match="target size"):
        assert nn.MSELoss()(scores, targets) == 0.5  # two perfect predictions
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert losses.least_squares_d_loss(scores[1:], scores[:1]) == 0
        assert losses.least_squares_d_loss(torch.ones(2, 1), torch.zeros(5)) == 0


def test_each_score_is_squared_before_the_mean() -> None:
    """Errata M-69: a D that is wrong everywhere and right on average still pays."""
    patches = torch.tensor([[3.0, -1.0], [0.0, 2.0]])  # mean 1, the target
    assert losses.least_squares_g_loss(patches.mean()) == 0
    assert losses.least_squares_g_loss(patches) == pytest.approx(0.5 * (4 + 4 + 1 + 1) / 4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.least_squares_d_loss(torch.ones(2), torch.ones(2), 1, 1), "same target"),
        (lambda: losses.least_squares_d_loss(torch.ones(2), torch.ones(2), math.nan, 1), "finite"),
        (lambda: losses.least_squares_g_loss(torch.ones(2), math.inf), "finite"),
        (lambda: system(a=1.0), "a=1 and b=1 are the same target"),
        (lambda: system(a=0.5, b=0.5), "nothing"),
        (lambda: system(target=0.0), "target=0 does not lie on b's side of a=0"),
        (lambda: system(target=-1.0), "Take target=1"),
        (lambda: system(a=1.0, b=0.0, target=1.5), "Take target=0"),
        (lambda: system(b="one"), "b='one' must be a finite number"),
        (lambda: system(target=True), "target=True must be a finite number"),
        (lambda: system(a=math.nan), "a=nan must be a finite number"),
        (lambda: system(loss="minimax"), "an LSGAN has one loss"),
        (lambda: system(c=0.5), "it is called 'target' now"),
        (lambda: system(latent_dim=0), "latent_dim=0 is out of range"),
        (lambda: system(g_norm="layer"), "Unknown g_norm"),
        (lambda: theory.least_squares_discriminator([1.0], [1.0], 2.0, 2.0), "two different"),
        (lambda: theory.least_squares_criterion([1.0], [1.0], 0.0, 0.0), "two different"),
    ],
)
def test_targets_that_teach_nothing_are_refused(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()


def test_the_command_line_refuses_equal_targets(tmp_path: Any, capsys: Any) -> None:
    arguments = ["train", "ring-lsgan", "--profile", "smoke", "--set", "a=1", "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert "same target" in capsys.readouterr().err and not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------------------------- theory


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (2.0, 7.0)])
def test_the_best_discriminator(a: float, b: float) -> None:
    p, q = (law.density(GRID.x) for law in PAIRS["overlapping"])
    best = theory.least_squares_discriminator(p, q, a, b)
    torch.testing.assert_close(best, (b * p + a * q) / (p + q))
    assert best.min() >= min(a, b) and best.max() <= max(a, b)

    def loss(d: torch.Tensor) -> float:
        return float(GRID.integrate(p * (d - b) ** 2 / 2 + q * (d - a) ** 2 / 2))

    for seed in range(5):
        bump = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        moved = best + bump[0] * torch.sin(bump[1] * GRID.x + bump[2])
        assert loss(moved) > loss(best)
        # by Pythagoras: the loss is lost in proportion to the squared distance from D*
        assert loss(moved) - loss(best) == pytest.approx(float(GRID.integrate((p + q) * (moved - best) ** 2 / 2)))


def test_the_best_discriminator_is_free_where_nothing_falls() -> None:
    best = theory.least_squares_discriminator([0.5, 0.5, 0.0], [0.0, 1.0, 0.0], -1.0, 1.0)
    assert best[0] == 1 and best[1] == pytest.approx(-1 / 3) and best[2].isnan()


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("a", "b", "c"), PEARSON)
def test_pearsons_identity(name: str, a: float, b: float, c: float) -> None:
    """2 C(G) = χ²(p_data + p_g ‖ 2 p_g) in the paper's order, where b - c = 1 and b - a = 2: to 1e-4, and better."""
    p, q = PAIRS[name]
    x, y = p.density(GRID.x), q.density(GRID.x)
    both = x + y
    as_printed = GRID.integrate(torch.where(both > 0, (2 * y - both) ** 2 / both, 0.0))
    twice = 2 * float(theory.least_squares_criterion(p, q, a, b, c, GRID))
    assert twice == pytest.approx(float(as_printed), abs=1e-6)
    assert twice == pytest.approx(2 * float(theory.chi_square(y, both / 2, GRID)), abs=1e-6)
    assert twice == pytest.approx(float(theory.triangular(p, q, GRID)), abs=1e-6)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("a", "b", "c"), PEARSON + OTHERS)
def test_every_coding_has_the_same_divergence_up_to_a_line(name: str, a: float, b: float, c: float) -> None:
    p, q = PAIRS[name]
    delta = float(theory.triangular(p, q, GRID))
    line = (a + b - 2 * c) ** 2 / 2 + (b - a) ** 2 / 4 * delta
    assert 2 * float(theory.least_squares_criterion(p, q, a, b, c, GRID)) == pytest.approx(line, abs=1e-6)
    if (a, b, c) in OTHERS and name == "overlapping":
        assert abs(line - delta) > 0.05  # the identity is not true of them


def test_the_common_coding() -> None:
    """0/1/1: 2 C(G) = ½ + Δ/4, so C is ¼ at the solution and ½ for disjoint supports."""
    assert float(theory.least_squares_criterion(DATA, DATA, grid=GRID)) == pytest.approx(0.25)
    apart = theory.least_squares_criterion([1.0, 0.0], [0.0, 1.0])
    assert float(apart) == pytest.approx(0.5)
    assert float(theory.triangular([1.0, 0.0], [0.0, 1.0])) == 2
    assert float(theory.least_squares_criterion([1.0, 0.0], [0.0, 1.0], -1, 1, 0)) == pytest.approx(1.0)


def frozen_slope(family: Any, at: float, a: float, b: float, c: float) -> float:
    """The slope of ½ E_{p_θ}[(D₀ - c)²], D₀ being the best D at θ = `at` and resting there: what a step of G sees."""
    theta = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    p, q = theory.Gaussian().density(GRID.x), family(theta).density(GRID.x)
    rests = theory.least_squares_discriminator(p, q.detach(), a, b).nan_to_num(c)
    (slope,) = torch.autograd.grad((GRID.weights * q * (rests - c) ** 2 / 2).sum(), theta)
    return float(slope)


def mean(theta: Any) -> theory.Gaussian:
    return theory.Gaussian(theta, 1.0)


def width(theta: Any) -> theory.Gaussian:
    return theory.Gaussian(0.0, theta)


@pytest.mark.filterwarnings("ignore:Converting a tensor")
@pytest.mark.parametrize(("family", "at"), [(mean, 0.5), (mean, 2.0), (width, 0.5), (width, 1.6)])
def test_what_a_step_of_0_1_1_descends(family: Any, at: float) -> None:
    """With D₀ at rest it is KL(p_data ‖ m) - Δ/8, m = (p_data + p_g) / 2: no χ², and not C(G) either."""

    def objective(theta: float) -> float:
        q = family(theta).density(GRID.x)
        p = theory.Gaussian().density(GRID.x)
        return float(theory.kl(p, (p + q) / 2, GRID)) - float(theory.triangular(p, q, GRID)) / 8

    by_difference = (objective(at + 1e-4) - objective(at - 1e-4)) / 2e-4
    assert frozen_slope(family, at, 0.0, 1.0, 1.0) == pytest.approx(by_difference, abs=1e-4)


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_a_step_of_pearsons_coding_narrows_a_narrow_generator() -> None:
    """-1/1/0 has the identity, but a step with D₀ at rest moves a too narrow Gaussian away from the data's width."""
    for at in (0.5, 0.8):
        assert frozen_slope(width, at, -1.0, 1.0, 0.0) > 0  # descending makes it narrower
        assert frozen_slope(width, at, 0.0, 1.0, 1.0) < 0 and frozen_slope(width, at, -1.0, 1.0, 1.0) < 0
    assert frozen_slope(mean, 0.1, -1.0, 1.0, 0.0) < 0.02 * frozen_slope(mean, 0.1, 0.0, 1.0, 1.0)


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_a_target_above_the_middle_is_right_near_the_data_only() -> None:
    """f is convex for all r exactly if c ≥ b; with the middle < c < b the slope has the right sign near w = 1 alone."""
    r = torch.linspace(0.01, 50, 2000, dtype=torch.float64)
    for a, b, c in ((0.0, 1.0, 1.0), (-1.0, 1.0, 1.5), (-1.0, 1.0, 0.1), (-1.0, 1.0, 0.0), (0.0, 1.0, 0.9)):
        best = (b + a * r) / (1 + r)
        rises = ((best - c) ** 2 / 2).diff() > 0
        assert bool(rises.all()) == (c >= b)
        near = (r > 0.9) & (r < 1.1)
        assert bool(rises[near[1:]].all()) == (c > (a + b) / 2)
    assert frozen_slope(width, 0.8, -1.0, 1.0, 0.1) > 0 > frozen_slope(width, 0.95, -1.0, 1.0, 0.1)
    for at in (0.5, 0.8, 0.95):  # at 0.5 of the way to b this family has the right sign
        assert frozen_slope(width, at, -1.0, 1.0, 0.5) < 0
    assert frozen_slope(width, 0.339, -1.0, 1.0, 0.0) < 0 < frozen_slope(width, 0.341, -1.0, 1.0, 0.0)


def test_the_terms_of_what_0_1_1_descends() -> None:
    """∫ p² / (p + q) = ½ + Δ/4, and with f(r) = r/2 - log(1 + r) - 1/(2 (1 + r)) all constants come to ¼ - log 2."""
    p, q = theory.Gaussian().density(GRID.x), theory.Gaussian(0.4, 0.7).density(GRID.x)
    delta = float(theory.triangular(p, q, GRID))
    assert float(GRID.integrate(p**2 / (p + q))) == pytest.approx(0.5 + delta / 4, abs=1e-6)
    r = q / p
    f = r / 2 - (1 + r).log() - 1 / (2 * (1 + r))
    bracket = float(theory.kl(p, (p + q) / 2, GRID)) - delta / 8
    assert float(GRID.integrate(p * f)) == pytest.approx(bracket + 0.25 - math.log(2), abs=1e-6)


def test_far_apart_the_slope_of_least_squares_dies_and_that_of_minus_log_d_grows() -> None:
    def slopes(theta: float) -> tuple[float, float]:  # D, the best at θ, rests
        logit = theta**2 / 2 - theta * GRID.x
        by_theta = theory.Gaussian(theta, 1.0).density(GRID.x) * (GRID.x - theta)
        least_squares = (logit.sigmoid() - 1) ** 2 / 2
        found = (nn.functional.softplus(-logit), least_squares)
        return tuple(float(GRID.integrate(by_theta * loss)) for loss in found)  # type: ignore[return-value]

    (log_near, ls_near), (log_far, ls_far) = slopes(2.0), slopes(8.0)
    assert log_far > 7.9 > log_near > 1 and ls_near > 0.1 and 0 < ls_far < 1e-3


def test_chi_square_of_gaussians_and_vectors() -> None:
    grid = theory.line(-16, 16)
    found = theory.chi_square(theory.Gaussian(1.0, 1.0), theory.Gaussian(0.0, 1.0), grid)
    assert float(found) == pytest.approx(math.e - 1, abs=1e-6)  # e^(θ²) - 1
    p, q = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.5, 0.25, 0.25])
    assert float(theory.chi_square(p, q)) == pytest.approx(float(((p - q) ** 2 / q).sum()), rel=1e-6)
    assert float(theory.chi_square(q, p)) != pytest.approx(float(theory.chi_square(p, q)), rel=0.05)
    assert float(theory.chi_square([0.5, 0.5], [1.0, 0.0])) == math.inf
    assert float(theory.chi_square([1.0, 0.0], [0.5, 0.5])) == pytest.approx(1.0)


def test_triangular_is_symmetric_bounded_and_a_chi_square() -> None:
    for p, q in PAIRS.values():
        x, y = p.density(GRID.x), q.density(GRID.x)
        found = theory.triangular(p, q, GRID)
        assert float(found) == pytest.approx(float(theory.triangular(q, p, GRID)))
        assert -1e-12 <= float(found) <= 2 + 1e-9
        for law in (x, y):
            assert float(found) == pytest.approx(2 * float(theory.chi_square(law, (x + y) / 2, GRID)), abs=1e-6)


# ---------------------------------------------------------------------------------------------------- the system


def test_only_the_objective_differs_from_the_gan() -> None:
    for name, other in (("digits-lsgan", "digits-mlp"), ("ring-lsgan", "ring-gan")):
        ours, theirs = systems.recipe(name), systems.recipe(other)
        for profile in ("smoke", "cpu", "gpu"):
            mine, plain = flat(ours.at(profile)), flat(theirs.at(profile))
            assert {key for key in mine if mine[key] != plain.get(key, "missing")} == {"a", "b", "target"}
            assert plain.keys() - mine.keys() == {"loss"}
    one = system()
    torch.manual_seed(0)
    other_one = gan.GAN(change(systems.recipe("digits-mlp").config, **SMALL), CPU)
    for a, b in zip(one.D.parameters(), other_one.D.parameters(), strict=True):
        assert torch.equal(a, b)


def test_one_step_by_hand() -> None:
    """The system's two losses, their gradients and the readings, against plain code."""
    s = system(a=-1.0, b=2.0, target=0.5, d_dropout=0.0, g_norm="none")
    x = torch.rand(8, 1, 28, 28) * 2 - 1
    torch.manual_seed(1)
    d_loss = s.d_phase(Batch(x))
    torch.manual_seed(1)
    fake = s.G(torch.randn(8, 4)).detach()
    expected = ((s.D(x) - 2) ** 2).mean() / 2 + ((s.D(fake) + 1) ** 2).mean() / 2
    torch.testing.assert_close(d_loss, expected)
    d_loss.backward()
    assert all(p.grad is None for p in s.G.parameters()) and all(p.grad is not None for p in s.D.parameters())
    torch.manual_seed(2)
    g_loss = s.g_phase(None)
    torch.manual_seed(2)
    scores = s.D(s.G(torch.randn(8, 4)))
    torch.testing.assert_close(g_loss, ((scores - 0.5) ** 2).mean() / 2)
    for name, value in zip(s.notes, [s.D(x), s.D(fake), scores], strict=True):
        assert training.mean(s.seen[name]) == pytest.approx(value.mean().item(), rel=1e-5)


def test_there_is_no_sigmoid_anywhere() -> None:
    """A sigmoid before the squares keeps the scores in (0, 1) and kills the slope where D is sure."""
    s = system()
    assert not any(isinstance(module, nn.Sigmoid) for module in s.D.modules())
    with torch.no_grad():
        s.D.layers.logit.bias.fill_(40.0)  # type: ignore[union-attr]
    torch.manual_seed(1)
    loss = s.g_phase(None)
    assert 700 < loss < 800  # ½ · 39², where a sigmoid would give 0
    assert s.seen["d_fake_after"].mean() > 30


def test_targets_of_the_two_players_are_not_mixed() -> None:
    s = system(a=0.0, b=1.0, target=0.75)
    for value, d_expected, g_expected in ((0.0, 0.5, 0.28125), (1.0, 0.5, 0.03125), (0.5, 0.25, 0.03125)):
        for module in s.D.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.weight)
        nn.init.constant_(s.D.layers.logit.bias, value)  # type: ignore[arg-type, union-attr]
        assert s.d_phase(Batch(torch.zeros(8, 1, 28, 28))).item() == pytest.approx(d_expected)
        assert s.g_phase(None).item() == pytest.approx(g_expected)


def test_at_rest_the_log_says_so() -> None:
    """Where D answers (a + b) / 2 to everything: d_loss is (b - a)² / 4, and 0/1/1 reads ¼ and ⅛."""
    middle = torch.full((4,), 0.5)
    assert losses.least_squares_d_loss(middle, middle) == 0.25 and losses.least_squares_g_loss(middle) == 0.125
    zero = torch.zeros(4)
    assert losses.least_squares_d_loss(zero, zero, -1, 1) == 1 and losses.least_squares_g_loss(zero, 0.0) == 0


@pytest.mark.parametrize("name", ["digits-lsgan", "ring-lsgan"])
def test_recipes_train_and_resume(name: str, tmp_path: Any) -> None:
    run = training.Run(systems.recipe(name), seed=0, profile="smoke", out=tmp_path / "run", quiet=True, steps=12)
    rows = run.train()
    assert {"d_loss", "g_loss", "d_real", "d_fake", "d_fake_after"} <= set(rows[-1])
    assert all(math.isfinite(float(value)) for value in rows[-1].values())
    assert run.system.sample(3, seed=1).shape == (3, *run.system.config.sample_shape)


def test_seeds_can_be_stacked() -> None:
    seeds = Seeds(systems.recipe("ring-lsgan"), [0, 1], profile="smoke")
    for step in range(3):
        training.training_step(seeds, seeds.batches, step, seeds.parameters)
    assert seeds.sample(5).shape == (2, 5, 2)


def test_the_papers_networks(capsys: Any) -> None:
    """Counted by hand from the layers of the authors' vgg.py; the paper prints none."""
    g = (1024 + 1) * 12544 + 4 * (256 * 9 + 1) * 256
    g += (256 * 9 + 1) * 128 + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 3 + 2 * (5 * 256 + 128 + 64)
    d = sum((c * 25 + 1) * n for c, n in ((3, 64), (64, 128), (128, 256), (256, 512))) + 2 * (128 + 256 + 512) + 25089
    assert cli.main(["describe", "lsgan", "--paper"]) == 0
    told = capsys.readouterr().out
    assert f"G: {g:,} parameters" in told and f"D: {d:,} parameters" in told and "xudonmao/LSGAN" in told
    networks = lsgan.paper()
    with torch.no_grad():
        pictures = networks["G"].eval()(torch.randn(2, 1024))
        assert pictures.shape == (2, 3, 112, 112) and pictures.abs().max() <= 1
        assert networks["D"].eval()(pictures).shape == (2, 1)
