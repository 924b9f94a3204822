"""The loop's contract with systems that there are not yet, by the toys of ``toys.py``: resume, log, averaging, data."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gancourse import hub, logs, plots, systems, training
from gancourse.datasets.source import Batches, Source
from gancourse.errors import UserError
from gancourse.networks import MLP
from gancourse.systems.base import Average, Phase
from gancourse.systems.gan import GAN, GANConfig
from gancourse.systems.seeds import Seeds

LAZY = ("r1_loss", "path_loss", "path_length", "path_mean")


class Stop(Exception):
    """What breaks a run."""


def stop() -> None:
    raise Stop


def broken_at(name: str, step: int, folder: Path, **options) -> training.Run:
    """Return a run that broke in the middle of `step`."""
    run = toys.start(name, out=folder, **options)
    toys.before_averaging(run, step, stop)
    with pytest.raises(Stop):
        run.train()
    return run


def log(folder: Path) -> list[list[str]]:
    """Return the cells of a log but for the column of seconds."""
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [row[:1] + row[2:] for row in rows]


def state(run: training.Run) -> dict[str, object]:
    """Return everything that training moves."""
    system = run.system
    return {
        "networks": {name: network.state_dict() for name, network in system.networks.items()},
        "optimizers": [optimizer.state_dict() for optimizer in training.optimizers(system)],
        "average": system.average.state_dict(),
        "extra": training.plain(system.extra_state()),
        "batches": run.batches.state_dict(),
        "random": torch.get_rng_state(),
    }


def flattened(value, where: str = "") -> dict[str, object]:
    """Return a nested state as place → tensor or number."""
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in flattened(part, f"{where}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return flattened(dict(enumerate(value)), where)
    return {where: value}


def assert_equal(first, second) -> None:
    """Compare two states bit for bit."""
    first, second = flattened(first), flattened(second)
    assert first.keys() == second.keys()
    for place, value in first.items():
        other = second[place]
        same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
        assert same, place


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Return a function that gives a toy's finished run, trained once."""
    runs: dict[str, training.Run] = {}

    def trained(name: str) -> training.Run:
        if name not in runs:
            runs[name] = toys.start(name, out=tmp_path_factory.mktemp(name))
            runs[name].train()
            runs[name].state = state(runs[name])
        return runs[name]

    return trained


# ---------------------------------------------------------------- broken and resumed


def assert_as_unbroken(whole: training.Run, resumed: training.Run) -> None:
    assert (whole.out / "generator.safetensors").read_bytes() == (resumed.out / "generator.safetensors").read_bytes()
    assert log(whole.out) == log(resumed.out)
    assert_equal(whole.state, state(resumed))


@pytest.mark.parametrize(("step", "saved"), [(3, 0), (8, 6), (15, 12), (19, 18), (40, 36)])
@pytest.mark.parametrize("name", toys.RECIPES)
def test_a_broken_run_goes_on_as_if_nothing_had_happened(name, step, saved, tmp_path, unbroken):
    """Each step lies between two checkpoints and between two rows, and the break in the middle of the step.

    At 15 and 19 a lazy phase has run and is not in the log yet; before 10 the growing blocks, and before 20 the late
    discriminator, have no optimiser state; from 13 on the pool is full. Without any one of pool, running mean,
    unlogged values, unpaired order, momenta or random state in the checkpoint this fails.
    """
    broken_at(name, step, tmp_path)
    torch.rand(13)  # whatever happened in between must not matter
    resumed = toys.start(name, out=tmp_path, resume=True)
    assert resumed.step == saved
    resumed.train()
    assert_as_unbroken(unbroken(name), resumed)


def test_a_run_broken_again_and_again_ends_the_same(tmp_path, unbroken):
    """What is unlogged when a resumed run breaks must travel on, also where the checkpoint is the same one."""
    broken_at("stylegan2", 7, tmp_path)
    for step in (11, 13, 14, 20, 34):
        broken_at("stylegan2", step, tmp_path, resume=True)
    resumed = toys.start("stylegan2", out=tmp_path, resume=True)
    resumed.train()
    assert_as_unbroken(unbroken("stylegan2"), resumed)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(("name", "step"), [("stylegan2", 20), ("cyclegan", 33)])
def test_a_killed_process_can_be_resumed(name, step, tmp_path, unbroken):
    """A process that is killed has no chance to tidy up, unlike one that breaks by an exception."""
    command = [sys.executable, "-c", "import toys; toys.main()", name, str(tmp_path), "--kill", str(step)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, timeout=120).returncode == -signal.SIGKILL
    resumed = toys.start(name, out=tmp_path, resume=True)
    assert 0 < resumed.step < step
    resumed.train()
    assert_as_unbroken(unbroken(name), resumed)


