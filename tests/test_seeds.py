"""Seeds stacked into one network against the same seeds trained one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from gancourse import systems, training
from gancourse.errors import UserError
from gancourse.systems.seeds import Seeds, stack

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


def test_what_cannot_be_stacked_is_named() -> None:
    recipe = systems.recipe("ring-gan")
    with pytest.raises(UserError, match="only once"):
        Seeds(recipe, [1, 1])
    with pytest.raises(UserError, match="at least one"):
        Seeds(recipe, [])
    with pytest.raises(UserError, match="points"):
        Seeds(systems.recipe("digits-mlp"), [0])
    with pytest.raises(UserError, match="Conv2d has no stacked form"):
        stack([torch.nn.Conv2d(1, 1, 3)])
    with pytest.raises(UserError, match="Linear has no stacked form"):
        Seeds(recipe, [0], d_norm="spectral", **{**CHANGES, "d_pieces": 1})
