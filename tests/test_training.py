"""The loop: what each phase may touch, k, averaging, seeds, checkpoints and resume."""

import copy
import warnings

import pytest
import torch
from torch import nn

from gancourse import runtime, systems, training
from gancourse.datasets.source import Batches, Source
from gancourse.errors import UserError
from gancourse.networks import MLP
from gancourse.systems.base import Average
from gancourse.systems.configs import change
from gancourse.systems.gan import GAN, GANConfig

CPU = torch.device("cpu")
TINY = GANConfig(
    networks=MLP(sample_shape=(2,), latent_dim=3, g_widths=(8, 8), d_widths=(8,), output="linear"),
    data="ring",
    batch_size=16,
    steps=10,
)


@pytest.fixture
def source():
    return Source("ring", "formula", torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))


def make(source, **changes):
    runtime.seed_everything(0)
    system = GAN(change(TINY, **changes), CPU)
    return system, Batches(source, system.config.batch_size, 0), system.parameters()


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def run_phase(system, batches, parameters, name):
    """Run a step of the loop with the other phase taken out."""
    system.phases = [phase for phase in system.phases if phase.name == name]
    training.training_step(system, batches, 0, parameters)


def test_d_phase_leaves_g_untouched(source):
    system, batches, parameters = make(source)
    before = weights(system.G)
    for p in system.G.parameters():
        p.grad = torch.full_like(p, 7.0)
    run_phase(system, batches, parameters, "d")
    assert same(before, weights(system.G))
    assert all((p.grad == 7.0).all() for p in system.G.parameters())


def test_g_phase_leaves_d_untouched(source):
    system, batches, parameters = make(source)
    before = weights(system.D)
    run_phase(system, batches, parameters, "g")
    assert same(before, weights(system.D))
    assert all(p.grad is None for p in system.D.parameters())
    assert not same(weights(system.G), weights(GAN(TINY, CPU).G))


def test_only_the_own_parameters_require_gradients_within_a_phase(source):
    system, batches, parameters = make(source)
    seen = {}
    for phase in system.phases:
        loss = phase.loss

        def spy(batch, loss=loss, name=phase.name):
            seen[name] = [[p.requires_grad for p in n.parameters()] for n in (system.G, system.D)]
            return loss(batch)

        phase.loss = spy
    training.training_step(system, batches, 0, parameters)
    assert not any(seen["d"][0]) and all(seen["d"][1])
    assert all(seen["g"][0]) and not any(seen["g"][1])


def test_the_fake_batch_is_not_part_of_d_s_graph(source):
    system, batches, _ = make(source)
    system.d_phase(next(batches)).backward()
    assert all(p.grad is None for p in system.G.parameters())


@pytest.mark.parametrize("k", [1, 3, 5])
def test_k_counts_discriminator_updates_on_fresh_data(source, k):
    system, batches, parameters = make(source, k=k)
    seen = []
    loss = system.phases[0].loss
    system.phases[0].loss = lambda batch: seen.append(batch.x.clone()) or loss(batch)
    training.training_step(system, batches, 0, parameters)
    assert len(seen) == k
    assert all(not torch.equal(a, b) for a, b in zip(seen, seen[1:], strict=False))
    d_steps = system.phases[0].optimizer.state[next(system.D.parameters())]["step"]
    g_steps = system.phases[1].optimizer.state[next(system.G.parameters())]["step"]
    assert (int(d_steps), int(g_steps)) == (k, 1)


def test_every_and_after_are_respected(source):
    system, batches, parameters = make(source)
    calls = []
    system.phases[0].every = 4
    system.phases[0].after = lambda: calls.append(1)
    for step in range(10):
        training.training_step(system, batches, step, parameters)
    assert len(calls) == 3  # steps 0, 4 and 8


def test_batches_are_a_permutation_and_drop_the_partial_one():
    source = Source("numbers", "formula", torch.arange(10.0)[:, None])
    batches = Batches(source, 3, 0)
    epoch = torch.cat([next(batches).x for _ in range(3)]).flatten().tolist()
    assert len(set(epoch)) == 9
    assert all(len(next(batches).x) == 3 for _ in range(20))


def test_uint8_images_arrive_as_floats_with_their_labels():
    source = Source("digits", "mini", torch.full((10, 4, 4, 1), 255, dtype=torch.uint8), torch.arange(10))
    batch = next(Batches(source, 5, 0))
    assert batch.x.shape == (5, 1, 4, 4) and (batch.x == 1).all()
    assert batch.c is not None and batch.c.shape == (5,)


