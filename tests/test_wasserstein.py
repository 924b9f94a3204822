"""Wasserstein, hinge and relativistic games, their penalties and their traps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import losses, penalties, runtime, systems, training
from gancourse.errors import UserError
from gancourse.networks import MLP
from gancourse.resnets import ConditionalResNet32, ResNet32
from gancourse.systems import configs
from gancourse.systems.seeds import Seeds

CPU = torch.device("cpu")
WORDS = ("wgan", "wgan-gp", "sngan", "r3gan")


def linear_critic(*w: float) -> nn.Module:
    layer = nn.Linear(len(w), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([w]))
    return nn.Sequential(layer, nn.Flatten(0))


class Quadratic(nn.Module):
    """½ xᵀ A x, whose gradient is A x for a symmetric A."""

    def __init__(self, n: int) -> None:
        super().__init__()
        a = torch.randn(n, n, dtype=torch.float64)
        self.a = nn.Parameter(a + a.T)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return 0.5 * (x @ self.a * x).sum(dim=1)


# ------------------------------------------------------------------------------------------------- losses


def test_losses_equal_their_equations() -> None:
    real, fake = torch.randn(7, 3).double(), torch.randn(5).double()
    assert losses.wasserstein_d_loss(real, fake) == fake.mean() - real.mean()
    assert losses.wasserstein_g_loss(fake) == -fake.mean()
    hinge = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    torch.testing.assert_close(losses.hinge_d_loss(real, fake), hinge)
    pair = torch.randn(5).double()
    expected = torch.log(1 + torch.exp(fake - pair)).mean()
    torch.testing.assert_close(losses.relativistic_loss(pair, fake), expected)
    torch.testing.assert_close(losses.relativistic_loss(pair, pair), torch.tensor(losses.LOG_2).double())
    with pytest.raises(UserError, match="same size"):
        losses.relativistic_loss(real, fake)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_losses_of_half_precision_are_float32(dtype: torch.dtype) -> None:
    real, fake = torch.randn(4, 1).to(dtype), torch.randn(4, 1).to(dtype)
    for loss in (losses.wasserstein_d_loss, losses.hinge_d_loss, losses.relativistic_loss):
        assert loss(real, fake).dtype == torch.float32


def test_the_best_hinge_discriminator_is_the_sign_of_the_difference() -> None:
    p, q = torch.rand(50).softmax(0).double(), torch.rand(50).softmax(0).double()
    s = (p - q).sign()
    best = (p * (1 - s).clamp(min=0) + q * (1 + s).clamp(min=0)).sum()
    torch.testing.assert_close(best, 2 * torch.minimum(p, q).sum())
    for other in torch.randn(200, 50).double():
        assert (p * (1 - other).clamp(min=0) + q * (1 + other).clamp(min=0)).sum() >= best - 1e-12


# ---------------------------------------------------------------------------------------------- penalties


@pytest.mark.parametrize("w", [(3.0, 4.0), (0.3, -0.4, 0.0)])
def test_the_penalty_of_a_linear_critic(w: tuple[float, ...]) -> None:
    critic, norm = linear_critic(*w), math.hypot(*w)
    x = torch.randn(9, len(w))
    two = penalties.gradient_penalty(critic, x)
    assert float(two.detach()) == pytest.approx((norm - 1) ** 2, abs=1e-6)
    one = penalties.gradient_penalty(critic, x, sided="one")
    assert float(one.detach()) == pytest.approx(max(0.0, norm - 1) ** 2, abs=1e-6)
    plain = penalties.gradient_penalty(critic, x, sided="one", squared=False)
    assert float(plain.detach()) == pytest.approx(max(0.0, norm - 1), abs=1e-6)


def test_r1_of_a_quadratic_critic() -> None:
    critic, x = Quadratic(6), torch.randn(8, 2, 3, dtype=torch.float64)
    expected = 0.5 * (x.flatten(1) @ critic.a).square().sum(dim=1).mean()
    torch.testing.assert_close(penalties.zero_centred_penalty(critic, x), expected)


def test_the_norm_is_of_a_sample_not_of_a_pixel() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
    norm = critic[1].weight.norm()
    penalty = penalties.gradient_penalty(critic, torch.randn(5, 1, 4, 4))
    torch.testing.assert_close(penalty, (norm - 1).square())


def test_a_slope_of_zero_gives_no_nan() -> None:
    critic = linear_critic(0.0, 0.0)
    penalties.gradient_penalty(critic, torch.randn(5, 2)).backward()
    assert all(torch.isfinite(p.grad).all() for p in critic.parameters() if p.grad is not None)
    w = torch.zeros(2, requires_grad=True)  # what a norm by hand does there
    (w.square().sum().sqrt() - 1).square().backward()
    assert w.grad is not None and w.grad.isnan().all()


def test_each_sample_has_an_epsilon_of_its_own() -> None:
    real, fake, epsilon = torch.ones(4, 1, 2, 2), torch.zeros(4, 1, 2, 2), torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert penalties.between(real, fake, epsilon).flatten(1).tolist() == [[e] * 4 for e in epsilon.tolist()]
    for wrong in (torch.rand(1), torch.rand(3)):
        with pytest.raises(UserError, match="its own epsilon"):
            penalties.between(real, fake, wrong)
    with pytest.raises(UserError, match="its own epsilon"):
        penalties.between(real, fake[:3], epsilon)


class Spy(nn.Module):
    """A critic that keeps what it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.asked = nn.Parameter(torch.ones(2)), []

    def forward(self, x: Tensor, c: Any = None) -> Tensor:
        self.asked.append(x.detach().clone())
        return (x.square() * self.w).sum(dim=-1)