def test_a_run_killed_in_its_first_checkpoint_can_be_resumed(tmp_path, unbroken):
    """A half-written file is left under its temporary name; it was once taken for a stranger's, and refused."""
    broken_at("vqgan", 4, tmp_path)
    left = tmp_path / ".checkpoint.pt.x1y2z3_4.tmp"
    left.write_bytes(b"half")
    resumed = toys.start("vqgan", out=tmp_path, resume=True)
    assert resumed.step == 0 and not left.exists()
    resumed.train()
    assert_as_unbroken(unbroken("vqgan"), resumed)


def test_a_finished_run_is_left_as_it_is(tmp_path):
    """A resume of a finished run changes no file; were its last checkpoint not of its last step, it would train on."""
    toys.start("progan", out=tmp_path).train()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    again = toys.start("progan", out=tmp_path, resume=True)
    again.train()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


# ---------------------------------------------------------------- what the toys are


@pytest.mark.parametrize("name", toys.RECIPES)
def test_a_toy_draws_and_shows(name, unbroken):
    system = unbroken(name).system
    drawn, sheet = system.draw(5, seed=1), system.sheet()
    assert drawn.x.shape == (5, *system.config.shape)
    assert torch.equal(drawn.x, system.sample(5, seed=1)) and not torch.equal(drawn.x, system.sample(5, seed=2))
    assert sheet.x.shape[1:] == system.config.shape


def test_a_translator_goes_both_ways_and_back(unbroken):
    system = unbroken("cyclegan").system
    there, c, of = system.draw(4, seed=3, to="X")
    assert c is None and torch.equal(there, system.translate(of, to="X"))
    assert not torch.equal(there, system.translate(of, to="Y"))
    sheet = system.sheet()
    assert sheet.columns == 3 and torch.equal(sheet.x[2::3], system.translate(sheet.x[1::3], to="X"))
    with pytest.raises(UserError, match="Unknown domain 'Z'"):
        system.translate(of, to="Z")
    with pytest.raises(UserError, match="nothing to translate"):
        unbroken("progan").system.translate(of)


def test_d_sees_the_fakes_that_g_made_in_the_same_step():
    """A phase that drew another batch, or ran before g, would see others."""
    run = toys.start("cyclegan")
    made, asked = [], []
    run.system.G.register_forward_hook(lambda _, inputs, x: made.append(x.detach()))
    run.system.pools["Y"] = lambda fakes: asked.append(fakes) or fakes
    position = run.batches.state_dict()["x"]["offset"]
    training.training_step(run.system, run.batches, 0, run.system.parameters())
    assert len(asked) == 1 and torch.equal(asked[0], made[0])
    assert run.batches.state_dict()["x"]["offset"] == position + run.config.batch_size


def test_the_penalty_looks_at_every_sample_alone():
    """For a critic ⟨w, x⟩ it is (‖w‖ - 1)²; a norm over the whole batch, or over channels alone, gives another number.

    With scores of seeds, (S, B), samples begin behind both dimensions.
    """
    w = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(1))
    expected = (w.norm() - 1) ** 2
    for lead in ((5,), (2, 5)):
        x, fake = torch.randn(*lead, 3, 4, 4), torch.randn(*lead, 3, 4, 4)
        found = toys.gradient_penalty(lambda u: (u * w).flatten(-3).sum(-1), x, fake, torch.rand(lead))
        torch.testing.assert_close(found, expected)


def test_the_penalty_is_the_same_for_seeds_side_by_side():
    """ε from elsewhere than `uniform`, or a norm that meets another seed's samples, would couple the seeds."""
    torch.set_default_dtype(torch.float64)
    try:
        seeds = Seeds(toys.RECIPES["wgan-gp"], [3, 0], data="ring", steps=4)
        for step in range(4):
            training.training_step(seeds, seeds.batches, step, seeds.parameters)
        alone = training.Run(toys.RECIPES["wgan-gp"], seed=0, device=toys.CPU, quiet=True, data="ring", steps=4)
        alone.train()
        assert (alone.system.sample(50) - seeds.sample(50)[1]).abs().max() < 1e-9
    finally:
        torch.set_default_dtype(torch.float32)


# ---------------------------------------------------------------- the log


def test_the_heads_are_known_before_the_first_step(tmp_path):
    """A log whose heads came with its first row had none for a phase that begins later."""
    run = toys.start("vqgan", out=tmp_path)
    heads = (tmp_path / "metrics.csv").read_text()
    assert heads == "step,seconds,autoencoder_loss,d_loss,reconstruction,balance\n"
    run.train()
    assert (tmp_path / "metrics.csv").read_text().startswith(heads)