# ---------------------------------------------------------------- averaging


def test_average_carries_batchnorm_buffers():
    """An average that copies weights only gives pictures made with the statistics of step 0."""
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))
    average = Average(network, decay=0.5)
    for _ in range(50):
        network(5 + torch.randn(64, 2))
        average.update()
    torch.testing.assert_close(average.module[1].running_mean, network[1].running_mean, atol=0.2, rtol=0.1)
    assert average.module[1].num_batches_tracked == 50
    assert not average.module.training and not any(p.requires_grad for p in average.module.parameters())


def test_average_is_the_exponential_one_after_the_warm_up():
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, decay=0.9)
    expected = network.weight.item()
    for t in range(200):
        with torch.no_grad():
            network.weight.fill_(float(t % 7))
        decay = min(0.9, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * network.weight.item()
        average.update()
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-4)


def test_averaging_of_zero_follows_the_network():
    network = nn.Linear(3, 3)
    average = Average(network, decay=0.0)
    with torch.no_grad():
        network.weight.add_(1.0)
    average.update()
    torch.testing.assert_close(average.module.weight, network.weight)


# ---------------------------------------------------------------- runs


def start(**kwargs):
    return training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, **kwargs)


def test_two_equal_seeds_agree_and_another_differs():
    first, again, other = start(seed=1), start(seed=1), start(seed=2)
    for run in (first, again, other):
        run.train()
    assert same(weights(first.system.average.module), weights(again.system.average.module))
    assert not same(weights(first.system.G), weights(other.system.G))
    columns = [{k: v for k, v in row.items() if k != "seconds"} for row in first.rows]
    assert columns == [{k: v for k, v in row.items() if k != "seconds"} for row in again.rows]


def test_sampling_leaves_the_random_state_alone():
    run = start()
    state = torch.get_rng_state()
    samples = run.system.sample(7, seed=5)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(samples, run.system.sample(7, seed=5))
    assert torch.equal(samples[:3], run.system.sample(7, seed=5)[:3])


def test_a_resumed_run_writes_the_same_bytes(tmp_path):
    whole, broken = start(seed=4, out=tmp_path / "whole"), start(seed=4, out=tmp_path / "broken")
    whole.train()

    class Stop(Exception):
        pass

    def stop_at_twenty(step, system):
        if step == 40:
            raise Stop

    with pytest.raises(Stop):
        broken.train(stop_at_twenty)
    assert (tmp_path / "broken" / "metrics.csv").read_text().count("\n") > 3
    torch.rand(13)  # whatever happened in between must not matter
    resumed = start(seed=4, out=tmp_path / "broken", resume=True)
    assert 0 < resumed.step < 60
    resumed.train()
    first, second = ((tmp_path / name / "generator.safetensors").read_bytes() for name in ("whole", "broken"))
    assert first == second

    def log(name):
        lines = (tmp_path / name / "metrics.csv").read_text().splitlines()
        return [line.split(",")[:1] + line.split(",")[2:] for line in lines]

    assert log("whole") == log("broken")


def test_resume_in_an_empty_folder_starts_at_zero(tmp_path):
    run = start(out=tmp_path / "new", resume=True)
    assert run.step == 0


