"""Losses: values, gradients with respect to the logit, the identity that links the two generator losses; precision."""

import inspect
import math
import typing

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import softplus

from gancourse import losses, runtime, systems, training
from gancourse.datasets.source import Batches, load

LOGITS = torch.linspace(-12, 12, 97, dtype=torch.float64)


def slope(loss, logits):
    logits = logits.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(logits) * logits.numel(), logits)
    return gradient


def test_values_equal_cross_entropy_with_targets():
    real, fake = torch.randn(50, dtype=torch.float64), torch.randn(70, dtype=torch.float64)
    expected = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    torch.testing.assert_close(losses.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(losses.nonsaturating_loss(fake), bce(fake, torch.ones_like(fake)))
    torch.testing.assert_close(losses.minimax_loss(fake), -bce(fake, torch.zeros_like(fake)))


def test_real_and_fake_are_not_swapped():
    sure = torch.full((8,), 5.0)
    assert losses.discriminator_loss(sure, -sure) < 0.02
    assert losses.discriminator_loss(-sure, sure) > 9.9


def test_an_undecided_discriminator_pays_two_log_two():
    zero = torch.zeros(4, dtype=torch.float64)
    assert math.isclose(losses.discriminator_loss(zero, zero).item(), 2 * losses.LOG_2)


def test_slopes_against_the_logit():
    sigma = LOGITS.sigmoid()
    torch.testing.assert_close(slope(losses.minimax_loss, LOGITS), -sigma)
    torch.testing.assert_close(slope(losses.nonsaturating_loss, LOGITS), -(1 - sigma))


def test_ratio_of_the_generator_gradients_is_the_odds():
    """Minimax over non-saturating is σ(l) / (1 - σ(l)): a "minimax" loss that is not one fails here."""
    ratio = slope(losses.minimax_loss, LOGITS) / slope(losses.nonsaturating_loss, LOGITS)
    torch.testing.assert_close(ratio, LOGITS.sigmoid() / LOGITS.neg().sigmoid())


@pytest.mark.parametrize("logit", [-90.0, 17.0, 90.0])
def test_no_dead_gradient_where_probabilities_round(logit):
    """In float32 BCELoss on σ(17) has gradient 0; on the logit the gradient is 1."""
    fake = torch.tensor([logit], requires_grad=True)
    losses.discriminator_loss(torch.zeros(1), fake).backward()
    assert fake.grad is not None and torch.isfinite(fake.grad).all()
    assert fake.grad.item() == pytest.approx(torch.tensor(logit, dtype=torch.float64).sigmoid().item(), abs=1e-6)


def test_batches_may_differ_in_size_and_are_averaged():
    real, fake = torch.zeros(3), torch.full((5,), 2.0)
    doubled = losses.discriminator_loss(real.repeat(2), fake.repeat(3))
    torch.testing.assert_close(losses.discriminator_loss(real, fake), doubled)


# ---------------------------------------------------------------- half precision


def of_tensors():
    """Return every public function of the module that takes tensors, by name, with how many it takes."""
    found = {}
    for name, function in inspect.getmembers(losses, inspect.isfunction):
        if function.__module__ == losses.__name__ and not name.startswith("_"):
            found[name] = (function, [*typing.get_type_hints(function).values()][:-1].count(Tensor))
    return {name: (function, n) for name, (function, n) in found.items() if n and function is not losses.full}


ALL = of_tensors()
ALL["relativistic_loss"] = (lambda wanted, other: losses.relativistic_loss(wanted, other[: len(wanted)]), 2)  # pairs


def scores(n):
    """Return n batches of scores that half precision cannot hold, and whose mean it cannot take either."""
    generator = torch.Generator().manual_seed(0)
    return [3 * torch.randn(257 + k, generator=generator, dtype=torch.float64) + 1 - k for k in range(n)]


def wrong_in(dtype, loss, n):
    """Return what is wrong with a loss of n batches of scores in half precision, in a word each."""
    low = [batch.to(dtype).requires_grad_(True) for batch in scores(n)]
    raised = [batch.detach().float().requires_grad_(True) for batch in low]
    found, expected = loss(*low), loss(*raised)
    gradients, wanted = torch.autograd.grad(found, low), torch.autograd.grad(expected, raised)
    wrong = [] if found.dtype == torch.float32 else ["type"]
    wrong += [] if found.item() == expected.item() else ["value"]
    wrong += [] if all(g.dtype == dtype for g in gradients) else ["type of the gradient"]
    right = all(torch.equal(g, w.to(dtype)) for g, w in zip(gradients, wanted, strict=True))
    return wrong + ([] if right else ["gradient"])


def test_every_loss_is_looked_at():
    known = "discriminator matching_aware minimax nonsaturating".split()
    assert {f"{name}_loss" for name in known} | {"least_squares_d_loss", "least_squares_g_loss"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", losses.HALF)
def test_half_precision_is_raised_before_anything_is_done(name, dtype):
    assert not wrong_in(dtype, *ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_double_precision_stays(name):
    loss, n = ALL[name]
    whole, rounded = scores(n), [batch.float().double() for batch in scores(n)]
    whole = [batch.requires_grad_(True) for batch in whole]
    value = loss(*whole)
    assert value.dtype == torch.float64
    assert 1e-14 < abs(value.item() - loss(*rounded).item()) < 1e-5  # digits that float32 has not
    assert value.item() == pytest.approx(loss(*(batch.float() for batch in rounded)).item(), rel=1e-5)
    assert all(gradient.dtype == torch.float64 for gradient in torch.autograd.grad(value, whole))


@pytest.mark.parametrize("dtype", losses.HALF)
@pytest.mark.parametrize(
    ("loss", "wrong"),
    [
        (lambda fake: softplus(-fake).mean(), ["type", "value"]),
        (lambda fake: softplus(-fake).mean().float(), ["value"]),
        (lambda fake: softplus(-fake).float().mean(), ["value"]),
        (lambda fake: 0.5 * (fake - 1.0).float().square().mean(), ["value"]),
        (lambda fake: softplus(-fake.to(torch.float64)).mean(), ["type"]),
    ],
)
def test_a_loss_that_raises_late_is_noticed(dtype, loss, wrong):
    assert set(wrong) <= set(wrong_in(dtype, loss, 1))


@pytest.mark.parametrize("name", systems.INDEX)
def test_a_step_under_autocast_ends_in_finite_weights_and_full_losses(name):
    """A score comes in half precision; losses, penalties on the slope, and all that is kept do not."""
    recipe, where = systems.recipe(name), torch.device("cpu")
    config = recipe.at("smoke")
    runtime.seed_everything(0)
    system = recipe.build(config, where)
    batches = Batches(load(config.data, device=where, shape=config.shape, quiet=True), config.batch_size, 0)
    half = []
    for network in system.networks.values():
        for layer in network.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                layer.register_forward_hook(
                    lambda layer, x, y: half.append((y.dtype == torch.bfloat16, torch.is_autocast_enabled("cpu")))
                )
    before = [parameter.detach().clone() for parameter in system.parameters()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = training.training_step(system, batches, 0, system.parameters())
    assert half and all(is_half == asked for is_half, asked in half)
    assert all(asked for _, asked in half) is not name.endswith(("-wgan-gp", "-r3gan"))  # these two have penalties
    assert found and all(loss.dtype == torch.float32 and loss.isfinite() for loss in found.values())
    kept = [t for module in (*system.networks.values(), system.average.module) for t in module.state_dict().values()]
    assert all(t.isfinite().all() and t.dtype in (torch.float32, torch.int64) for t in kept)
    still = [b for a, b in zip(before, system.parameters(), strict=True) if torch.equal(a, b)]
    assert all(b.numel() == 1 for b in still)  # the number that D adds to all scores, where only differences count
