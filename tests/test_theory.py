"""Every function of gancourse.theory against a closed form or an independent route, and every bad input.

The results that chapters 3 and 4 display are here with their numbers.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats

from gancourse import theory
from gancourse.errors import UserError
from gancourse.theory import Gaussian, Mixture, Uniform

LOG_2, LOG_4 = math.log(2), math.log(4)
GRID = theory.line(-12, 16)
N01, N11, N41 = Gaussian(0.0, 1.0), Gaussian(1.0, 1.0), Gaussian(4.0, 1.0)
MIX = Mixture((0.3, 0.7), (-1.0, 2.0), (0.5, 1.0))
LAWS = [Gaussian(0.5, 1.3), MIX, Uniform(-1.0, 2.0)]


def random_laws(seed: int, points: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Two probability vectors, the second with a zero."""
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.rand(2, points, dtype=torch.float64, generator=generator) ** 3
    q[seed % points] = 0
    return p / p.sum(), q / q.sum()


# ------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_laws_are_consistent(law: Any) -> None:
    grid = theory.line(-10, 11, 42001)
    density = law.density(grid.x)
    assert float(grid.integrate(density)) == pytest.approx(1, abs=1e-6)
    inside = density > 0
    torch.testing.assert_close(law.log_density(grid.x)[inside], density[inside].log())
    half = grid.x <= 0.75
    mass = float(torch.trapezoid(density[half], grid.x[half]))
    assert float(law.cdf(torch.tensor(0.75, dtype=torch.float64))) == pytest.approx(mass, abs=1e-3)
    samples = law.sample(200_000, torch.Generator().manual_seed(1))
    mean = float(grid.integrate(density * grid.x))
    second = float(grid.integrate(density * grid.x**2))
    assert samples.dtype == torch.float64
    assert float(samples.mean()) == pytest.approx(mean, abs=0.02)
    assert float((samples**2).mean()) == pytest.approx(second, abs=0.06)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(0.0, 0.0),
        lambda: Gaussian(0.0, math.nan),
        lambda: Mixture((0.5, 0.6), (0, 1), (1, 1)),
        lambda: Mixture((1.5, -0.5), (0, 1), (1, 1)),
        lambda: Mixture((1.0,), (0, 1), (1, 1)),
        lambda: Mixture((0.5, 0.5), (0, 1), (1, 0)),
        lambda: Uniform(1.0, 1.0),
    ],
)
def test_impossible_laws_are_refused(make: Any) -> None:
    with pytest.raises(UserError):
        make()


# ------------------------------------------------------------------------------------------------- quadrature


def test_simpson_is_exact_for_cubics_and_states_its_error() -> None:
    grid = theory.line(-1, 3, 9)
    exact = grid.integrate(grid.x**3 - grid.x)
    assert float(exact) == pytest.approx(16) and exact.error < 1e-12
    coarse = theory.line(0, 1, 5)
    rough = coarse.integrate(coarse.x.exp())
    assert abs(float(rough) - (math.e - 1)) < rough.error < 1e-3


def test_estimates_print_number_and_error() -> None:
    estimate = theory.Estimate(0.27537268, 2e-12)
    assert f"{estimate:.4f}" == "0.2754 ± 2.0e-12"
    assert float(estimate) == 0.27537268 and str(estimate).startswith("0.275373 ±")


@pytest.mark.parametrize("reach", [3.6, 4.0, 5.0, 9.0])
def test_the_error_knows_what_the_grid_cuts_off(reach: float) -> None:
    narrow, near = theory.line(-reach, reach), Gaussian(0.3, 1.0)
    exact = {
        theory.kl: 0.3**2 / 2,
        theory.total_variation: 2 * stats.norm.cdf(0.15) - 1,
        theory.wasserstein1: 0.3,
        theory.js: float(theory.js(N01, near, GRID)),
        theory.criterion: float(theory.criterion(N01, near, GRID)),
    }
    for function, value in exact.items():
        found = function(N01, near, narrow)
        assert abs(float(found) - value) <= found.error + 1e-14, function.__name__
        assert found.error < 0.01
    p, q = N01.density(narrow.x), near.density(narrow.x)
    found = theory.value(p, q, theory.optimal_discriminator(p, q), narrow)
    assert abs(float(found) - exact[theory.criterion]) <= found.error + 1e-14
    for frozen in (True, False):
        slopes = [theory.generator_gradient(N01, family, 0.3, frozen=frozen, grid=g) for g in (narrow, GRID)]
        assert abs(float(slopes[0]) - float(slopes[1])) <= slopes[0].error + 1e-14