def test_resume_refuses_another_run_and_leaves_it(tmp_path):
    start(seed=1, out=tmp_path, steps=10).train()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(UserError, match="seed is 1 there and 2 now"):
        start(seed=2, out=tmp_path, steps=10, resume=True)
    with pytest.raises(UserError, match="k is 1 there and 2 now"):
        start(seed=1, out=tmp_path, steps=10, k=2, resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_full_folder_is_refused_without_resume(tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(UserError, match="not empty.*--resume"):
        start(out=tmp_path)
    with pytest.raises(UserError, match="does not look like a run"):
        start(out=tmp_path, resume=True)
    assert (tmp_path / "thesis.txt").read_text() == "three years of work"


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_told_and_kept(tmp_path, damage):
    start(out=tmp_path, steps=10).train()
    path = tmp_path / "checkpoint.pt"
    broken = path.read_bytes()[:5000] if damage is None else damage
    path.write_bytes(broken)
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        start(out=tmp_path, steps=10, resume=True)
    assert path.read_bytes() == broken


def test_a_foreign_checkpoint_is_told(tmp_path):
    start(out=tmp_path, steps=10).train()
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="not a checkpoint of this package"):
        start(out=tmp_path, steps=10, resume=True)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return (print, ("code ran",))

    start(out=tmp_path, steps=10).train()
    torch.save({"format": Attack()}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        start(out=tmp_path, steps=10, resume=True)


def test_another_thread_count_warns(tmp_path):
    run = start(out=tmp_path, steps=10)
    run.train()
    state = training.read_checkpoint(tmp_path / "checkpoint.pt")
    state["threads"] += 1
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="threads"):
        start(out=tmp_path, steps=10, resume=True)


def test_nan_stops_the_run_with_a_reason():
    run = start()
    with torch.no_grad():
        next(run.system.D.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="became NaN"):
        run.train()


# ---------------------------------------------------------------- recipes and settings


@pytest.mark.parametrize("name", systems.names())
@pytest.mark.parametrize("profile", runtime.PROFILES)
def test_every_recipe_stands_in_its_module_and_has_all_profiles(name, profile):
    recipe = systems.recipe(name)
    assert (recipe.name, recipe.title) == (name, systems.INDEX[name][1])
    assert recipe.at(profile).steps >= 1
    assert recipe.banner(profile).count("\n") == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"k": 0}, "k=0 is out of range.*1 to 100"),
        ({"k": 2.5}, "k=2.5 must be a whole number from 1 to 100"),
        ({"k": "abc"}, "k='abc' must be a whole number from 1 to 100"),
        ({"g_lr": "1e-3"}, "g_lr='1e-3' must be a number from 0"),
        ({"k": True}, "k=True"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 1}, "BatchNorm needs at least 2"),
        ({"latent_dim": -1}, "latent_dim=-1"),
        ({"g_widths": 256}, "g_widths=256 must be a list"),
        ({"g_widths": (0,)}, "a width in g_widths=0"),
        ({"d_dropout": 1.0}, "d_dropout=1.0"),
        ({"loss": "minmax"}, "'minmax'. Did you mean 'minimax'"),
        ({"kk": 2}, "no hyper-parameter 'kk'"),
        ({"g_lrr": 2}, "Did you mean 'g_lr'"),
    ],
)
def test_settings_out_of_range_are_told(changes, told):
    with pytest.raises(UserError, match=told):
        systems.recipe("ring-gan").at("smoke", **changes)


def test_batch_larger_than_the_data_is_told(source):
    with pytest.raises(UserError, match="batch_size=101.*1 to 100"):
        Batches(source, 101, 0)


def test_settings_are_parsed():
    parsed = training.parse_settings(["k=2", "g_lr=1e-4", "g_widths=[32, 16]", "loss=minimax"])
    assert parsed == {"k": 2, "g_lr": 1e-4, "g_widths": (32, 16), "loss": "minimax"}
    with pytest.raises(UserError, match="key=value"):
        training.parse_settings(["k"])


def test_paper_size_networks_have_the_paper_s_parameters():
    networks, source = systems.paper("gan")
    counts = [sum(p.numel() for p in networks[name].parameters()) for name in ("G", "D")]
    assert counts == [2_503_984, 1_231_441]
    assert "http" in source


def test_batchnorm_eps_is_not_mistaken_for_momentum():
    """``BatchNorm1d(n, 0.8)`` sets eps to 0.8; ours keep PyTorch's defaults."""
    norms = [m for m in GAN(TINY, CPU).G.modules() if isinstance(m, nn.BatchNorm1d)]
    assert norms and all((m.eps, m.momentum) == (1e-5, 0.1) for m in norms)


def test_spectral_option_normalises_every_layer():
    runtime.seed_everything(0)
    config = change(TINY, d_norm="spectral", d_widths=(16, 16))
    network = GAN(config, CPU).D
    for _ in range(100):
        network(torch.randn(4, 2))
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert len(linears) == 3
    for layer in linears:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1.0, abs=0.01)


def test_minimax_recipe_takes_the_other_gradient(source):
    """At equal weights the two losses give G different gradients, by the factor σ/(1-σ) per sample."""
    gradients = {}
    for loss in ("nonsaturating", "minimax"):
        system, _, _ = make(source, loss=loss, g_norm="none")
        system.g_phase(None).backward()
        gradients[loss] = torch.cat([p.grad.flatten() for p in system.G.parameters()])
    assert not torch.allclose(gradients["minimax"], gradients["nonsaturating"])
    cosine = torch.cosine_similarity(gradients["minimax"], gradients["nonsaturating"], dim=0)
    assert cosine > 0.9  # both push the same way: D(G(z)) up


def test_run_keeps_the_networks_usable_after_training():
    run = start()
    run.train()
    assert all(p.requires_grad for n in run.system.networks.values() for p in n.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.deepcopy(run.system.average.module)
