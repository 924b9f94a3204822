"""Seeds stacked into one network against the same seeds trained one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gancourse import losses, systems, training
from gancourse.datasets.source import Batch
from gancourse.errors import UserError
from gancourse.layers import SpectralNorm, functional_spectral_norms
from gancourse.systems.base import Phase
from gancourse.systems.configs import Recipe
from gancourse.systems.gan import GAN
from gancourse.systems.seeds import Mapped, Seeds, StackedGenerator, stack

STEPS = 20
CHANGES = {"steps": STEPS, "g_widths": (32, 32), "d_widths": (16, 16), "d_pieces": 3, "batch_size": 16}


def train(seeds: Seeds, start: int = 0, stop: int = STEPS) -> None:
    for step in range(start, stop):
        training.training_step(seeds, seeds.batches, step, seeds.parameters)


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Adam's first steps are ±lr by the sign of the gradient, so rounding alone soon parts two float32 runs."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("name", ["ring-gan", "grid-gan"])
def test_stacked_seeds_equal_separate_runs(name: str) -> None:
    recipe = systems.recipe(name)
    together = Seeds(recipe, [3, 0, 8], **CHANGES)
    train(together)
    for k, seed in enumerate(together.seeds):
        alone = training.Run(recipe, seed=seed, quiet=True, **CHANGES)
        alone.train()
        expected = alone.system.sample(500, seed=5)
        found = together.sample(500, seed=5)[k]
        assert expected.std() > 0.01
        assert (found - expected).abs().max() < 1e-9
        logits = together.system.D(expected.expand(len(together.seeds), -1, -1))[k]
        assert (logits - alone.system.D.eval()(expected)).abs().max() < 1e-9


def test_published_networks_equal_separate_runs() -> None:
    recipe = systems.recipe("ring-gan")
    together = Seeds(recipe, [1, 2], profile="gpu", steps=3)
    train(together, stop=3)
    alone = training.Run(recipe, profile="gpu", seed=2, quiet=True, steps=3)
    alone.train()
    assert (together.sample(100)[1] - alone.system.sample(100)).abs().max() < 1e-5


def test_members_do_not_touch_each_other() -> None:
    recipe = systems.recipe("ring-gan")
    first, second = Seeds(recipe, [0, 1], **CHANGES), Seeds(recipe, [0, 2], **CHANGES)
    train(first)
    train(second)
    assert torch.equal(first.sample(50)[0], second.sample(50)[0])
    assert not torch.equal(first.sample(50)[1], second.sample(50)[1])


def test_goes_on_where_it_stopped() -> None:
    recipe = systems.recipe("ring-gan")
    whole, half, rest = (Seeds(recipe, [0, 1], **CHANGES) for _ in range(3))
    train(whole)
    train(half, stop=7)
    rest.load_state_dict(half.state_dict())
    train(rest, start=7)
    assert torch.equal(whole.sample(50), rest.sample(50))
    assert torch.equal(whole.sample(50, averaged=False), rest.sample(50, averaged=False))


def test_sampling_changes_nothing() -> None:
    seeds = Seeds(systems.recipe("ring-gan"), [0], **CHANGES)
    before = {k: v.clone() for k, v in seeds.system.G.state_dict().items()}
    seeds.sample(100, averaged=False)
    assert seeds.system.G.training
    assert all(torch.equal(before[k], v) for k, v in seeds.system.G.state_dict().items())


# --------------------------------------------------------------------------- mapped networks and other objectives

MANY = [3, 0, 8, 1, 2]
PLAIN = {**CHANGES, "d_pieces": 1}


def toy(system: type[GAN]) -> Recipe:
    """Return ring-gan played by another system."""
    return replace(systems.recipe("ring-gan"), build=system)


def penalty(scores: Tensor, x: Tensor, flat_from: int) -> Tensor:
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return (gradient.flatten(flat_from).norm(dim=-1) - 1).square().mean()


class WGANGP(GAN):
    """A gradient penalty per sample: what lies behind a score's own dimensions is its sample."""

    notes = ("penalty",)
    flat_from: int | None = None

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        real, generated = self.D(x, c), self.D(fake, c)
        share = self.uniform(self.count(x)).unflatten(-1, (-1, *[1] * len(self.spec.sample_shape)))
        between = torch.lerp(fake, x, share).requires_grad_()
        scores = self.D(between, c)
        gp = penalty(scores, between, scores.ndim if self.flat_from is None else self.flat_from)
        return generated.mean() - real.mean() + 10 * self.see("penalty", gp)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        return -self.D(fake, c).mean()