# ------------------------------------------------------------------------------- chapter 3: value, D*, C(G)


def test_push_forward_needs_no_inverse() -> None:  # (3.1), errata M-06
    found = theory.push_forward(
        torch.log1p, lambda z: z**2, N01.sample, n=1_000_000, generator=torch.Generator().manual_seed(3)
    )
    exact = stats.chi2(1).expect(lambda x: math.log1p(x))
    assert exact == pytest.approx(0.5335, abs=1e-4)
    assert abs(float(found) - exact) < 4 * found.error < 0.003
    with pytest.raises(UserError, match="n ≥ 2"):
        theory.push_forward(torch.log1p, torch.exp, N01.sample, n=1)


def test_change_of_variables() -> None:  # (3.2): x = exp z, and scipy's law of it
    grid = theory.line(1e-9, 400, 200_001)
    density = N01.density(grid.x.log()) / grid.x
    torch.testing.assert_close(density[1:], torch.from_numpy(stats.lognorm(1).pdf(grid.x[1:].numpy())))
    assert float(grid.integrate(density)) == pytest.approx(1, abs=1e-7)


def test_value_is_what_samples_give() -> None:  # (3.3)
    def D(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(0.3 - 0.7 * x)

    generator = torch.Generator().manual_seed(0)
    x, fake = MIX.sample(1_000_000, generator), N11.sample(1_000_000, generator)
    sampled = D(x).log().mean() + (1 - D(fake)).log().mean()
    assert float(theory.value(MIX, N11, D(GRID.x), GRID)) == pytest.approx(float(sampled), abs=4e-3)


def test_optimal_discriminator_is_bayes_rule_and_wins() -> None:  # (3.4), (3.5)
    p, q = MIX.density(GRID.x), N11.density(GRID.x)
    best = theory.optimal_discriminator(p, q)
    torch.testing.assert_close(best, torch.sigmoid(MIX.log_density(GRID.x) - N11.log_density(GRID.x)))
    top = float(theory.value(p, q, best, GRID))
    for seed in range(20):
        a, b, c = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        other = (best.logit() + a * torch.sin(b * GRID.x + c)).clamp(-700, 700).sigmoid()
        assert float(theory.value(p, q, other, GRID)) < top
    assert top == pytest.approx(float(theory.criterion(p, q, GRID)), abs=1e-9)


def test_optimal_discriminator_is_free_where_nothing_falls() -> None:
    found = theory.optimal_discriminator([0.5, 0.0, 0.5], [0.0, 0.0, 1.0])
    assert found[0] == 1 and found[1].isnan() and found[2] == pytest.approx(1 / 3)
    free = [float(theory.value([0.5, 0, 0.5], [0, 0, 1], [0.9, d, 0.3])) for d in (0.0, 0.5, math.nan)]
    assert free[0] == free[1] == free[2]


def test_a_worse_discriminator_costs_the_divergence_of_coins() -> None:  # (3.6)
    p, q = MIX.density(GRID.x), N11.density(GRID.x)
    best, other = theory.optimal_discriminator(p, q), torch.sigmoid(0.2 * GRID.x)
    coins = torch.xlogy(best, best / other) + torch.xlogy(1 - best, (1 - best) / (1 - other))
    price = float(theory.criterion(p, q, GRID)) - float(theory.value(p, q, other, GRID))
    assert price == pytest.approx(float(GRID.integrate((p + q) * coins)), abs=1e-10)
    assert price > 0.05


def test_criterion_at_the_solution_is_minus_log_4() -> None:  # (3.8)
    for law in (N01, MIX):
        found = theory.criterion(law, law, GRID)
        assert float(found) == pytest.approx(-LOG_4, abs=1e-10)
        assert abs(float(found) + LOG_4) <= found.error + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_criterion_is_minus_log_4_plus_twice_jsd(seed: int) -> None:  # (3.7), (3.11), (3.12)
    p, q = random_laws(seed)
    direct = float((torch.xlogy(p, p / (p + q)) + torch.xlogy(q, q / (p + q))).sum())
    found = float(theory.criterion(p, q))
    assert found == pytest.approx(direct, abs=1e-12)
    assert found == pytest.approx(-LOG_4 + 2 * float(theory.js(p, q)), abs=1e-12)
    assert -LOG_4 < found <= 0


def test_criterion_of_distant_gaussians() -> None:  # errata M-32
    assert float(theory.criterion(N01, N41, GRID)) == pytest.approx(-0.121, abs=5e-4)
    assert float(theory.value(N01, N41, theory.optimal_discriminator(*_pair(N01, N41)), GRID)) == pytest.approx(
        float(theory.criterion(N01, N41, GRID)), abs=1e-12
    )


def _pair(p: Any, q: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return p.density(GRID.x), q.density(GRID.x)


def test_value_without_logs_is_one_plus_total_variation() -> None:  # (3.13), errata M-05
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.6])
    hard = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    best = float((hard * p + (1 - hard) * q).sum(dim=1).max())
    assert best == pytest.approx(1.6) and best == pytest.approx(1 + float(theory.total_variation(p, q)))


