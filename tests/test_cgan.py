"""Conditional GANs: where the condition enters, the three-term loss, bad labels, sampling by class, the recipes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gancourse import cards, cli, evaluation, hub, losses, systems, training
from gancourse.datasets import toy
from gancourse.datasets.source import Batch, Source, load
from gancourse.errors import UserError
from gancourse.layers import ConditionalBatchNorm, LabelEmbedding, check_labels
from gancourse.systems import cgan
from gancourse.systems.configs import change

CPU = torch.device("cpu")
SMALL = {"g_widths": (16, 24), "d_widths": (24, 16), "batch_size": 12, "d_dropout": 0.0, "wrong_pairs": "none"}
KINDS = [
    {"d_condition": "projection"},
    {"d_condition": "concat", "g_condition": "concat"},
    {"d_condition": "projection", "wrong_pairs": "mismatched"},
    {"d_condition": "concat", "wrong_pairs": "resampled", "pair_weight": 1.0},
    {"d_condition": "auxiliary"},
    {"d_condition": "two-scores"},
]


def small(**changes: object) -> cgan.CGAN:
    torch.manual_seed(0)
    return cgan.build(change(systems.recipe("digits-cgan").config, **{**SMALL, **changes}), CPU)


def batch(n: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.rand(n, 1, 28, 28, generator=generator) * 2 - 1, torch.randint(10, (n,), generator=generator))


# ------------------------------------------------------------------------------------------------ layers


def test_conditional_batch_norm_of_one_class_is_batch_norm() -> None:
    torch.manual_seed(0)
    for shape in ((9, 5), (9, 5, 4, 3)):
        ours = ConditionalBatchNorm(5, 3)
        theirs = torch.nn.BatchNorm1d(5) if len(shape) == 2 else torch.nn.BatchNorm2d(5)
        with torch.no_grad():
            theirs.weight.copy_(torch.randn(5))
            theirs.bias.copy_(torch.randn(5))
            ours.gamma.weight[2], ours.beta.weight[2] = theirs.weight, theirs.bias
        for _ in range(3):
            h, c = torch.randn(shape) * 2 + 1, torch.full((9,), 2)
            torch.testing.assert_close(ours(h, c), theirs(h))
        ours.eval(), theirs.eval()
        torch.testing.assert_close(ours(h, c), theirs(h))  # the same running statistics


def test_conditional_batch_norm_scales_each_sample_by_its_own_class() -> None:
    norm = ConditionalBatchNorm(3, 4)
    with torch.no_grad():
        norm.gamma.weight.copy_(torch.randn(4, 3))
        norm.beta.weight.copy_(torch.randn(4, 3))
    h, c = torch.randn(6, 3), torch.tensor([3, 0, 0, 2, 1, 3])
    centred = (h - h.mean(dim=0)) / (h.var(dim=0, unbiased=False) + norm.eps).sqrt()  # over the batch, not the class
    torch.testing.assert_close(norm(h, c), norm.gamma.weight[c] * centred + norm.beta.weight[c])


def test_class_weights_are_labels_when_one_is_1_and_interpolate_between() -> None:
    embed, norm = LabelEmbedding(4, 3), ConditionalBatchNorm(3, 4)
    c = torch.tensor([3, 1])
    sure = torch.nn.functional.one_hot(c, 4).float()
    torch.testing.assert_close(embed(sure), embed(c))
    half = torch.tensor([[0.0, 0.5, 0.0, 0.5]])
    torch.testing.assert_close(embed(half)[0], embed(c).mean(dim=0))
    h = torch.randn(2, 3)
    torch.testing.assert_close(norm(h, sure), norm(h, c))


# ------------------------------------------------------------------------------------------------ losses


def test_three_term_loss_against_cross_entropy_and_its_gradient() -> None:
    right, generated, wrong = (torch.randn(n, requires_grad=True) for n in (7, 5, 3))
    for weight in (0.5, 1.0, 0.2):
        expected = bce(right, torch.ones(7)) + weight * (bce(generated, torch.zeros(5)) + bce(wrong, torch.zeros(3)))
        found = losses.matching_aware_loss(right, generated, wrong, weight)
        torch.testing.assert_close(found, expected)
        for a, b in zip(
            torch.autograd.grad(found, (right, generated, wrong)),
            torch.autograd.grad(expected, (right, generated, wrong)),
            strict=True,
        ):
            torch.testing.assert_close(a, b)
    torch.testing.assert_close(
        losses.matching_aware_loss(right, generated, generated), losses.discriminator_loss(right, generated)
    )  # ½ and ½ of the same fakes


@pytest.mark.parametrize(
    "weight, wrong_share, d, l_d",
    [(0.5, 0.0, 2 / 3, 0.9548), (1.0, 0.0, 1 / 2, 1.3863), (1.0, 0.1, 1 / 2.1, 1.4532)],
)
def test_equilibrium_of_the_three_terms(weight: float, wrong_share: float, d: float, l_d: float) -> None:
    """Ten disjoint classes, a perfect generator, and a free logit for each pair: the best D, found by Newton steps."""
    data = torch.eye(10, dtype=torch.float64) / 10  # p(x, c): class x with label c
    other = (1 - torch.eye(10, dtype=torch.float64)) / 90 if not wrong_share else torch.full_like(data, 0.01)
    a = torch.zeros(10, 10, dtype=torch.float64)
    for _ in range(50):
        s = a.sigmoid()
        slope = -data * (1 - s) + weight * (data + other) * s
        a = a - slope / ((data + weight * (data + other)) * s * (1 - s)).clamp(min=1e-12)
        a = a.clamp(-30, 30)
    s = a.sigmoid()
    assert torch.allclose(s.diagonal(), torch.tensor(d, dtype=torch.float64), atol=1e-9)
    value = -(data * s.log()).sum() - weight * ((data + other) * (1 - s).log()).sum()
    assert float(value) == pytest.approx(l_d, abs=1e-4)


def test_wrong_labels_are_wrong_and_uniform() -> None:
    torch.manual_seed(0)
    c = torch.arange(5).repeat(20_000)
    other = cgan.wrong_labels(c, 5)
    assert other.dtype == c.dtype and other.shape == c.shape
    counts = torch.bincount(c * 5 + other, minlength=25).view(5, 5).double() / 20_000
    assert (counts.diagonal() == 0).all()
    assert (counts[~torch.eye(5, dtype=torch.bool)] - 0.25).abs().max() < 0.015
    with pytest.raises(UserError, match="two classes"):
        cgan.wrong_labels(c, 1)


# ----------------------------------------------------------------------------------------------- systems


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_losses_are_finite_and_each_phase_reaches_its_own_network(changes: dict) -> None:
    system = small(**changes)
    for phase, network, other in ((system.phases[0], system.D, system.G), (system.phases[1], system.G, system.D)):
        system.D.zero_grad(set_to_none=True), system.G.zero_grad(set_to_none=True)
        for p in system.D.parameters():
            p.requires_grad_(network is system.D)
        for p in system.G.parameters():
            p.requires_grad_(network is system.G)
        loss = phase.loss(batch() if phase.uses_data else None)
        loss.backward()
        assert loss.isfinite() and loss.ndim == 0
        assert all(p.grad is not None for p in network.parameters())
        assert all(p.grad is None for p in other.parameters())
    assert set(system.seen) <= set(system.notes)
    assert all(not value.requires_grad for value in system.seen.values())


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_both_networks_look_at_the_condition(changes: dict) -> None:
    system = small(**changes)
    with torch.no_grad():  # a class code that starts at zero, or a scale that starts at 1, says nothing yet
        for p in system.G.parameters():
            p.add_(0.1 * torch.randn_like(p))
    z, c = system.noise(12), torch.arange(12) % 10
    system.G.eval()
    assert not torch.allclose(system.G(z, c), system.G(z, (c + 1) % 10))
    if changes["d_condition"] == "auxiliary":
        assert system.D(batch().x)[1].shape == (12, 10)
        return
    one, two = system.D(batch().x, c), system.D(batch().x, (c + 1) % 10)
    if changes["d_condition"] == "two-scores":
        torch.testing.assert_close(one.realism, two.realism)  # realism knows no label
        one, two = one.match, two.match
    assert one.shape == (12,) and not torch.allclose(one, two)


def test_generator_and_discriminator_get_the_same_label() -> None:
    """Errata C-31: pictures made for one label and judged with another teach nothing about labels."""
    system = small()
    asked: list[torch.Tensor] = []
    original_g, original_d = system.G.forward, system.D.forward
    system.G.forward = lambda z, c: (asked.append(c), original_g(z, c))[1]  # type: ignore[method-assign]
    system.D.forward = lambda x, c: (asked.append(c), original_d(x, c))[1]  # type: ignore[method-assign]
    system.g_phase(None)
    assert len(asked) == 2 and torch.equal(*asked)
    asked.clear()
    real = batch()
    system.d_phase(real)
    assert all(torch.equal(c, real.c) for c in asked) and len(asked) == 3


def test_projection_logit_by_hand() -> None:
    system = small()
    x, c = batch().x, torch.arange(12) % 10
    phi = system.D.body(x.flatten(1))
    expected = [system.D.logit(phi[i]).squeeze() + system.D.embed.weight[c[i]] @ phi[i] for i in range(12)]
    torch.testing.assert_close(system.D(x, c), torch.stack(expected))


def test_spectral_norm_may_leave_out_the_first_layer() -> None:
    parametrized = torch.nn.utils.parametrize.is_parametrized
    for d_norm, first in (("none", False), ("spectral", True), ("spectral-after-first", False)):
        D = small(d_norm=d_norm, d_condition="concat").D
        assert parametrized(D.body[0]) is first
        assert parametrized(D.logit) is (d_norm != "none")


def test_one_seed_gives_one_set_of_samples_and_labels() -> None:
    system = small()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = system.sample(30, seed=3)
    assert torch.equal(first, system.sample(30, seed=3))
    assert torch.equal(first, system.sample(30, seed=3, c=system.draw(30, seed=3).c))
    assert not torch.equal(first, system.sample(30, seed=4))
    assert torch.equal(state, torch.get_rng_state())
    counts = torch.bincount(system.draw(50_000, seed=2).c, minlength=10) / 50_000
    assert (counts - 0.1).abs().max() < 0.006
    sheet, columns = system.sheet(seed=3, columns=4)
    assert sheet.shape == (40, 1, 28, 28) and columns == 4
    assert torch.equal(sheet[4:8], system.sample(4, seed=3, c=[1] * 4))  # row 1 is class 1, with the same noise


def test_trained_on_the_ring_it_obeys_and_the_log_reads_two_thirds() -> None:
    run = training.Run(systems.recipe("ring-cgan"), profile="cpu", seed=0, quiet=True, steps=700, d_widths=(64, 64))
    rows = run.train()
    assert evaluation.evaluate(run.system)["label_accuracy"] > 0.95
    late = rows[-6:]
    assert sum(row["d_real"] for row in late) / 6 == pytest.approx(2 / 3, abs=0.12)
    assert sum(row["d_wrong"] for row in late) / 6 < 0.1


# ------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "labels, told",
    [
        (None, "needs labels"),
        ([0, 1, 10], "run from 0 to 9; got 0 to 10"),
        ([-1, 1, 2], "got -1 to 2"),
        (torch.tensor([0.0, 1.0, 2.0]), "labels.long()"),
        (torch.zeros(3, dtype=torch.bool), "torch.bool"),
        (torch.zeros(3, 10, dtype=torch.long), r"\(3, 10\)"),
        ([0, 1], r"\(3,\)"),
        ("eight", "whole numbers"),
    ],
)
def test_labels_are_refused_with_the_reason(labels: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_labels(labels, 10, 3)
    if labels is not None:
        with pytest.raises(UserError, match=told):
            small().sample(3, c=labels)


def test_labels_of_numpy_and_narrow_integers_are_taken() -> None:
    assert check_labels(np.array([1, 2], dtype=np.uint8), 10).dtype == torch.int64


@pytest.mark.parametrize("c", [None, torch.full((64,), 10), torch.rand(64)])
def test_training_data_with_bad_labels_are_refused(c: torch.Tensor | None) -> None:
    source = Source("digits", "mini", torch.zeros(64, 28, 28, 1, dtype=torch.uint8), c)
    with pytest.raises(UserError, match="[Ll]abels"):
        training.Run(systems.recipe("digits-cgan"), profile="smoke", source=source, quiet=True, steps=2)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"g_condition": "none"}, "G cannot know"),
        ({"d_condition": "none"}, "D cannot ask"),
        ({"d_condition": "projecting"}, "'projection'"),
        ({"wrong_pairs": "mismatch"}, "'mismatched'"),
        ({"g_norm": "none"}, "g_condition=concat"),
        ({"d_condition": "auxiliary", "wrong_pairs": "mismatched"}, "one score"),
        ({"classes": 1}, "classes=1"),
        ({"d_pieces": 5}, "maxout"),
        ({"pair_weight": -1.0}, "pair_weight"),
        ({"d_label_dim": 0}, "d_label_dim"),
    ],
)
def test_settings_are_refused_with_the_reason(changes: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        systems.recipe("digits-cgan").at("smoke", **changes)


def test_curves_have_no_labels() -> None:
    assert load("spiral", device=CPU).c is None
    with pytest.raises(UserError, match="needs labels"):
        training.Run(systems.recipe("ring-cgan"), profile="smoke", quiet=True, data="moons").train()


# ------------------------------------------------------------------------- data, command line, recipes


def test_points_of_a_mixture_come_with_their_mode() -> None:
    source = load("ring", device=CPU, seed=4)
    assert source.c is not None
    centres = toy.get("ring").centres  # type: ignore[union-attr]
    assert torch.equal(torch.cdist(source.x, centres).argmin(dim=1), source.c)
    generator = torch.Generator().manual_seed(4)
    assert torch.equal(toy.get("ring").sample(100_000, generator), source.x)


@pytest.mark.parametrize("name", ["digits-cgan", "digits-cgan-notes", "fashion-cgan", "ring-cgan"])
def test_recipes_train_sample_and_resume(name: str, tmp_path: Path) -> None:
    recipe = systems.recipe(name)
    for profile in ("smoke", "cpu", "gpu"):
        assert recipe.minutes[profile] and (profile != "cpu" or recipe.band[profile])
    assert cli.main(["train", name, "--profile", "smoke", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert "label_accuracy" in (tmp_path / "run" / "card.md").read_text()
    system = hub.load(tmp_path / "run").system
    assert system.sample(5).shape[0] == 5


def test_the_command_line_draws_the_labels_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "digits-cgan", "--profile", "smoke", "--out", "run", "--quiet"]) == 0
    assert cli.main(["sample", "run", "--n", "7", "--labels", "8,1", "--out", "s.npz", "--png", "s.png"]) == 0
    stored = np.load("s.npz")
    assert stored["images"].shape == (7, 28, 28, 1) and stored["images"].dtype == np.uint8
    assert stored["labels"].tolist() == [8, 1, 8, 1, 8, 1, 8] and stored["labels"].dtype == np.int64
    assert cli.main(["sample", "run", "--n", "500", "--out", "u.npz"]) == 0
    assert set(np.load("u.npz")["labels"].tolist()) == set(range(10))
    capsys.readouterr()
    for labels, told in (
        ("8,x", "with commas"),
        ("10", "run from 0 to 9"),
        ("1.5", "with commas"),
        ("", "with commas"),
    ):
        assert cli.main(["sample", "run", "--labels", labels, "--out", "t.npz"]) == 1
        assert told in capsys.readouterr().err
    assert not Path("t.npz").exists()
    assert cli.main(["evaluate", "run", "--n", "300", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 <= report["label_accuracy"] <= 1 and report["diversity"] is not None


def test_a_plain_gan_cannot_be_asked_for_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sample", "digits-mlp", "--labels", "8", "--out", str(tmp_path / "s.npz")]) == 1
    assert "no conditions" in capsys.readouterr().err


def test_paper_networks_can_be_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", "cgan", "--paper"]) == 0
    told = capsys.readouterr().out
    g = 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    d = 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241
    assert f"{g:,} parameters" in told and f"{d:,} parameters" in told
    paper = cgan.paper()
    c = torch.eye(10)[:3]
    image = paper["G"](torch.rand(3, 100), c)
    assert image.shape == (3, 1, 28, 28) and paper["D"](image, c).shape == (3,)


def test_reference_runs_reach_what_the_course_claims() -> None:
    """Thresholds set before the runs: 97 % at the cpu profile, 98.5 % for the shipped one, and no ten pictures."""
    folder = hub.find("digits-cgan")
    reports = json.loads((folder / "evaluation.json").read_text())
    shipped = reports[0]
    assert shipped["label_accuracy"] >= 0.985
    assert shipped["label_kl_uniform"] <= 0.01
    assert shipped["diversity"] >= 0.8
    runs = [run for run in hub.results("cgan")["runs"] if run["profile"] == "cpu"]
    assert len(runs) >= 3 and sum(run["label_accuracy"] for run in runs) / len(runs) >= 0.97
    assert all(run["label_kl_uniform"] <= 0.01 and run["diversity"] >= 0.8 for run in runs)
    again = evaluation.evaluate(hub.load("digits-cgan").system, n=2000)
    assert math.isclose(again["label_accuracy"], shipped["label_accuracy"], abs_tol=0.02)


def test_generate_refuses_what_would_break_on_a_gpu() -> None:
    system, z = small(), torch.randn(3, 64)
    for given, told in (
        ((z, torch.tensor([1, 2, 10])), "run from 0 to 9"),
        ((z, torch.tensor([1, 2])), r"\(3,\)"),
        ((z, torch.tensor([1.0, 2.0, 3.0])), r"\(3, 10\)"),
        ((z[:, :5], torch.tensor([1, 2, 3])), r"\(n, 64\)"),
    ):
        with pytest.raises(UserError, match=told):
            system.generate(*given)


def test_the_auxiliary_classifier_logs_how_often_it_is_right() -> None:
    system = small(d_condition="auxiliary")
    system.d_phase(batch())
    system.g_phase(None)
    assert set(system.seen) == set(system.notes) and 0 <= training.mean(system.seen["c_real"]) <= 1


def test_the_log_of_three_terms_rests_where_the_theory_says() -> None:
    """Within 0.03 over three seeds, a tolerance set before the runs; D, L_G and L_D of (6.8)."""
    runs = hub.results("cgan")["ring"]["wrong pairs, weight 1/2"]
    assert len(runs) == 3
    for run in runs:
        assert run["d_real"] == pytest.approx(2 / 3, abs=0.03)
        assert run["g_loss"] == pytest.approx(math.log(1.5), abs=0.03)
        assert run["d_loss"] == pytest.approx(math.log(1.5) + 0.5 * math.log(3), abs=0.03)


def test_the_table_of_settings_leaves_out_lengths_that_no_network_reads() -> None:
    config = systems.recipe("digits-cgan").config
    joined = change(config, g_condition="concat", d_condition="concat", g_label_dim=10, d_label_dim=12)
    table = cards.settings_table({"a": config, "b": joined}, ["g_label_dim", "d_label_dim", "latent_dim"])
    assert "| `g_label_dim` | – | 10 |" in table and "| `d_label_dim` | – | 12 |" in table
    assert f"| `latent_dim` | {config.latent_dim} | {config.latent_dim} |" in table