class FlatPenalty(WGANGP):
    """The penalty as it is written for one seed: over several, a norm of all samples of a seed at once."""

    flat_from = 1


class AveragePair(GAN):
    """A relativistic average: each score against the mean of all others', here of all seeds'."""

    notes = ()

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        real, generated = self.D(x, c), self.D(fake, c)
        return losses.discriminator_loss(real - generated.mean(), generated - real.mean())

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        return losses.nonsaturating_loss(self.D(fake, c))


class OwnNoise(GAN):
    """Random numbers that come from elsewhere than noise, conditions and uniform."""

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        return super().d_loss(x + 0.1 * torch.randn_like(x), fake, c)


class WithR1(GAN):
    """A phase that is called neither d nor g, and shares D's optimiser."""

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        d, g = self.phases
        self.phases = [d, Phase("r1", self.r1, d.optimizer, every=3), g]

    def r1(self, batch: Batch) -> Tensor:
        x = batch.x.clone().requires_grad_()
        scores = self.D(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
        return gradient.flatten(scores.ndim).square().sum(dim=-1).mean()


def compare(recipe: Recipe, changes: dict[str, Any], steps: int = STEPS) -> Seeds:
    """Train five seeds together and each alone; their samples agree."""
    together = Seeds(recipe, MANY, **changes)
    train(together, stop=steps)
    for k, seed in enumerate(together.seeds):
        alone = training.Run(recipe, seed=seed, quiet=True, **{**changes, "steps": steps})
        alone.train()
        drawn = alone.system.draw(300, seed=5)
        assert drawn.x.std() > 0.01
        assert (together.sample(300, seed=5)[k] - drawn.x).abs().max() < 1e-9
    return together


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("d_norm", ["spectral", "spectral-after-first"])
def test_mapped_networks_with_spectral_norm_equal_separate_runs(d_norm: str) -> None:
    together = compare(systems.recipe("ring-gan"), {**PLAIN, "d_norm": d_norm})
    assert isinstance(together.networks["D"], Mapped) and isinstance(together.networks["G"], StackedGenerator)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("system", [WGANGP, WithR1])
@pytest.mark.parametrize("d_norm", ["none", "spectral"])
def test_penalties_and_lazy_phases_equal_separate_runs(system: type[GAN], d_norm: str) -> None:
    compare(toy(system), {**PLAIN, "d_norm": d_norm, "k": 2}, steps=8)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("condition", ["concat", "projection"])
def test_labels_go_with_their_seed(condition: str) -> None:
    changes = {key: value for key, value in CHANGES.items() if key != "d_pieces"}
    changes |= {"wrong_pairs": "none", "d_condition": condition, "g_norm": "batch", "g_condition": "batchnorm"}
    together = compare(systems.recipe("ring-cgan"), changes, steps=8)
    assert isinstance(together.networks["G"], Mapped)


def test_pictures_are_mapped() -> None:
    """In float32 Adam's first steps part two runs by rounding alone: the first samples and the losses agree."""
    changes = {"steps": 2, "g_widths": (8, 8), "d_widths": (8,), "d_dropout": 0.0, "batch_size": 8, "log_every": 1}
    together = Seeds(systems.recipe("digits-mlp"), MANY, **changes)
    alone = [training.Run(systems.recipe("digits-mlp"), seed=seed, quiet=True, **changes) for seed in MANY]
    for k, run in enumerate(alone):
        assert (together.sample(6)[k] - run.system.sample(6)).abs().max() < 1e-5
        run.train()
    for step in range(2):
        found = training.training_step(together, together.batches, step, together.parameters)
        for name in ("d", "g"):
            expected = sum(run.rows[step][f"{name}_loss"] for run in alone)
            assert float(found[name]) == pytest.approx(expected, rel=1e-3)
    assert together.sample(6).shape == (5, 6, 1, 28, 28)


@pytest.mark.parametrize("system", [FlatPenalty, AveragePair, OwnNoise])
@pytest.mark.parametrize("d_norm", ["none", "spectral"])
def test_an_objective_that_couples_the_seeds_is_refused(system: type[GAN], d_norm: str) -> None:
    """Former code trained them, and each seed came out as no run alone would."""
    with pytest.raises(UserError, match="Phase 'd' of .* couples the seeds"):
        Seeds(toy(system), MANY, **{**PLAIN, "d_norm": d_norm})
    with pytest.raises(UserError, match="couples the seeds"):
        Seeds(systems.recipe("ring-cgan"), MANY, profile="smoke")  # its wrong labels are drawn for all at once


def test_one_seed_couples_with_nobody() -> None:
    train(Seeds(toy(AveragePair), [4], **PLAIN), stop=2)


def test_the_check_before_the_first_step_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = systems.recipe("ring-gan")
    checked = Seeds(recipe, [0, 1], **CHANGES)
    monkeypatch.setattr(Seeds, "_check_apart", lambda self, members: None)
    unchecked = Seeds(recipe, [0, 1], **CHANGES)
    for seeds in (checked, unchecked):
        train(seeds, stop=4)
    assert torch.equal(checked.sample(50, averaged=False), unchecked.sample(50, averaged=False))


def test_an_optimiser_of_half_a_network_is_refused() -> None:
    class Half(GAN):
        def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adam(list(network.parameters())[:2], lr=lr)

    with pytest.raises(UserError, match="parts of a network"):
        Seeds(toy(Half), [0, 1], **CHANGES)


def test_mapped_seeds_go_on_where_they_stopped() -> None:
    recipe, changes = systems.recipe("ring-gan"), {**PLAIN, "d_norm": "spectral"}
    whole, half, rest = (Seeds(recipe, MANY, **changes) for _ in range(3))
    train(whole, stop=9)
    train(half, stop=4)
    rest.load_state_dict(half.state_dict())
    train(rest, start=4, stop=9)
    assert torch.equal(whole.sample(50, averaged=False), rest.sample(50, averaged=False))


def test_the_functional_spectral_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4)).double() for _ in range(2))
    ours.load_state_dict(theirs.state_dict())
    functional_spectral_norms(ours)
    assert isinstance(ours.parametrizations.weight[0], SpectralNorm)  # type: ignore[union-attr, index]
    for _ in range(30):
        x = torch.randn(3, 6).double()
        torch.testing.assert_close(ours(x), theirs(x))
        with torch.no_grad():  # a step of training
            for network in (ours, theirs):
                network.parametrizations.weight.original.add_(0.01)  # type: ignore[union-attr]
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x))
    for _ in range(200):
        ours.train()(x)
    assert torch.linalg.matrix_norm(ours.weight.detach(), 2).item() == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_stacked_is_named() -> None:
    recipe = systems.recipe("ring-gan")
    with pytest.raises(UserError, match="only once"):
        Seeds(recipe, [1, 1])
    with pytest.raises(UserError, match="at least one"):
        Seeds(recipe, [])
    with pytest.raises(UserError, match="takes more than points.*pays from 5 seeds on"):
        Seeds(systems.recipe("digits-mlp"), [0])
    with pytest.raises(UserError, match="Dropout draws random numbers of its own"):
        Seeds(systems.recipe("digits-mlp"), MANY)
    with pytest.raises(UserError, match="Conv2d has no stacked form"):
        stack([torch.nn.Conv2d(1, 1, 3)])
    with pytest.raises(UserError, match="Linear has no stacked form.*Train these 1 one by one"):
        Seeds(recipe, [0], d_norm="spectral", **PLAIN)