@pytest.mark.parametrize("name", toys.RECIPES)
def test_a_cell_is_blank_only_where_its_phase_did_not_run(name, unbroken):
    """Logged only where a row falls on it, r1 (at every 16th step) would never meet a row (at every 7th)."""
    run = unbroken(name)
    table = logs.read_metrics(run.out / "metrics.csv")
    assert list(table) == run.columns
    ends = table["step"].astype(int).tolist()
    assert ends == [1, 7, 14, 21, 28, 35, 42, 45]
    for phase in run.system.phases:
        ran = [any(phase.due(step) for step in range(a, b)) for a, b in zip([0, *ends], ends, strict=False)]
        assert np.isfinite(table[f"{phase.name}_loss"]).tolist() == ran
    blank = {column for column in table if np.isnan(table[column]).any()}
    assert blank == {"stylegan2": set(LAZY), "vqgan": {"d_loss", "balance"}}.get(name, set())


def test_every_value_stands_under_its_own_head(tmp_path):
    """Rows that leave out a blank, or cells in the order in which phases ran, put values under wrong heads."""
    run = toys.start("stylegan2", out=tmp_path)
    last: dict[str, float] = {}
    for phase in run.system.phases:

        def noted(batch, loss=phase.loss, name=f"{phase.name}_loss"):
            value = loss(batch)
            last[name] = float(value.detach())
            return value

        phase.loss = noted
    expected = []
    write = run._log

    def logged():
        expected.append({name: last.pop(name, math.nan) for name in run.columns if name.endswith("_loss")})
        write()

    run._log = logged
    run.train()
    table = logs.read_metrics(tmp_path / "metrics.csv")
    for row, values in enumerate(expected):
        np.testing.assert_equal({name: table[name][row] for name in values}, values)


def test_a_lazy_column_is_drawn_through_its_blanks(unbroken):
    """Matplotlib draws nothing between a number and a blank: r1's three numbers were three invisible points."""
    run = unbroken("stylegan2")
    for rows in (logs.read_metrics(run.out / "metrics.csv"), run.rows):
        (axes,) = plots.curves(rows, ["r1_loss"]).axes
        (line,) = axes.lines
        assert line.get_xdata().tolist() == [1, 21, 35]
        assert np.isfinite(line.get_ydata()).all()


def test_values_not_logged_yet_travel_in_the_checkpoint(tmp_path, unbroken):
    """r1 ran in step 16, the checkpoint is of 18 and the row of 21: without them that row is blank after a resume."""
    broken_at("stylegan2", 19, tmp_path)
    kept = training.read_checkpoint(tmp_path / "checkpoint.pt")["unlogged"]
    assert set(kept["losses"]) == {"d", "r1", "g", "path"} and set(LAZY[2:]) < set(kept["seen"])
    resumed = toys.start("stylegan2", out=tmp_path, resume=True)
    resumed.train()
    row, expected = ([r for r in run.rows if r["step"] == 21][0] for run in (resumed, unbroken("stylegan2")))
    assert all(row[name] == expected[name] for name in LAZY)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_log_cut_within_a_row_is_made_whole_again(cut, tmp_path, unbroken):
    """A resume that only appends would go on in the middle of the cut row."""
    broken_at("stylegan2", 23, tmp_path)
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(logs.read_metrics(path)["step"]) == 3  # 1, 7, 14: the cut row is dropped
    resumed = toys.start("stylegan2", out=tmp_path, resume=True)
    assert logs.read_metrics(path)["step"].tolist() == [1, 7, 14]  # the checkpoint is of 18
    resumed.train()
    assert log(tmp_path) == log(unbroken("stylegan2").out)


# ---------------------------------------------------------------- notes


def small(build=GAN, **changes) -> systems.configs.Recipe:
    """Return a recipe for points, made by `build`."""
    spec = MLP(sample_shape=(2,), latent_dim=2, g_widths=(4,), d_widths=(4,), output="linear")
    settings = {"steps": 12, "batch_size": 4, "log_every": 4, "checkpoint_every": 3, **changes}
    return toys._recipe("gan", GANConfig(networks=spec, **settings), build)


def run_of(build=GAN, *, out=None, resume=False, **changes) -> training.Run:
    data = Source("points", "formula", toys.points(20))
    return training.Run(small(build, **changes), source=data, device=toys.CPU, out=out, resume=resume)


def test_a_note_without_a_column_is_refused():
    """Otherwise the value would be lost in silence, or the writer would fail at the first row."""

    class Talker(GAN):
        def g_loss(self, fake, c=None):
            self.see("d_faek", fake)
            return super().g_loss(fake, c)

    with pytest.raises(KeyError, match="Talker.notes lacks 'd_faek'"):
        run_of(Talker).train()


@pytest.mark.parametrize("note", ["step", "seconds", "d_loss", "d_real"])
def test_two_columns_of_one_name_are_refused_at_the_start(note, tmp_path):
    """A note called d_loss would overwrite the phase's loss under one head."""

    class Twice(GAN):
        notes = (*GAN.notes, note)

    with pytest.raises(ValueError, match="two columns of the log have one name"):
        run_of(Twice, out=tmp_path / "run")


