"""``gancourse bench``: what it reports, and that both loops train the same game. Nothing is decided by the clock."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import main

from gancourse import bench, systems, training
from gancourse.datasets.source import Source
from gancourse.errors import UserError

CPU = torch.device("cpu")
SMALL = {"batch_size": 8, "g_width": 4, "d_width": 4, "latent_dim": 4}
KEYS = {
    "system",
    "batch_size",
    "parameters",
    "steps_per_second",
    "textbook_steps_per_second",
    "textbook_workers",
    "times_as_fast",
    "memory_mib",
    "textbook_memory_mib",
    "gflop_per_step",
    "gflop_per_second",
    "ceiling_gflop_per_second",
    "share_of_ceiling",
    "switches",
    "failed",
    "time",
}


def digits(n: int = 64, size: int = 32) -> Source:
    x = torch.randint(256, (n, size, size, 1), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Source("digits", "mini", x, torch.arange(n) % 10)


@pytest.fixture(scope="module")
def row() -> dict:
    options = {"blocks": 2, "seconds": 1e-6, "workers": (0,), "device": CPU, "source": digits()}
    return bench.measure_row("digits-dcgan", **options, **SMALL)


def test_a_row_has_its_keys(row: dict) -> None:
    assert row.keys() == KEYS
    assert row["system"] == "dcgan" and row["batch_size"] == 8 and row["textbook_workers"] == 0
    assert row["steps_per_second"] > 0 and row["textbook_steps_per_second"] > 0
    assert row["times_as_fast"].keys() == {"median", "low", "high"}
    assert row["ceiling_gflop_per_second"].keys() == row["share_of_ceiling"].keys() == {"float32", "bf16"}
    json.dumps(row)


def test_every_switch_has_a_gain(row: dict) -> None:
    assert {name: gain["on"] for name, gain in row["switches"].items()} == {
        "fused": True,
        "channels_last": True,
        "share_fakes": True,
        "bf16": False,
    }
    assert all(gain["low"] <= gain["median"] <= gain["high"] for gain in row["switches"].values())
    assert not row["failed"]
    mlp = systems.recipe("digits-mlp").at("cpu")
    assert bench.switches(mlp).keys() == {"fused", "bf16"}
    assert bench.switches(mlp, compiled=True).keys() == {"fused", "bf16", "compile"}


def test_where_the_time_goes_adds_up(row: dict) -> None:
    assert sum(row["time"].values()) == pytest.approx(1, abs=0.02)
    assert {"convolutions", "normalisation", "optimisers and average"} <= row["time"].keys()


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten::convolution_backward", "convolutions"),
        ("aten::addmm", "matrix products"),
        ("aten::mm", "matrix products"),
        ("aten::native_batch_norm_backward", "normalisation"),
        ("aten::_fused_adam_", "optimisers and average"),
        ("aten::_foreach_lerp_", "optimisers and average"),
        ("aten::leaky_relu", "activations and losses"),
        ("aten::threshold_backward", "activations and losses"),
        ("aten::index", "data and noise"),
        ("aten::normal_", "data and noise"),
        ("aten::empty", "the rest"),
    ],
)
def test_the_kinds_of_operators(operator: str, kind: str) -> None:
    assert bench.kind(operator) == kind


def test_memory_counts_what_is_there(row: dict) -> None:
    """Weights, two numbers of Adam's for each, and what a step takes; the package averages G besides."""
    least = round(3 * 4 * row["parameters"] / 2**20, 1)
    assert row["memory_mib"] > least and row["textbook_memory_mib"] > least


def test_operations_of_a_step_are_those_of_the_formula() -> None:
    """A fully connected step by hand: forwards, and backwards for what each player needs."""
    recipe = systems.recipe("digits-mlp")
    config = recipe.at("cpu", batch_size=8, g_widths=(16,), d_widths=(16,), latent_dim=4)
    _, run = bench.package(recipe, config, digits(size=28))
    g, d = (4 * 16, 16 * 784), (784 * 16, 16 * 1)
    d_step = 1 * sum(g) + 2 * (2 * sum(d) + d[1])  # G forward; D on two batches: forward, weights, hidden gradient
    g_step = sum(g) + sum(d) + sum(d) + sum(g) + g[1]  # forward; back to the samples; G's weights; its hidden gradient
    assert bench.operations(run) == 2 * 8 * (d_step + g_step)