def test_the_joint_nonsaturating_value_has_no_maximum() -> None:  # (3.14), errata M-22
    p, q = random_laws(2)
    tv = float(theory.total_variation(p, q))
    for t in (1e2, 1e4, 1e6):
        D = torch.where(q > p, torch.tensor(-t, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))
        joint = float(((p - q) * torch.nn.functional.logsigmoid(D)).sum())
        assert joint == pytest.approx(t * tv - LOG_2 * tv, abs=1e-6 * t)
        assert float(theory.value(p, q, D.sigmoid())) <= 0


def test_lost_parentheses_are_another_game() -> None:  # (3.15), errata M-02
    for seed in range(10):
        p, q = random_laws(seed)
        best = torch.where(q > 0, (p / q).clamp(max=1), 1.0)
        reached = float((torch.xlogy(p, best) - q * best).sum())
        assert reached >= -1 - 1e-12  # -1 is the value of a perfect generator, whose D says 1 to everything
        for other in torch.rand(200, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)):
            assert float((torch.xlogy(p, other) - q * other).sum()) <= reached + 1e-12
    assert float((torch.xlogy(p, torch.ones(6)) - p).sum()) == pytest.approx(-1)


@pytest.mark.parametrize("seed", range(10))
def test_the_game_has_a_saddle_point_and_its_two_orders_one_value(seed: int) -> None:  # (3.21), (1.14), (1.15)
    p, q = random_laws(seed)
    half = torch.full((6,), 0.5, dtype=torch.float64)
    D = torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert float(theory.value(p, p, D)) <= -LOG_4 + 1e-12
    assert float(theory.value(p, p, half)) == pytest.approx(-LOG_4) == float(theory.value(p, q, half))
    answered = min(float(theory.value(p, corner, D)) for corner in torch.eye(6, dtype=torch.float64))
    assert answered == pytest.approx(float((p * D.log()).sum() + (1 - D.max()).log())) and answered <= -LOG_4


@pytest.mark.parametrize(("beside", "holds"), [(0.0, True), (0.2, True), (0.5, True), (0.51, False), (0.9, False)])
def test_beside_the_data_the_saddle_leaves_d_at_most_one_half(beside: float, holds: bool) -> None:  # chapter 3
    p, D = [0.5, 0.5, 0.0], [0.5, 0.5, beside]
    worst = min(float(theory.value(p, corner, D)) for corner in torch.eye(3, dtype=torch.float64))
    assert (worst >= -LOG_4 - 1e-12) == holds


def test_the_slope_of_the_criterion_is_flat_where_the_two_are_apart() -> None:  # the figure of separate Gaussians
    for s in (1.0, 4.0, 8.0):
        fakes = Gaussian(s, 1.0)
        D = theory.optimal_discriminator(*_pair(N01, fakes))
        mean = float(GRID.integrate(fakes.density(GRID.x) * D))
        slope = float(theory.generator_gradient(N01, lambda t: Gaussian(t, 1.0), s, "minimax", grid=GRID))
        assert slope == pytest.approx(s * mean, abs=1e-8)  # the logit of D* has the slope -s everywhere
    assert slope < 1e-3


def test_matched_moments_content_a_quadratic_discriminator() -> None:  # (3.18)
    data = Mixture((0.5, 0.5), (-1.5, 1.5), (0.6, 0.6))
    matched = Gaussian(0.0, math.sqrt(1.5**2 + 0.6**2))
    for seed in range(20):
        w = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) / 10
        logit = w[0] + w[1] * GRID.x + w[2] * GRID.x**2
        assert float(theory.value(data, matched, logit.sigmoid(), GRID)) < -LOG_4
    assert float(theory.criterion(data, matched, GRID)) > -LOG_4 + 0.1