def test_two_phases_of_one_name_are_refused_at_the_start():
    class Twins(GAN):
        def __init__(self, config, device):
            super().__init__(config, device)
            self.phases.append(Phase("d", self.d_phase, self.phases[0].optimizer, every=2))

    with pytest.raises(ValueError, match="d_loss.*d_loss"):
        run_of(Twins)


def test_what_was_seen_holds_no_graph_and_no_batch():
    """A noted value kept as it is holds the whole step's graph until the next row; a view of it holds its tensor."""
    system = run_of().system
    scores = torch.randn(1000, requires_grad=True).exp()
    part = type("Part", (), {})()
    scores.grad_fn.metadata["part"] = part  # lives as long as the graph
    alive = weakref.ref(part)
    system.see("d_real", scores[:2])
    kept = system.seen["d_real"]
    assert kept.grad_fn is None and not kept.requires_grad
    assert kept.untyped_storage().nbytes() <= 64
    del scores, part
    gc.collect()
    assert alive() is None


def test_see_hands_the_value_on_as_it_is():
    """A detached value handed on would cut the loss off from its gradient."""
    system = run_of().system
    value = torch.randn(3, requires_grad=True).sigmoid()
    assert system.see("d_fake", value) is value and value.grad_fn is not None


class Restless(GAN):
    """Notes, in a lazy phase, a tensor that it changes in place at every step."""

    notes = (*GAN.notes, "level")

    def __init__(self, config, device):
        super().__init__(config, device)
        self.level = torch.zeros(())
        d, g = self.phases
        self.phases = [Phase("lazy", self.lazy, d.optimizer, every=5), d, g]

    def start_step(self, step):
        super().start_step(step)
        self.level.fill_(float(step))

    def lazy(self, batch):
        self.see("level", self.level)
        return self.D(batch.x).square().mean()


def test_a_noted_value_does_not_change_afterwards(tmp_path):
    """A note that shares its memory was logged as what it became, and after a resume as something else again."""
    run = run_of(Restless, out=tmp_path / "whole")
    run.train()
    seen = {row["step"]: row.get("level") for row in run.rows}
    assert seen == {1: 0.0, 4: None, 8: 5.0, 12: 10.0}
    broken = run_of(Restless, out=tmp_path / "broken")
    toys.before_averaging(broken, 7, stop)
    with pytest.raises(Stop):
        broken.train()
    run_of(Restless, out=tmp_path / "broken", resume=True).train()
    assert log(tmp_path / "whole") == log(tmp_path / "broken")


# ---------------------------------------------------------------- what else a system keeps


