"""Losses: values, gradients with respect to the logit, and the identity that links the two generator losses."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gancourse import losses

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