def test_a_hard_decision_is_worth_minus_infinity() -> None:
    assert float(theory.value([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])) == -math.inf


def test_slope_of_the_criterion_is_what_the_generator_sees() -> None:  # (3.16), (3.17)
    p, q = (law + 0.01 for law in random_laws(4))
    p, q = p / p.sum(), q / q.sum()
    moving = q.clone().requires_grad_()
    C = (p * (p / (p + moving)).log() + moving * (moving / (p + moving)).log()).sum()
    one_minus = 1 - theory.optimal_discriminator(p, q)
    torch.testing.assert_close(torch.autograd.grad(C, moving)[0], one_minus.log())
    weights = q / one_minus
    torch.testing.assert_close(weights / weights.sum(), (p + q) / 2)


# --------------------------------------------------------------------------------------------- divergences


def test_kl_of_gaussians() -> None:
    p, q = Gaussian(0.3, 0.8), Gaussian(-0.5, 1.7)
    exact = math.log(1.7 / 0.8) + (0.8**2 + 0.8**2) / (2 * 1.7**2) - 0.5
    found = theory.kl(p, q, GRID)
    assert float(found) == pytest.approx(exact, abs=1e-10) and found.error < 1e-9
    values = theory.kl(p.density(GRID.x), q.density(GRID.x), GRID)
    assert float(values) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_divergences_of_vectors_agree_with_scipy(seed: int) -> None:
    p, q = random_laws(seed)
    assert float(theory.kl(p, q)) == math.inf  # q has a zero where p has none
    assert float(theory.kl(q, p)) == pytest.approx(float(stats.entropy(q, p)), abs=1e-12)
    m = (p + q) / 2
    lin = float(stats.entropy(m)) - (float(stats.entropy(p)) + float(stats.entropy(q))) / 2  # H(m) - mean of H
    assert float(theory.js(p, q)) == pytest.approx(lin, abs=1e-12)
    assert float(theory.js(p, q)) == pytest.approx(float(theory.js(q, p)), abs=1e-15)
    assert float(theory.total_variation(p, q)) == pytest.approx(float((p - q).abs().sum() / 2))


def test_kl_vanishes_only_at_equality() -> None:  # (3.9), errata M-11
    p, _ = random_laws(0)
    assert float(theory.kl(p, p)) == pytest.approx(0, abs=1e-15)
    for seed in range(20):
        moved = p * torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).add(0.5)
        assert float(theory.kl(p, moved / moved.sum())) > 1e-4


def test_the_order_of_arguments_in_jsd() -> None:  # (3.10), errata M-12
    p, q = torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.8])
    m = (p + q) / 2
    assert float(theory.js(p, q)) == pytest.approx(0.2754, abs=5e-5)
    reversed_order = (float(theory.kl(m, p)) + float(theory.kl(m, q))) / 2
    assert reversed_order == pytest.approx(0.3517, abs=5e-5)
    disjoint = [1.0, 0.0, 0.0], [0.0, 0.4, 0.6]
    assert float(theory.js(*disjoint)) == pytest.approx(LOG_2, abs=1e-15)
    middle = (torch.tensor(disjoint[0]) + torch.tensor(disjoint[1])) / 2
    assert float(theory.kl(middle, disjoint[0])) == math.inf
    separate = theory.line(-1, 4, 5001)
    assert float(theory.js(Uniform(0, 1), Uniform(2, 3), separate)) == pytest.approx(LOG_2, abs=1e-12)


def test_far_gaussians_have_finite_kl_and_nearly_log_2() -> None:  # errata M-32
    wide, far = theory.line(-12, 32, 8001), Gaussian(20.0, 1.0)
    assert float(theory.kl(N01, far, wide)) == pytest.approx(200, abs=1e-8)
    assert float(theory.js(N01, far, wide)) == pytest.approx(LOG_2, abs=1e-5)


def test_kl_is_infinite_off_the_support() -> None:
    grid = theory.line(-2, 3, 5001)
    assert float(theory.kl(Uniform(-1, 2), Uniform(0, 1), grid)) == math.inf
    assert float(theory.kl(Uniform(0, 1), Uniform(-1, 2), grid)) == pytest.approx(math.log(3), abs=2e-3)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_total_variation_and_wasserstein_of_shifted_gaussians(shift: float) -> None:
    moved = Gaussian(shift, 1.0)
    tv = theory.total_variation(N01, moved, GRID)
    exact = 2 * stats.norm.cdf(shift / 2) - 1
    assert abs(float(tv) - exact) <= tv.error
    assert tv.error < 1e-4
    assert float(theory.wasserstein1(N01, moved, GRID)) == pytest.approx(shift, abs=1e-10)