def keeping(state):
    """Return a system that saves `state`, and takes it back."""

    class Keeper(GAN):
        def extra_state(self):
            return state

        def load_extra_state(self, loaded):
            self.loaded = loaded

    return Keeper


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"net": nn.Linear(1, 1)}, r"extra_state\['net'\] is Linear"),
        ({"a": {"b": [0, np.zeros(2)]}}, r"extra_state\['a'\]\['b'\]\[1\] is ndarray"),
        ({"a": [torch.zeros(1), {1, 2}]}, r"extra_state\['a'\]\[1\] is set"),
        ({"pool": object()}, r"extra_state\['pool'\] is object"),
        ({"by_step": {"x": {7: 1.0}}}, r"extra_state\['by_step'\]\['x'\] is dict"),
        ({"mean": np.float32(0.5)}, r"extra_state\['mean'\] is float32"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_refused_before_the_first_step(state, place, tmp_path):
    """Else the run would end at its first checkpoint, or worse at its resume: weights_only reads none of these."""
    with pytest.raises(TypeError, match=place):
        run_of(keeping(state), out=tmp_path / "run")


def test_numbers_of_numpy_come_back_as_numbers(tmp_path):
    """np.float64 is a float, so it was saved as it is, and a checkpoint with it could not be read again."""
    state = {"mean": np.float64(0.5), "flag": True, "word": "up", "none": None, "both": (1, torch.arange(2.0))}
    run_of(keeping(state), out=tmp_path).train()
    resumed = run_of(keeping(state), out=tmp_path, resume=True)
    assert_equal(resumed.system.loaded, {**state, "both": [1, torch.arange(2.0)]})
    assert type(resumed.system.loaded["mean"]) is float and resumed.system.loaded["flag"] is True


@pytest.mark.parametrize("kept", [{"mean": 0.0}, {}])
def test_what_is_saved_and_never_loaded_is_refused_before_the_first_step(kept, tmp_path):
    """Also where there is nothing to save yet: else the run trains, is killed, and then cannot be resumed."""

    class Forgetful(GAN):
        def extra_state(self):
            return kept

    with pytest.raises(NotImplementedError, match="Forgetful.*load_extra_state"):
        run_of(Forgetful, out=tmp_path / "run")


def test_what_is_saved_is_a_copy():
    """A state that shares its memory with the system would change after it was returned."""
    mean = torch.zeros(2)
    saved = training.plain({"mean": mean, "all": [mean]})
    mean += 1
    assert saved["mean"].sum() == 0 and saved["all"][0].sum() == 0


def test_a_pool_of_views_does_not_keep_its_batches(tmp_path):
    """50 rows of 50 batches of 4 fakes: saved as they are, each brings its whole batch into the file."""
    broken_at("cyclegan", 43, tmp_path)
    path = tmp_path / "checkpoint.pt"
    run = toys.start("cyclegan", out=tmp_path, resume=True)
    assert [len(pool.kept) for pool in run.system.pools.values()] == [50, 50]
    fake = run.system.pools["X"].kept[0]
    assert fake.untyped_storage().nbytes() == fake.nbytes
    with_pool = path.stat().st_size
    for pool in run.system.pools.values():
        pool.kept = []
    run.save_checkpoint()
    per_fake = (with_pool - path.stat().st_size) / 100
    assert per_fake < fake.nbytes + 500  # an entry of the file beside the numbers; a whole batch is 768 bytes more
    run.system.pools["X"].kept = list(torch.randn(4000, 1, 8, 8)[:1])
    run.save_checkpoint()
    assert path.stat().st_size < with_pool


# ---------------------------------------------------------------- phases


def test_every_counts_from_start():
    """Counted from step 0, a phase with start=20 and every=8 would first run at 24."""
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    phase = Phase("late", lambda batch: None, adam, every=8, start=20)
    assert [step for step in range(50) if phase.due(step)] == [20, 28, 36, 44]


def test_a_late_player_is_untouched_until_its_start():
    """A loss of zero in place of a late start would fill its optimiser with zeros, and count its steps."""
    run = toys.start("vqgan")
    before = [p.detach().clone() for p in run.system.D.parameters()]
    for step in range(20):
        training.training_step(run.system, run.batches, step, run.system.parameters())
    assert not run.system.phases[1].optimizer.state
    assert all(torch.equal(a, b) for a, b in zip(before, run.system.D.parameters(), strict=True))
    training.training_step(run.system, run.batches, 20, run.system.parameters())
    assert not all(torch.equal(a, b) for a, b in zip(before, run.system.D.parameters(), strict=True))


def test_a_shared_optimiser_is_saved_once(tmp_path):
    """Saved for each phase, it would be loaded as often; an Adam for each penalty would have momenta of its own."""
    run = broken_at("stylegan2", 40, tmp_path)
    d, r1, g, path = (phase.optimizer for phase in run.system.phases)
    assert d is r1 and g is path and training.optimizers(run.system) == [d, g]
    saved = training.read_checkpoint(tmp_path / "checkpoint.pt")["optimizers"]
    assert len(saved) == 2
    steps = [int(optimizer["state"][0]["step"]) for optimizer in saved]
    assert steps == [36 + 3, 36 + 5]  # d and r1 at 0, 16, 32; g and path at 0, 8, 16, 24, 32
    resumed = toys.start("stylegan2", out=tmp_path, resume=True)
    d, r1, *_ = (phase.optimizer for phase in resumed.system.phases)
    assert d is r1
    assert_equal(d.state_dict(), saved[0])


def test_an_optimiser_of_other_parameters_is_refused():
    """Weights outside of `networks` are trained, and neither frozen in other phases nor saved."""

    class Leaky(GAN):
        def __init__(self, config, device):
            super().__init__(config, device)
            self.scale = nn.Parameter(torch.ones(()))
            self.phases[0].optimizer.add_param_group({"params": [self.scale]})

    with pytest.raises(ValueError, match="Phase 'd' of Leaky.*networks"):
        run_of(Leaky)


def test_what_joins_an_optimiser_later_is_trained():
    """A subclass adds a head to a player of its parent's: owned by the phase as it was built, it stayed frozen."""

    class Headed(GAN):
        def __init__(self, config, device):
            super().__init__(config, device)
            self.networks["head"] = self.head = nn.Linear(2, 1)
            self.phases[1].optimizer.add_param_group({"params": self.head.parameters()})

        def g_loss(self, fake, c=None):
            return super().g_loss(fake, c) + (self.head(fake) - 1).square().mean()

    run = run_of(Headed)
    before = run.system.head.weight.detach().clone()
    run.train()
    assert not torch.equal(before, run.system.head.weight)


# ---------------------------------------------------------------- averaging


class Mixed(nn.Module):
    """Weights, running statistics, a counter, a schedule and the vectors of a power iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(2, 3, 3))
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("level", torch.zeros(2))

    def forward(self, x):
        return self.norm(self.conv(x)) * (1 + self.level.sum())


def exercise(network: nn.Module, average: Average, times: int = 3) -> None:
    """Change everything about a network, and let the average follow."""
    for _ in range(times):
        network.train()
        like = next(network.parameters())
        network(torch.randn(4, 2, 5, 5).to(like.dtype) + 3)
        with torch.no_grad():
            for p in network.parameters():
                p += torch.randn_like(p)
            network.level += 0.25
        average.update()


def test_statistics_are_averaged_and_other_buffers_copied():
    """A mean over a schedule or over u, or a copy of running statistics, belongs to no weights at all."""
    torch.manual_seed(0)
    network = Mixed()
    average = Average(network, 0.5)
    names = dict(network.state_dict())
    means = {k: v.clone() for k, v in names.items() if "original" in k or "running" in k or k.endswith("bias")}
    for t in range(4):
        exercise(network, average, 1)
        decay = min(0.5, (1 + t) / (10 + t))
        for k, mean in means.items():
            mean.lerp_(network.state_dict()[k], 1 - decay)
    found = average.module.state_dict()
    for k, mean in means.items():
        torch.testing.assert_close(found[k], mean)
        assert not torch.equal(found[k], network.state_dict()[k])
    copied = {"level", "norm.num_batches_tracked", "conv.parametrizations.weight.0._u"}
    assert copied < found.keys()
    for k in copied:
        assert torch.equal(found[k], network.state_dict()[k])
    assert found["norm.num_batches_tracked"] == 4 and found["level"].tolist() == [1.0, 1.0]
    assert (found["conv.parametrizations.weight.0._u"].norm() - 1).abs() < 1e-6  # a mean of unit vectors is shorter


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network.to(memory_format=torch.channels_last),
        lambda network: network.register_buffer("level", torch.ones(2)),
        lambda network: setattr(network, "level", torch.ones(2)),
        lambda network: network.load_state_dict({k: v.clone() for k, v in network.state_dict().items()}, assign=True),
        lambda network: network.double(),
    ],
    ids=["channels_last", "register_buffer", "setattr", "assign", "double"],
)
def test_the_average_goes_on_after_the_network_was_moved(change):
    """Tensors looked up once are no longer the network's: the average then stands still, or follows a ghost."""
    torch.manual_seed(0)
    network = Mixed()
    average = Average(network, 0.0)
    exercise(network, average)
    change(network)
    exercise(network, average)
    for (name, found), (_, expected) in zip(
        average.module.state_dict().items(), network.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(found, expected, msg=name)
        assert found.stride() == expected.stride(), name
    x = torch.randn(1, 2, 5, 5).to(next(network.parameters()).dtype)
    torch.testing.assert_close(average.module(x), network.eval()(x))


def test_a_network_in_half_precision_is_refused_by_its_average():
    """In bfloat16 a weight has 8 bits, and 0.001 of a difference is lost: the average would not move."""
    network = nn.Linear(2, 2)
    average = Average(network, 0.999)
    network.bfloat16()
    with pytest.raises(TypeError, match="weight is bfloat16.*autocast"):
        average.update()


def test_several_generators_are_averaged_as_one():
    first, second = nn.Linear(2, 2), nn.Linear(2, 3)
    average = Average(nn.ModuleDict({"Y": first, "X": second}), 0.0)
    with torch.no_grad():
        second.weight.add_(1.0)
    average.update()
    assert torch.equal(average.module["X"].weight, second.weight)
    assert average.module["Y"] is not first and set(average.module.state_dict()) >= {"X.bias", "Y.bias"}


class Tied(nn.Module):
    """An autoencoder whose decoder is its encoder turned round."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(2, 2), nn.Linear(2, 2)
        self.decoder.weight = self.encoder.weight

    def forward(self, z, c=None):
        return self.decoder(self.encoder(z))


class TiedGAN(GAN):
    """A GAN whose G has tied weights."""

    def __init__(self, config, device):
        super().__init__(config, device)
        self.G.layers = Tied()
        self.average = Average(self.G, config.averaging)
        self.phases[1] = Phase("g", self.g_phase, self.optimizer(self.G, config.g_lr), uses_data=False)


def test_tied_weights_are_saved_and_loaded(tmp_path, monkeypatch):
    """safetensors refuses two names for one memory; and averaged under both names they would move twice a step."""
    run = run_of(TiedGAN, out=tmp_path, averaging=0.5)
    expected = run.system.G.layers.encoder.weight.detach().clone()
    training.training_step(run.system, run.batches, 0, run.system.parameters())
    expected.lerp_(run.system.G.layers.encoder.weight.detach(), 1 - 1 / 10)
    torch.testing.assert_close(run.system.average.module.layers.encoder.weight, expected)
    run.train()
    monkeypatch.setattr(systems, "recipe", lambda name: small(TiedGAN, averaging=0.5))
    loaded = hub.load(tmp_path, toys.CPU).system
    assert torch.equal(loaded.sample(9), run.system.sample(9))
    layers = loaded.average.module.layers
    assert layers.encoder.weight is layers.decoder.weight
    resumed = run_of(TiedGAN, out=tmp_path, resume=True, averaging=0.5).system.G.layers
    assert resumed.encoder.weight is resumed.decoder.weight


# ---------------------------------------------------------------- a former checkpoint


def test_a_checkpoint_of_the_former_format_is_named_and_left_alone(tmp_path):
    """It was read as one of today's, and ended in a KeyError."""
    toys.start("progan", out=tmp_path).train()
    path = tmp_path / "checkpoint.pt"
    torch.save({"format": "gancourse checkpoint 1", "identity": {}, "step": 3}, path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"version 0\.1\.0.*left as it is"):
        toys.start("progan", out=tmp_path, resume=True)
    assert path.read_bytes() == before


# ---------------------------------------------------------------- the step


def test_start_step_comes_before_each_step_and_after_building_and_resuming(tmp_path, monkeypatch):
    """A schedule that is set in the first step only is wrong when one draws before it, and after a resume."""
    calls: list[int] = []
    original = toys.ProGAN.start_step
    monkeypatch.setattr(toys.ProGAN, "start_step", lambda self, step: calls.append(step) or original(self, step))
    toys.start("progan")
    assert calls == [0]
    calls.clear()
    broken_at("progan", 15, tmp_path)
    assert [step for i, step in enumerate(calls) if step not in calls[:i]] == list(range(16))
    calls.clear()
    resumed = toys.start("progan", out=tmp_path, resume=True)
    assert calls == [12] and resumed.system.G.alpha == pytest.approx(2 / 35)
    resumed.train()
    assert resumed.system.step == 45


def test_start_step_twice_does_no_harm(unbroken):
    run = toys.start("progan")
    once = training.training_step

    def twice(system, batches, step, parameters, pace):
        system.start_step(step)
        return once(system, batches, step, parameters, pace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "training_step", twice)
        run.train()
    whole = unbroken("progan")
    assert_equal(state(run), whole.state)


def test_a_loaded_system_draws_with_the_share_of_its_last_step(monkeypatch, unbroken):
    """The share comes from the step, not from the weights: without start_step the large blocks would not be drawn."""
    run = unbroken("progan")
    monkeypatch.setattr(systems, "recipe", lambda name: toys.RECIPES["progan"])
    loaded = hub.load(run.out, toys.CPU).system
    assert loaded.average.module.alpha == 1.0
    assert torch.equal(loaded.sample(7, seed=1), run.system.sample(7, seed=1))


def test_what_is_drawn_on_the_way_is_what_a_resume_would_draw(tmp_path):
    """Once a sample at step 12 had the share of step 11, and after a resume that of step 12."""
    drawn = {}
    run = toys.start("progan", out=tmp_path, sample_every=12)
    toys.before_averaging(run, 13, stop)
    with pytest.raises(Stop):
        run.train(lambda step, system: drawn.update({step: system.sample(5)}))
    resumed = toys.start("progan", out=tmp_path, resume=True, sample_every=12)
    assert resumed.step == 12
    assert torch.equal(resumed.system.sample(5), drawn[12])


class Scheduled(GAN):
    """Keeps what comes from the step in a buffer, which is saved with the weights."""

    def __init__(self, config, device):
        super().__init__(config, device)
        self.G.register_buffer("level", torch.zeros(()))
        self.average = Average(self.G, config.averaging)

    def start_step(self, step):
        super().start_step(step)
        for network in (self.G, self.average.module):
            network.level.fill_(float(step))


def test_start_step_comes_after_loading(tmp_path, monkeypatch):
    """Called before, its values are overwritten by those in the file, which may be a published one of other weights."""
    from safetensors.torch import load_file, save_file

    run_of(Scheduled, out=tmp_path).train()
    path = tmp_path / "generator.safetensors"
    weights = load_file(path)
    assert weights["level"] == 12
    save_file({**weights, "level": torch.tensor(11.0)}, path)
    monkeypatch.setattr(systems, "recipe", lambda name: small(Scheduled))
    assert hub.load(tmp_path, toys.CPU).system.average.module.level == 12


# ---------------------------------------------------------------- batches


def numbered(**options) -> Source:
    """Return ten samples x that are their own numbers."""
    return Source("numbers", "formula", torch.arange(10.0)[:, None], **options)


def test_a_second_domain_without_pairs_has_its_own_order_and_resumes_in_it():
    """One order for both would make pairs of what are none, and never reach the end of the longer domain."""
    data = numbered(y=100 + torch.arange(16.0)[:, None])
    batches = Batches(data, 3, 0)
    drawn = [next(batches) for _ in range(40)]
    assert not all(torch.equal(batch.x + 100, batch.y) for batch in drawn)
    epoch = torch.cat([batch.y for batch in drawn[:5]]).flatten().tolist()
    assert len(set(epoch)) == 15 and set(torch.cat([b.y for b in drawn]).flatten().tolist()) == set(range(100, 116))
    for position in (1, 4, 17):  # 3 batches are an epoch of x, 5 one of y
        batches, resumed = Batches(data, 3, 0), Batches(data, 3, 0)
        for _ in range(position):
            next(batches)
        resumed.load_state_dict(training.on(toys.CPU, training.plain(batches.state_dict())))
        for _ in range(12):
            first, second = next(batches), next(resumed)
            assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)


def test_domains_of_one_size_are_not_paired_by_their_order():
    """With seeds of x and y that differ by 2**32 they were: on the CPU torch keeps 32 bits of a seed."""
    data = numbered(y=100 + torch.arange(10.0)[:, None])
    for seed in (0, 2**32 - 1):
        batches = Batches(data, 5, seed)
        drawn = [next(batches) for _ in range(20)]
        assert sum(int((x + 100 == y).sum()) for x, _, y in drawn) < 30  # 10 in 100 by chance


def test_a_second_domain_does_not_change_the_order_of_the_first():
    """Drawn from one stream, x would come in another order as soon as there is a y."""
    alone, beside = Batches(numbered(), 3, 5), Batches(numbered(y=torch.arange(7.0)[:, None]), 3, 5)
    assert all(torch.equal(next(alone).x, next(beside).x) for _ in range(9))


def test_a_pair_stays_together():
    data = numbered(y=100 + torch.arange(10.0)[:, None], c=torch.arange(10), paired=True)
    batches = Batches(data, 3, 0)
    for _ in range(9):
        x, c, y = next(batches)
        assert torch.equal(x + 100, y) and torch.equal(x.flatten().long(), c)


def test_several_labels_of_a_sample_pass_through():
    """Flattened, or taken along the wrong dimension, they would no longer be (B, K)."""
    labels = torch.stack([torch.arange(10), 10 - torch.arange(10), torch.zeros(10, dtype=torch.int64)], dim=1)
    x, c, y = next(Batches(numbered(c=labels), 4, 0))
    assert y is None and c.shape == (4, 3) and torch.equal(c, labels[x.flatten().long()])


def test_domains_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="10 samples x and 9 of y"):
        numbered(y=torch.zeros(9, 1), paired=True)
    with pytest.raises(UserError, match="batch_size=8 does not fit.*with 7 samples"):
        Batches(numbered(y=torch.zeros(7, 1)), 8, 0)