def test_the_system_draws_one_epsilon_for_each_sample() -> None:
    system = systems.recipe("ring-wgan-gp").build(systems.recipe("ring-wgan-gp").at("smoke"), CPU)
    system.D = spy = Spy()
    x, fake = torch.randn(500, 2), torch.randn(500, 2) + 5
    system.d_loss(x, fake)
    epsilon = (spy.asked[-1] - fake) / (x - fake)
    torch.testing.assert_close(epsilon[:, 0], epsilon[:, 1], atol=1e-4, rtol=1e-4)
    assert epsilon.std() > 0.2 and epsilon.min() < 0.05 and epsilon.max() > 0.95


def test_a_lost_graph_is_told() -> None:
    critic = linear_critic(1.0, 2.0).requires_grad_(False)
    with pytest.raises(RuntimeError, match="lost its graph"):
        penalties.gradient_penalty(critic, torch.randn(3, 2))
    with pytest.raises(RuntimeError, match="lost its graph"):
        penalties.zero_centred_penalty(critic, torch.randn(3, 2))


def test_penalties_work_under_no_grad_of_the_caller_and_do_not_reach_the_samples() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    penalties.zero_centred_penalty(Quadratic(2).float(), x).backward()
    assert x.grad is None


def test_multiplications_are_counted_in_both_backward_passes() -> None:
    layer, x = nn.Linear(7, 3), torch.randn(5, 7)
    unit = 5 * 7 * 3
    assert runtime.multiplications(lambda: layer(x).sum()) == 2 * unit  # forward, and back to the weights
    assert runtime.multiplications(lambda: layer(x.requires_grad_()).sum()) == 3 * unit  # and to the inputs
    critic = nn.Sequential(nn.Linear(7, 1), nn.Flatten(0))
    penalty = runtime.multiplications(lambda: penalties.zero_centred_penalty(critic, torch.randn(5, 7)))
    assert penalty >= 3 * 5 * 7  # forward, back to the samples, and back through that


# ------------------------------------------------------------------------------------------------ systems


def made(name: str, **changes: Any) -> Any:
    recipe = systems.recipe(name)
    torch.manual_seed(0)
    return recipe.build(recipe.at("smoke", **changes), CPU)


def test_clipped_weights_stay_in_their_box_and_meet_its_walls() -> None:
    recipe = systems.recipe("ring-wgan")
    run = training.Run(
        recipe, profile="smoke", quiet=True, steps=200, clip=0.02, g_lr=5e-5, d_lr=1e-3, lr_decay_from=1.0
    )
    run.train()
    weights = torch.cat([p.detach().flatten() for p in run.system.networks["D"].parameters()])
    assert weights.abs().max() <= 0.02
    assert (weights.abs() > 0.0199).float().mean() > 0.5
    assert isinstance(run.system.phases[0].optimizer, torch.optim.RMSprop)


