"""DCGAN: the networks and their rules, the game's two liberties, its traps, bad settings, recipes that resume."""

from __future__ import annotations

import copy
from pathlib import Path

import kill_and_resume
import pytest
import torch
from conftest import main
from torch import nn

from gancourse import evaluation, hub, images, losses, metrics, systems, training
from gancourse.datasets import digits
from gancourse.datasets.source import Batch, Batches, Source
from gancourse.errors import UserError
from gancourse.systems.base import Average
from gancourse.systems.configs import change
from gancourse.systems.dcgan import CHOICES, DCGAN, DCGANConfig, DCGANNets, authors, initialise, port

CPU = torch.device("cpu")
RECIPES = ("digits-dcgan", "faces32-dcgan", "faces32-smile", "faces64-dcgan")


def small(**changes) -> DCGANNets:
    return DCGANNets(**{"sample_shape": (3, 16, 16), "latent_dim": 5, "g_width": 4, "d_width": 6, **changes})


def config(**changes) -> DCGANConfig:
    return change(DCGANConfig(networks=small(), batch_size=4, steps=4), **changes)


def pictures(n: int = 40, shape=(3, 16, 16), seed: int = 0) -> Source:
    x = torch.randint(256, (n, *shape[1:], shape[0]), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    return Source("digits", "mini", x)


def norms(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


# ---------------------------------------------------------------------------------------------- the networks


def test_paper_networks_have_their_numbers_of_parameters(capsys) -> None:
    status, out, _ = main(capsys, "describe", "dcgan", "--paper")
    counts = [line for line in out.splitlines() if line.endswith("parameters")]
    assert status == 0
    assert counts == [
        "G, usual port: 3,576,704 parameters",
        "D, usual port: 2,765,568 parameters",
        "G, authors' own code: 18,885,760 parameters",
        "D, authors' own code: 17,232,768 parameters",
    ]
    assert "dcgan_code" in out and "dcgan.torch" in out


def test_wgan_and_dcgan_share_the_port() -> None:
    for symbol, network in systems.paper("wgan")[0].items():
        assert type(network) is type(systems.paper("dcgan")[0][f"{symbol}, usual port"])


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_shapes(size: int, kernel: int) -> None:
    spec = small(sample_shape=(3, size, size), kernel=kernel)
    x = spec.generator()(torch.randn(3, 5))
    assert x.shape == (3, 3, size, size) and x.abs().max() <= 1
    assert spec.discriminator()(x).shape == (3,)


def test_maps_of_the_port() -> None:
    """The numbers of the paper's figure 1, halved: 512 maps of 4 x 4 down to 64 of 32 x 32; D the other way round."""
    seen = []

    def note(module, inputs, output):
        seen.append(tuple(output.shape[1:]))

    for network, start in (
        (port().generator(), torch.randn(2, 100)),
        (port().discriminator(), torch.zeros(2, 3, 64, 64)),
    ):
        for layer in network.layers:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                layer.register_forward_hook(note)
        network(start)
    up = [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert seen == [*up, (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (1, 1, 1)]


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "output"])
def test_every_choice_builds_trains_and_differs(name: str) -> None:
    """A switch that changed nothing would make a figure that shows nothing."""
    seen = []
    for value in CHOICES[name]:
        torch.manual_seed(0)
        system = DCGAN(config(**{name: value}), CPU)
        torch.manual_seed(1)
        training.training_step(system, Batches(pictures(), 4, 0), 0, system.parameters())
        seen.append(torch.cat([system.G(torch.ones(4, 5)).flatten(), system.D(torch.ones(4, 3, 16, 16))]))
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_where_batchnorm_stands() -> None:
    """Rule 2: not at G's output, not at D's first layer, not at D's score."""
    rule = port()
    assert [m.num_features for m in norms(rule.generator())] == [512, 256, 128, 64]
    assert [m.num_features for m in norms(rule.discriminator())] == [128, 256, 512]
    everywhere = DCGANNets(g_norm="batch-everywhere", d_norm="batch-everywhere")
    assert [m.num_features for m in norms(everywhere.generator())] == [512, 256, 128, 64, 3]
    assert [m.num_features for m in norms(everywhere.discriminator())] == [64, 128, 256, 512]
    none = DCGANNets(g_norm="none", d_norm="none")
    assert not norms(none.generator()) and not norms(none.discriminator())
    assert not norms(DCGANNets(d_norm="spectral").discriminator())
    assert norms(authors().generator())[0].num_features == 1024 * 4 * 4


def test_batchnorm_takes_eps_second_and_not_momentum() -> None:
    """Trap 6: ``BatchNorm2d(n, 0.8)``, copied from one repository to many, sets eps: a shift and no decay."""
    trap = nn.BatchNorm2d(3, 0.8)
    assert (trap.eps, trap.momentum) == (0.8, 0.1)
    x = 0.1 * torch.randn(64, 3, 8, 8)
    assert trap(x).std() < 0.2 and 0.95 < nn.BatchNorm2d(3, momentum=0.8)(x).std() < 1.05
    for spec in (port(), authors(), small(g_norm="batch-everywhere", d_norm="batch-everywhere")):
        for norm in [*norms(spec.generator()), *norms(spec.discriminator())]:
            assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def test_the_start() -> None:
    """Section 4: N(0, 0.02); BatchNorm's scale around 1; biases 0 (of the usual 22 files, many forget it all)."""
    torch.manual_seed(0)
    for network in (port().generator(), port().discriminator()):
        for layer in network.layers:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                assert layer.weight.mean().abs() < 0.002 and abs(layer.weight.std() - 0.02) < 0.002
            if isinstance(layer, nn.BatchNorm2d):
                assert abs(layer.weight.mean() - 1) < 0.02 and 0.01 < layer.weight.std() < 0.03
                assert not layer.bias.any()
    own = small(init="torch", g_norm="none").generator()
    assert any(
        layer.bias.any() for layer in own.layers if isinstance(layer, nn.ConvTranspose2d) and layer.bias is not None
    )
    assert not any(m.bias.any() for m in initialise(own).modules() if getattr(m, "bias", None) is not None)


def test_without_batchnorm_a_layer_has_its_own_shift() -> None:
    """BatchNorm's shift is a bias: a network without BatchNorm and without biases would lack two things."""
    plain = small(g_norm="none", d_norm="none")
    biases = [layer.bias is not None for layer in plain.generator().layers if isinstance(layer, nn.ConvTranspose2d)]
    assert biases == [True, True, False]
    assert [m.bias is not None for m in plain.discriminator().layers if isinstance(m, nn.Conv2d)] == [True, True, False]
    assert not any(m.bias is not None for m in small().generator().layers if isinstance(m, nn.ConvTranspose2d))


def test_odd_kernels_overlap_unevenly() -> None:
    """How many products meet in a pixel of a transposed convolution of stride 2: for 4 x 4 the same in each."""
    for kernel, counts in ((3, {1, 2, 4}), (4, {4}), (5, {4, 6, 9})):
        spec = small(sample_shape=(1, 16, 16), kernel=kernel)
        layer = spec.up(1, 1, bias=False)[0]
        nn.init.ones_(layer.weight)
        inside = layer(torch.ones(1, 1, 8, 8))[0, 0, 4:-4, 4:-4]
        assert set(inside.flatten().tolist()) == counts


# ---------------------------------------------------------------------------------------------------- the game


def test_a_shared_fake_gives_the_gradients_of_its_own_graph() -> None:
    """AL-07: one pass through G; D's step sees the fakes cut off, G's step D after its move."""
    system = DCGAN(config(), CPU)
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    own = copy.deepcopy(system.G)
    torch.manual_seed(3)
    system.d_phase(Batch(x)).backward()
    assert all(p.grad is None for p in system.G.parameters()), "the fakes must be cut off in D's step"
    d = system.phases[0].optimizer
    d.step()
    system.g_phase(None).backward()
    torch.manual_seed(3)
    losses.nonsaturating_loss(system.D(own(system.noise(4)))).backward()
    for ours, theirs in zip(system.G.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_g_is_run_once_a_step_or_twice() -> None:
    for share, passes in ((True, 1), (False, 2)):
        system, count = DCGAN(config(share_fakes=share), CPU), []
        system.G.register_forward_hook(lambda *_, count=count: count.append(1))
        training.training_step(system, Batches(pictures(), 4, 0), 0, system.parameters())
        assert len(count) == passes


def test_shared_fakes_with_several_updates_of_d() -> None:
    system = DCGAN(config(k=3), CPU)
    for step in range(2):
        training.training_step(system, Batches(pictures(), 4, 0), step, system.parameters())
    assert system._shown is None


def test_what_the_batchnorm_of_d_sees() -> None:
    """TP-09: apart, real and fake each have statistics of their own; together, one and the same."""
    x, fake = torch.rand(4, 3, 16, 16), -torch.rand(4, 3, 16, 16)
    torch.manual_seed(0)
    apart, together = (DCGAN(config(d_batches=how), CPU) for how in ("apart", "together"))
    together.D.load_state_dict(apart.D.state_dict())
    a, b = apart.judge(x, fake), together.judge(x, fake)
    torch.testing.assert_close(a[0], apart.D(x))
    torch.testing.assert_close(torch.cat(b), together.D(torch.cat([x, fake])))
    assert not torch.allclose(a[0], b[0], atol=1e-3)
    torch.testing.assert_close(a[0], apart.judge(x, 5 * fake)[0])  # apart, the score of data knows no fakes
    assert not torch.allclose(b[0], together.judge(x, 5 * fake)[0], atol=1e-3)
    plain = DCGAN(config(d_batches="together", d_norm="none"), CPU)
    torch.testing.assert_close(plain.judge(x, fake)[1], plain.D(fake))


# ---------------------------------------------------------------------------------------------------- averages


def test_the_average_carries_batchnorm_statistics() -> None:
    """Trap 15: averaged weights with the statistics of the start are another network."""
    system = DCGAN(config(averaging=0.9), CPU)
    batches = Batches(pictures(), 4, 0)
    for step in range(30):
        training.training_step(system, batches, step, system.parameters())
    start = small().generator()
    for name, value in system.average.module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            assert not torch.equal(value, dict(start.named_buffers())[name]), f"{name} was never averaged"
    z = torch.randn(16, 5)
    right = system.average.module(z)
    weights_only = copy.deepcopy(system.average.module)
    for norm in norms(weights_only):
        norm.reset_running_stats()
    assert (weights_only(z) - right).abs().mean() > 10 * (right - right.clone()).abs().mean()
    assert not torch.allclose(weights_only(z), right, atol=1e-2)


def test_the_average_of_statistics_is_their_moving_average() -> None:
    network = small().generator()
    average, wanted = Average(network, 0.5), {}
    for name, value in average.module.named_buffers():
        wanted[name] = value.clone()
    for step in range(5):
        network(torch.randn(8, 5))
        decay = min(0.5, (1 + step) / (10 + step))
        average.update()
        for name, value in network.named_buffers():
            wanted[name] = value if value.dtype == torch.int64 else decay * wanted[name] + (1 - decay) * value
    for name, value in average.module.named_buffers():
        torch.testing.assert_close(value, wanted[name])


def test_samples_are_drawn_in_eval_mode() -> None:
    """C-50 and trap 20: a sample is a function of its noise; drawing moves no statistic."""
    system = DCGAN(config(), CPU)
    for network in system.networks.values():
        network.train()
    before = {k: v.clone() for k, v in system.average.module.state_dict().items()}
    z = torch.randn(9, 5)
    torch.testing.assert_close(system.generate(z)[:2], system.generate(z[:2]))
    assert all(torch.equal(v, before[k]) for k, v in system.average.module.state_dict().items())
    assert not torch.allclose(system.G(z)[:2], system.G(z[:2]), atol=1e-4), "in training mode they depend on the batch"


def test_fid_asks_for_samples_enough() -> None:
    """Trap 20: fewer samples give distances of another kind, and it is said."""
    told = evaluation.incomparable("digits", 500)
    assert "10,000" in told and "not comparable" in told
    assert not evaluation.incomparable("digits", 10_000)


def test_fid_of_fewer_samples_than_features_is_finite_and_too_large() -> None:
    """Trap 20: the covariance is singular then; one distribution against itself seems far from itself."""
    random = torch.Generator().manual_seed(0)
    distances = {}
    for n in (64, 4000):
        distances[n] = metrics.feature_frechet(*torch.randn(2, n, 32, generator=random))
    with pytest.warns(UserWarning, match="singular"):
        distances[16] = metrics.feature_frechet(*torch.randn(2, 16, 32, generator=random))
    assert distances[16] > distances[64] > 10 * distances[4000] > 0


def test_the_judge_judges_a_picture_by_itself() -> None:
    """Trap 20: features in eval mode, of the pixels as they are: no batch statistics, no resizing of 32 px to 28."""
    x = digits.load_mini("test").images[:6]
    alone = metrics.judge_digits(x[:1], device="cpu").features
    torch.testing.assert_close(metrics.judge_digits(x, device="cpu").features[:1], alone, atol=1e-4, rtol=1e-4)
    padded = metrics.judge_digits(images.pad(x[:1], 32), device="cpu").features
    torch.testing.assert_close(padded, alone)


# -------------------------------------------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample_shape": (1, 28, 28)}, ["28", "[1, 32, 32]"]),
        ({"sample_shape": (3, 48, 48)}, ["48", "square with 8, 16, 32, 64 or 128"]),
        ({"sample_shape": (3, 64, 32)}, ["square"]),
        ({"sample_shape": (2,)}, ["square"]),
        ({"g_width": 0}, ["g_width=0", "1 to"]),
        ({"d_width": -3}, ["d_width=-3"]),
        ({"d_width": 2.5}, ["whole number"]),
        ({"kernel": 7}, ["kernel=7"]),
        ({"g_norm": "instance"}, ["Unknown g_norm", "batch-everywhere"]),
        ({"d_downsample": "stride"}, ["Did you mean 'strided'"]),
        ({"d_batches": "both"}, ["Unknown d_batches", "together"]),
        ({"share_fakes": "yes"}, ["share_fakes"]),
        ({"batch_size": 1}, ["BatchNorm needs at least 2"]),
        ({"width": 64}, ["no hyper-parameter 'width'"]),
    ],
)
def test_bad_settings_are_told(changes, words) -> None:
    with pytest.raises(UserError) as error:
        config(**changes)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_data_of_another_size_or_colour_are_told() -> None:
    recipe = systems.recipe("faces32-dcgan")
    for source, words in (
        (pictures(shape=(3, 64, 64)), "(3, 64, 64)"),
        (pictures(shape=(1, 32, 32)), "(1, 32, 32)"),
    ):
        with pytest.raises(UserError) as error:
            training.Run(recipe, profile="smoke", source=source)
        assert words in str(error.value) and "(3, 32, 32)" in str(error.value)
    with pytest.raises(UserError, match="comes in the shape"):
        training.Run(recipe, profile="smoke", sample_shape=(3, 128, 128), quiet=True)
    with pytest.raises(UserError, match="comes in the shape"):
        training.Run(recipe, profile="smoke", data="digits", quiet=True)


def test_a_penalty_refuses_the_batchnorm_of_d() -> None:
    """Trap 1, with these networks: WGAN-GP takes them with d_norm=none or spectral."""
    recipe = systems.recipe("digits-wgan-gp")
    with pytest.raises(UserError, match="d_norm=none"):
        recipe.build(recipe.at("smoke", networks=small()), CPU)
    recipe.build(recipe.at("smoke", networks=small(d_norm="none")), CPU)


# ------------------------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_draws(name: str) -> None:
    recipe = systems.recipe(name)
    run = training.Run(recipe, profile="smoke", seed=1, quiet=True, device=CPU)
    rows = run.train()
    assert rows[-1]["step"] == recipe.at("smoke").steps
    assert {"d_loss", "g_loss", "d_real", "d_fake", "d_fake_after"} <= rows[-1].keys()
    x = run.system.sample(3)
    assert x.shape == (3, *run.config.shape) and x.abs().max() <= 1
    for profile in ("cpu", "gpu"):
        full = recipe.at(profile)
        assert full.beta1 == 0.5 and full.d_batches == "apart"
        papers = name == "digits-dcgan" or (name, profile) == ("faces64-dcgan", "gpu")
        assert full.g_lr == full.d_lr == (2e-4 if papers else 4e-4)


def test_smiling_faces_smile() -> None:
    smiles, faces = (
        training.Run(systems.recipe(name), profile="smoke", quiet=True, device=CPU).source
        for name in ("faces32-smile", "faces32-dcgan")
    )
    assert smiles.name == "smiles" and 0.2 < len(smiles.x) / len(faces.x) < 0.4


@pytest.mark.slow
def test_killed_and_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    report = kill_and_resume.main(kills=2, steps=240, folder=tmp_path, seed=0, recipe="digits-dcgan")
    assert report["kills"] == 2 and report["equal"]


def test_the_chapter_quotes_its_cards() -> None:
    """Shares of smiles in its prose are those of the runs that are shipped."""
    text = (Path(__file__).parents[1] / "notebooks" / "11_dcgan.ipynb").read_text(encoding="utf-8")
    smiles, others = (float(hub.load(name).measured("smiling")) for name in ("faces32-smile", "faces32-dcgan"))
    said = f"{100 * smiles:.0f} % of what it draws smiles, against {100 * others:.0f} % of the reference run's"
    assert said in text