# ---------------------------------------------------------------- not a number


class Breaking(GAN):
    """Turns to NaN at step 4: in the loss of a phase, in a note, or in the weights alone."""

    where = ""

    def __init__(self, config, device):
        super().__init__(config, device)
        self.phases.append(Phase("lazy", self.lazy, self.phases[0].optimizer, every=4))

    def lazy(self, batch):
        loss = self.D(batch.x).square().mean()
        if self.step == 4 and self.where == "weights":
            return loss + (0.0 * loss).sqrt()  # the root of 0 is 0, and has no slope
        return loss * math.nan if self.step == 4 and self.where == "loss" else loss

    def g_loss(self, fake, c=None):
        loss = super().g_loss(fake, c)
        if self.where == "note" and self.step == 4:
            self.see("d_fake_after", fake * math.nan)
        return loss


@pytest.mark.parametrize(
    ("where", "told"), [("loss", "lazy_loss"), ("note", "d_fake_after"), ("weights", "a weight of D")]
)
def test_what_is_not_a_number_is_not_saved(where, told, tmp_path, monkeypatch):
    """NaN in step 4, a checkpoint of 5, a row of 8: the good checkpoint was overwritten before anyone looked."""
    monkeypatch.setattr(Breaking, "where", where)
    run = run_of(Breaking, out=tmp_path, log_every=8, checkpoint_every=1 if where == "weights" else 5)
    with pytest.raises(UserError, match=f"Training broke at step 5: .*{told}.*The last checkpoint is kept"):
        run.train()
    last = tmp_path / "checkpoint.pt"
    assert last.exists() == (where == "weights")
    if last.exists():
        kept = training.read_checkpoint(last)
        assert kept["step"] == 4 and all(torch.isfinite(v).all() for v in kept["networks"]["D"].values())
    assert logs.read_metrics(tmp_path / "metrics.csv")["step"].tolist() == [1]


def test_a_lazy_nan_is_told_at_the_next_row():
    """A row of the last step's losses alone would not show it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Breaking, "where", "loss")
        with pytest.raises(UserError, match="Training broke at step 7: .*lazy_loss"):
            run_of(Breaking, log_every=7).train()


def test_a_run_that_broke_can_be_resumed_from_its_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Breaking, "where", "loss")
    with pytest.raises(UserError, match="broke"):
        run_of(Breaking, out=tmp_path, log_every=8).train()
    monkeypatch.setattr(Breaking, "where", "")  # the fault was found
    resumed = run_of(Breaking, out=tmp_path, log_every=8, resume=True)
    assert resumed.step == 3
    resumed.train()
    assert [row["step"] for row in resumed.rows] == [1, 8, 12]