def test_the_log_has_the_distance_and_not_the_loss() -> None:
    system = made("ring-wgan-gp")
    x, fake = torch.randn(64, 2), torch.randn(64, 2)
    loss = system.d_loss(x, fake)
    estimate = system.D(x).mean() - system.D(fake).mean()
    torch.testing.assert_close(system.seen["w_estimate"], estimate.detach())
    torch.testing.assert_close(loss, system.config.gp_weight * system.seen["penalty"] - system.seen["w_estimate"])
    assert loss.requires_grad  # one loss, one step: the penalty is not stepped on its own
    assert [phase.name for phase in system.phases] == ["d", "g"] and system.phases[0].repeat == 5


@pytest.mark.parametrize("name", ["ring-wgan-gp", "ring-r3gan"])
def test_batchnorm_in_a_penalised_critic_is_refused(name: str) -> None:
    class WithBatchNorm(MLP):
        def discriminator(self) -> nn.Module:
            return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))

    config = systems.recipe(name).at("smoke")
    spec = WithBatchNorm(sample_shape=(2,), latent_dim=2, g_widths=(8,), d_widths=(8,), output="linear")
    with pytest.raises(UserError, match="BatchNorm.*whole batch"):
        systems.recipe(name).build(configs.change(config, networks=spec), CPU)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ring-wgan", {"clip": 0.0}),
        ("ring-wgan", {"clip": -0.01}),
        ("ring-wgan", {"beta1": 0.5}),
        ("ring-wgan", {"k": 0}),
        ("ring-wgan-gp", {"gp_weight": 0.0}),
        ("ring-wgan-gp", {"gp_weight": -10.0}),
        ("ring-wgan-gp", {"gp_sided": "three"}),
        ("ring-sngan", {"loss": "hing"}),
        ("ring-r3gan", {"r1_gamma": -1.0}),
        ("ring-r3gan", {"r1_gamma": 0.0, "r2_gamma": 0.0}),
        ("ring-r3gan", {"penalty_every": 0}),
        ("ring-r3gan", {"final_gamma": 0.0}),
        ("ring-r3gan", {"loss": "relative"}),
        ("ring-gan", {"lr_decay_from": 1.5}),
        ("ring-gan", {"lr_decay_from": -0.1}),
    ],
)
def test_bad_settings_are_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        systems.recipe(name).at("smoke", **changes)


def test_the_penalties_of_r3gan() -> None:
    system = made("ring-r3gan", r1_gamma=0.5, r2_gamma=0.25)
    system.start_step(0)
    x, fake = torch.randn(32, 2), torch.randn(32, 2)
    loss = system.d_loss(x, fake)
    bare = losses.relativistic_loss(system.D(x), system.D(fake))
    r1, r2 = (penalties.zero_centred_penalty(system.D, at) for at in (x, fake))
    torch.testing.assert_close(loss, bare + 0.5 * r1 + 0.25 * r2)
    torch.testing.assert_close(system.seen["r1"], r1.detach())


def test_lazy_penalties_weigh_the_same_in_the_mean_and_fall_as_asked() -> None:
    eager, lazy = (made("ring-r3gan", steps=64, final_gamma=1.0, penalty_every=every) for every in (1, 16))
    sums = []
    for system in (eager, lazy):
        weights = []
        for step in range(64):
            system.start_step(step)
            weights.append(system.weights["r1"])
        sums.append(sum(weights))
    assert sums[0] == pytest.approx(sums[1]) == pytest.approx(64 * 0.1)
    system = made("ring-r3gan", steps=100, final_gamma=0.01)
    for step, left in ((0, 1.0), (50, 0.1), (100, 0.01)):
        system.start_step(step)
        assert system.weights["r2"] == pytest.approx(0.1 * left)


def test_rates_fall_linearly() -> None:
    system = made("ring-gan", steps=100, lr_decay_from=0.5, g_lr=1e-3, d_lr=2e-3)
    for step, left in ((0, 1.0), (50, 1.0), (75, 0.5), (100, 0.0)):
        system.start_step(step)
        d, g = (phase.optimizer.param_groups[0]["lr"] for phase in system.phases)
        assert (d, g) == pytest.approx((2e-3 * left, 1e-3 * left))