def test_wasserstein_of_vectors() -> None:
    points = [0.0, 0.5, 2.0, 3.0, 4.5, 7.0]
    for seed in range(10):
        p, q = random_laws(seed)
        exact = stats.wasserstein_distance(points, points, p, q)
        assert float(theory.wasserstein1(p, q, points=points)) == pytest.approx(exact, abs=1e-12)
    with pytest.raises(UserError, match="increasing"):
        theory.wasserstein1([0.5, 0.5], [1.0, 0.0], points=[1.0, 0.0])
    with pytest.raises(UserError, match="points="):
        theory.wasserstein1([0.5, 0.5], [1.0, 0.0])


# --------------------------------------------------------------- chapter 4: gradients at a frozen and a moving D*


def family(theta: torch.Tensor) -> Gaussian:
    return Gaussian(theta, 1.0)


def test_frozen_and_reoptimised_gradients() -> None:  # errata M-30; Arjovsky & Bottou 2017, Theorem 2.5
    frozen = theory.generator_gradient(N01, family, 1.0, "nonsaturating", True, GRID)
    moving = theory.generator_gradient(N01, family, 1.0, "nonsaturating", False, GRID)
    assert float(frozen) == pytest.approx(0.60203, abs=5e-6)
    assert float(moving) == pytest.approx(0.80101, abs=5e-6)
    assert max(frozen.error, moving.error) < 1e-9

    def kl_minus_two_jsd(theta: float) -> float:
        law = Gaussian(theta, 1.0)
        return float(theory.kl(law, N01, GRID)) - 2 * float(theory.js(law, N01, GRID))

    h = 1e-3
    assert (kl_minus_two_jsd(1 + h) - kl_minus_two_jsd(1 - h)) / (2 * h) == pytest.approx(float(frozen), abs=1e-6)


def test_minimax_gradient_at_a_frozen_discriminator_is_that_of_the_criterion() -> None:  # envelope theorem
    frozen = float(theory.generator_gradient(N01, family, 1.0, "minimax", True, GRID))
    h = 1e-3
    C = [float(theory.criterion(N01, Gaussian(1 + sign * h, 1.0), GRID)) for sign in (1, -1)]
    assert frozen == pytest.approx((C[0] - C[1]) / (2 * h), abs=1e-6)


@pytest.mark.parametrize(("theta", "expected"), [(0.0, 0.693), (1.0, 0.582), (2.0, 0.356), (4.0, 0.060)])
def test_the_last_terms_depend_on_the_generator(theta: float, expected: float) -> None:  # errata M-30
    p, q = _pair(N01, Gaussian(theta, 1.0))
    best = theory.optimal_discriminator(p, q)
    assert float(GRID.integrate(-torch.xlogy(p, best))) == pytest.approx(expected, abs=5e-4)


def test_gradient_needs_a_known_loss_and_a_grid() -> None:
    with pytest.raises(UserError, match="Did you mean 'minimax'|minimax"):
        theory.generator_gradient(N01, family, 1.0, "minmax", True, GRID)
    with pytest.raises(UserError, match="grid=line"):
        theory.generator_gradient(N01, family, 1.0)


# ---------------------------------------------------------------------------------------------- dynamics


def flipped(point: torch.Tensor) -> torch.Tensor:
    return point.flip(0)


def test_six_steps_by_hand() -> None:
    together = theory.alternating(flipped, (1, 1), 1.0, 6, "simultaneous").int().tolist()
    turns = theory.alternating(flipped, (1, 1), 1.0, 6, "alternating")
    assert together == [[1, 1], [0, 2], [-2, 2], [-4, 0], [-4, -4], [0, -8], [8, -8]]
    assert turns.int().tolist() == [[1, 1], [0, 1], [-1, 0], [-1, -1], [0, -1], [1, 0], [1, 1]]
    assert turns[1:].mean(dim=0).tolist() == [0, 0]


