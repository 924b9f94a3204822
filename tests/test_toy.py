"""The distributions in the plane."""

import math

import pytest
import torch

from gancourse.datasets import toy
from gancourse.errors import UserError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ring_and_grid_follow_the_protocol():
    ring, grid = toy.ring(), toy.grid()
    assert ring.centres.shape == (8, 2) and grid.centres.shape == (25, 2)
    torch.testing.assert_close(ring.centres.norm(dim=1), torch.ones(8))
    assert grid.centres.abs().max() == 4.0 and grid.std == 0.05 and ring.std == 0.01


@pytest.mark.parametrize("mixture", [toy.ring(), toy.grid()], ids=["ring", "grid"])
def test_samples_have_the_stated_spread_and_weights(mixture):
    points = mixture.sample(100_000, seeded())
    distance, mode = torch.cdist(points, mixture.centres).min(dim=1)
    assert distance.square().mean().sqrt().item() == pytest.approx(math.sqrt(2) * mixture.std, rel=0.02)
    share = torch.bincount(mode, minlength=len(mixture.centres)) / len(points)
    assert (share - 1 / len(mixture.centres)).abs().max() < 0.006


def test_log_density_integrates_to_one():
    mixture = toy.ring(std=0.1)
    axis = torch.linspace(-2, 2, 801, dtype=torch.float64)
    cell = (axis[1] - axis[0]).item() ** 2
    total = mixture.log_density(torch.cartesian_prod(axis, axis)).exp().sum().item() * cell
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", list(toy.DISTRIBUTIONS))
def test_one_seed_one_sample(name):
    distribution = toy.get(name)
    first, again = distribution.sample(500, seeded(3)), distribution.sample(500, seeded(3))
    assert first.shape == (500, 2) and torch.equal(first, again)
    assert first.abs().max() < 6


def test_the_two_lines_never_meet():
    points = toy.lines(distance=0.5).sample(1000, seeded())
    assert set(points[:, 0].tolist()) == {-0.25, 0.25}


def test_bad_input_is_told():
    with pytest.raises(UserError, match="'rnig'.*'ring'"):
        toy.get("rnig")
    with pytest.raises(UserError, match="at least 1"):
        toy.ring().sample(0)
    with pytest.raises(UserError, match="modes ≥ 1"):
        toy.ring(modes=0)