def test_fakes_are_cut_off_in_the_step_of_d() -> None:
    for word in WORDS:
        system = made(f"ring-{word}")
        system.start_step(0)
        seen: list[bool] = []
        system.d_loss = lambda x, fake, c=None, seen=seen: seen.append(fake.requires_grad) or x.sum()
        batch = next(training.Batches(training.load_source("ring", device=CPU, quiet=True), 8, 0))
        system.d_phase(batch)
        assert seen == [False], word


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("count", [2, 5])
def test_seeds_side_by_side_are_the_seeds_one_by_one(word: str, count: int) -> None:
    recipe = systems.recipe(f"ring-{word}")
    changes: dict[str, Any] = {"steps": 4, "batch_size": 8, "lr_decay_from": 0.5}
    if word == "sngan" and count < 5:
        pytest.skip("networks with spectral norms are mapped, from five seeds on")
    seeds = Seeds(recipe, list(range(count)), profile="smoke", device=CPU, **changes)
    for step in range(4):
        seeds.start_step(step)
        training.training_step(seeds, seeds.batches, step, seeds.parameters)
    drawn = seeds.sample(50, seed=3)
    for k in range(count):
        run = training.Run(recipe, profile="smoke", seed=k, device=CPU, quiet=True, **changes)
        run.train()
        torch.testing.assert_close(drawn[k], run.system.sample(50, seed=3), atol=2e-4, rtol=2e-4)


# ------------------------------------------------------------------------------------------ paper networks


@pytest.mark.parametrize(
    ("word", "counts"),
    [
        ("wgan", (3_576_704, 2_765_568)),
        ("wgan-gp", (1_204_483, 1_053_825)),
        ("sngan", (3_812_355, 2_935_873, 4_276_739, 1_053_825, 4_304_387, 1_055_105)),
    ],
)
def test_paper_networks_have_their_numbers_of_parameters(word: str, counts: tuple[int, ...]) -> None:
    networks, source = systems.paper(word)
    assert tuple(sum(p.numel() for p in network.parameters()) for network in networks.values()) == counts
    assert "https://" in source


@pytest.mark.parametrize("spec", [ResNet32(g_width=8, d_width=8), ConditionalResNet32(g_width=8, d_width=8, classes=3)])
@pytest.mark.parametrize("d_norm", ["none", "spectral"])
def test_residual_networks_play(spec: ResNet32, d_norm: str) -> None:
    spec = configs.replace(spec, d_norm=d_norm)
    c = torch.tensor([0, 2, 1]) if spec.classes else None
    x = spec.generator()(torch.randn(3, 128), c)
    assert x.shape == (3, 3, 32, 32) and x.abs().max() <= 1
    assert spec.discriminator()(x, c).shape == (3,)
    with pytest.raises(UserError):
        configs.replace(spec, sample_shape=(1, 28, 28))


# ------------------------------------------------------------------------------------------ spectral norms


def conv_norm(weight: Tensor, stride: int, size: int) -> float:
    """The operator norm of a convolution on pictures of `size`, by power iteration."""
    x = torch.randn(1, weight.shape[1], size, size, dtype=weight.dtype)
    padding = (weight.shape[-1] - 1) // 2
    for _ in range(300):
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        x = F.conv_transpose2d(y, weight, stride=stride, padding=padding, output_padding=0)
        x = F.pad(x, [0, size - x.shape[-1]] * 2)
        norm = x.norm().sqrt()
        x = x / x.norm()
    return float(norm)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (3, 2)])
def test_the_operator_norm_of_a_convolution_lies_between_its_bounds(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 4, kernel, kernel, dtype=torch.float64)
    flat = float(torch.linalg.matrix_norm(weight.flatten(1), ord=2))
    norm = conv_norm(weight, stride, 16)
    assert flat * (1 - 1e-6) <= norm <= math.ceil(kernel / stride) * flat


def test_the_spectral_norm_converges_to_the_largest_singular_value() -> None:
    from gancourse.layers import functional_spectral_norms

    torch.manual_seed(0)
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(40, 30))
    network = functional_spectral_norms(nn.Sequential(layer))
    for _ in range(300):
        network(torch.randn(2, 40))
    value = torch.linalg.matrix_norm(network[0].weight, ord=2)
    assert abs(float(value.detach()) - 1) < 1e-3
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(torch.randn(2, 40))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.named_buffers())  # at rest in eval mode