@pytest.mark.parametrize("eta", [0.05, 0.5, 1.5])
def test_rotation(eta: float) -> None:  # (3.19), (3.20)
    together = theory.alternating(flipped, (1.0, -0.5), eta, 40)
    radius = together.square().sum(dim=1)
    torch.testing.assert_close(radius[1:] / radius[:-1], torch.full((40,), 1 + eta**2, dtype=torch.float64))
    turns = theory.alternating(flipped, (1.0, -0.5), eta, 4000, "alternating")
    kept = turns.square().sum(dim=1) - eta * turns.prod(dim=1)
    torch.testing.assert_close(kept, kept[0].expand(4001), rtol=1e-9, atol=1e-9)
    assert turns.mean(dim=0).abs().max() < 0.02


def test_bad_steps_are_refused() -> None:
    for step, steps, mode in ((0.0, 5, "alternating"), (0.1, 0, "alternating"), (0.1, 5, "both")):
        with pytest.raises(UserError):
            theory.alternating(flipped, (1, 1), step, steps, mode)


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: theory.kl([0.5, 0.6], [0.5, 0.5]), "these to 1.1"),
        (lambda: theory.kl([1.5, -0.5], [0.5, 0.5]), "not negative"),
        (lambda: theory.kl([math.nan, 1.0], [0.5, 0.5]), "NaN"),
        (lambda: theory.kl([0.5, 0.5], [0.2, 0.3, 0.5]), "same points"),
        (lambda: theory.js(N01, N11), "grid=line"),
        (lambda: theory.js(N01, Gaussian(40.0, 1.0), GRID), "Widen the grid"),
        (lambda: theory.js(2 * N01.density(GRID.x), N01, GRID), "integrates to 2"),
        (lambda: theory.js(N01.density(theory.line(-9, 9, 401).x), N01, GRID), "401 values for a grid of 4001"),
        (lambda: theory.criterion([[0.5, 0.5]], [[0.5, 0.5]]), "vector"),
        (lambda: theory.optimal_discriminator([0.5], [0.5, 0.5]), "same points"),
        (lambda: theory.optimal_discriminator([-0.5], [0.5]), "not negative"),
        (lambda: theory.value([0.5, 0.5], [0.5, 0.5], [1.2, 0.5]), "sigmoid of the logits"),
        (lambda: theory.value([0.5, 0.5], [0.5, 0.5], [0.5]), "same points"),
        (lambda: theory.line(0, 1, 10), "4k"),
        (lambda: theory.line(1, 0), "low < high"),
        (lambda: GRID.integrate(torch.ones(7)), "7 values"),
    ],
)
def test_bad_input_is_explained(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_the_best_generator_of_the_game_with_wrong_pairs_is_the_least_of_all(weight: float) -> None:
    n = 100  # every law on three places, in steps of 1/100
    i, j = torch.meshgrid(torch.arange(n + 1), torch.arange(n + 1), indexing="ij")
    every = torch.stack([i, j, n - i - j], dim=-1)[i + j <= n].double() / n
    for seed in range(5):
        p, p_hat = torch.rand(2, 3, generator=torch.Generator().manual_seed(seed)).mul(4).double().softmax(dim=1)
        bad = weight * (every + p_hat)
        left = torch.xlogy(p, p / (p + bad)) + torch.xlogy(bad, bad / (p + bad))
        found, ratio = theory.matching_aware_generator(p, p_hat)
        assert abs(float(found.sum()) - 1) < 1e-9 and 1 <= float(ratio) <= 2
        assert (every[left.sum(dim=1).argmin()] - found).abs().max() < 2 / n


def test_the_best_generator_with_wrong_pairs_where_it_is_known() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    p_hat = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [0.2, 0.3, 0.5]])
    found, ratio = theory.matching_aware_generator(p, p_hat)
    expected = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    torch.testing.assert_close(found, expected.double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(ratio[:, 0], torch.tensor([1.5, 1.0, 2.0]).double(), atol=1e-6, rtol=0)
    again, _ = theory.matching_aware_generator(p[:2, :2], p_hat[:2, :2])  # what lies where p is 0 may be left out
    torch.testing.assert_close(again, found[:2, :2])


@pytest.mark.parametrize(
    ("p", "p_hat", "words"),
    [
        ([0.5, 0.5], [1.0], "the shape"),
        ([0.5, 0.6], [0.5, 0.5], "p holds probabilities"),
        ([0.5, 0.5], [1.5, -0.5], "p_hat holds probabilities"),
        ([0.5, 0.5], [float("nan"), 0.5], "p_hat holds probabilities"),
    ],
)
def test_bad_probabilities_of_wrong_pairs_are_refused(p: list[float], p_hat: list[float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        theory.matching_aware_generator(p, p_hat)