def test_both_loops_train_the_same_game() -> None:
    """The textbook's loop, given the package's batches and noise, gives the package's losses."""
    recipe = systems.recipe("digits-dcgan")
    config = recipe.at("cpu", **SMALL, channels_last=False)
    source = digits()
    run = training.Run(recipe, profile="cpu", source=source, quiet=True, device=CPU, **SMALL, channels_last=False)
    twin = recipe.build(config, CPU)
    for name, network in twin.networks.items():
        network.load_state_dict(run.system.networks[name].state_dict())
        network.train()
        run.system.networks[name].train()
    kept = []

    def batches():
        again = training.Batches(source, config.batch_size, 0)
        while True:
            batch = next(again)
            yield batch.x, batch.c

    loop, _ = bench.textbook(twin, bench.GAMES["dcgan"], batches())
    torch.manual_seed(1)
    loop(3)
    torch.manual_seed(1)
    for step in range(3):
        kept.append(training.training_step(run.system, run.batches, step, run.system.parameters(), run.pace))
    for ours, theirs in zip(run.system.G.parameters(), twin.G.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", bench.ROWS)
def test_every_row_has_a_game_that_runs(name: str) -> None:
    recipe = systems.recipe(name)
    config = recipe.at("smoke", batch_size=8)
    shape = (8, *config.shape)
    labels = torch.arange(8) % 10

    def batches():
        while True:
            yield torch.rand(shape) * 2 - 1, labels

    system = recipe.build(config, CPU)
    before = [p.clone() for p in system.parameters()]
    bench.textbook(system, bench.GAMES[recipe.system], batches())[0](2)
    moved = [not torch.equal(a, b) for a, b in zip(before, system.parameters(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)


def test_every_system_has_a_row() -> None:
    """A later system adds its own: to GAMES, and to ROWS."""
    words = {systems.INDEX[name][0] for name in bench.ROWS}
    assert words == {word for word, _ in systems.INDEX.values()} == set(bench.GAMES)


def test_the_textbooks_pictures_are_the_packages() -> None:
    """``ToTensor`` and ``Normalize`` on PIL pictures give what the package makes of its bytes."""
    from gancourse import images

    for source in (digits(), Source("faces", "mini", torch.randint(256, (5, 16, 16, 3)).to(torch.uint8))):
        dataset = bench.Pictures(source)
        x = torch.stack([dataset[i][0] for i in range(5)])
        torch.testing.assert_close(x, images.to_float(source.x[:5]), atol=1e-6, rtol=0)
        assert x.is_contiguous()


def test_blocks_take_turns() -> None:
    order: list[str] = []
    loops = {name: lambda steps, name=name: order.append(f"{name}{steps}") for name in "abc"}
    took = bench.interleaved(loops, {"a": 1, "b": 2, "c": 3}, 3, CPU, lambda: float(len(order)))
    assert order == ["a1", "b2", "c3", "b2", "c3", "a1", "c3", "a1", "b2"]
    assert took == {"a": [1.0] * 3, "b": [0.5] * 3, "c": [1 / 3] * 3}
    assert bench.ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == {"median": 2.0, "low": 2.0, "high": 3.0}


def test_a_compiler_that_fails_is_a_line_and_a_word(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def fail(self, **options):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch.nn.Module, "compile", fail)
    options = {"blocks": 1, "seconds": 1e-6, "workers": (0,), "device": CPU, "source": digits()}
    row = bench.measure_row("digits-dcgan", compiled=True, **options, **SMALL)
    assert row["failed"] == ["compile"] and "compile" not in row["switches"]
    assert "torch.compile failed" in capsys.readouterr().err


def test_the_command(capsys, monkeypatch: pytest.MonkeyPatch, row: dict) -> None:
    asked = []

    def measured(name: str, **options):
        asked.append((name, options["blocks"]))
        return row

    monkeypatch.setattr(bench, "measure_row", measured)
    status, out, err = main(capsys, "bench", "--quick", "--device", "cpu")
    assert status == 0 and asked == [("digits-mlp", 3), ("digits-dcgan", 3)]
    assert "not to be quoted" in out and "times" in out and "measuring digits-mlp" in err
    assert max(map(len, out.splitlines())) <= 100
    asked.clear()
    status, out, _ = main(capsys, "bench", "faces32-dcgan", "--json", "--blocks", "2", "--device", "cpu")
    report = json.loads(out)
    assert status == 0 and asked == [("faces32-dcgan", 2)]
    assert report.keys() == {"device", "versions", "clock", "blocks", "quick", "rows"}
    assert report["rows"]["faces32-dcgan"].keys() == KEYS
    asked.clear()
    main(capsys, "bench", "--device", "cpu")
    assert [name for name, _ in asked] == [*bench.ROWS] and {blocks for _, blocks in asked} == {15}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digits-dcgann"], "Did you mean 'digits-dcgan'"),
        (["digits-dcgan", "--blocks", "0"], "blocks=0"),
        (["ring-gan"], "trained on points"),
    ],
)
def test_bad_questions_are_told(arguments: list[str], words: str, capsys) -> None:
    status, _, err = main(capsys, "bench", *arguments, "--device", "cpu")
    assert status == 1 and words in err


def test_points_are_refused() -> None:
    with pytest.raises(UserError, match="loads pictures"):
        bench.measure_row("ring-gan", device=CPU)
