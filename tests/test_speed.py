"""The fast step: each switch changes rounding and no result, is recorded, and old runs go on without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import main
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gancourse import hub, penalties, runtime, speed, systems, training
from gancourse.datasets.source import Batches, Source
from gancourse.errors import UserError
from gancourse.systems.base import Average
from gancourse.systems.configs import EVERY, from_record
from gancourse.systems.seeds import Seeds

CPU = torch.device("cpu")
OFF = {"channels_last": False, "fused": False, "precision": "float32", "compile": False}


def start(name: str = "faces32-dcgan", seed: int = 5, **options) -> training.Run:
    return training.Run(systems.recipe(name), profile="smoke", seed=seed, quiet=True, device=CPU, **options)


def weights(run: training.Run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in run.system.parameters()])


# -------------------------------------------------------------------------------------------------- the switches


@pytest.mark.parametrize("switch", [{"channels_last": True}, {"fused": True}])
def test_a_switch_changes_rounding_alone(switch: dict) -> None:
    """In the median of five seeds: Adam makes a full step of a gradient that is almost 0, whichever sign rounding gives
    it, so that a single seed is far off now and then. A wrong switch would put all of them off."""
    apart = []
    for seed in range(5, 10):
        plain, fast = start(seed=seed, **OFF, steps=3), start(seed=seed, **{**OFF, **switch}, steps=3)
        begun = weights(plain)
        plain.train()
        fast.train()
        apart.append((weights(plain) - weights(fast)).norm() / (weights(plain) - begun).norm())
    assert torch.stack(apart).median() < 1e-3


def test_half_precision_stays_near_and_keeps_what_must_be_exact() -> None:
    plain, half = start(**OFF, steps=2), start(**{**OFF, "precision": "bf16"}, steps=2)
    seen: list[torch.dtype] = []
    half.system.D.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    begun = weights(plain)
    plain.train()
    half.train()
    assert set(seen) == {torch.bfloat16}, "the switch did nothing"
    assert (weights(plain) - weights(half)).norm() < 0.5 * (weights(plain) - begun).norm()
    assert all(p.dtype == torch.float32 for p in half.system.average.module.parameters())
    assert half.system.sample(2).dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in half._losses.values())


def test_a_scaled_loss_gives_the_gradients_of_the_loss() -> None:
    """fp16: gradients are scaled up on the way back and down again before the step; an overflow leaves a step out."""
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    pace = speed.Pace(torch.float16, CPU)
    pace.descend(3 * weight.sum(), optimizer)
    assert weight.item() == pytest.approx(0.5)
    before = pace.state_dict()["scale"]
    optimizer.zero_grad()
    pace.descend(weight.sum() * float("inf"), optimizer)
    assert weight.item() == pytest.approx(0.5) and pace.state_dict()["scale"] == before / 2
    again = speed.Pace(torch.float16, CPU)
    again.load_state_dict(pace.state_dict())
    assert again.state_dict()["scale"] == before / 2


@pytest.mark.parametrize(
    ("name", "changes"), [("digits-wgan-gp", {}), ("faces32-dcgan", {"k": 2}), ("digits-wgan", {})]
)
def test_games_of_several_updates_train_in_fp16(name: str, changes: dict) -> None:
    run = start(name, precision="fp16", steps=3, **changes)
    begun = weights(run)
    run.train()
    assert weights(run).isfinite().all() and not torch.equal(weights(run), begun)


def test_auto_takes_what_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        for unit in ("avx512_bf16", "amx_tile"):
            monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda has=has: has, raising=False)
        assert runtime.precision("auto", CPU) == wanted
    for capability, wanted in (((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda where, c=capability: c)
        assert runtime.precision("auto", torch.device("cuda")) == wanted
    assert runtime.precision("auto", torch.device("mps")) == torch.float32


def test_channels_last_reaches_weights_average_and_optimiser() -> None:
    run = start(channels_last=True, steps=2)
    run.train()
    conv = next(m for m in run.system.D.modules() if isinstance(m, nn.Conv2d) and m.in_channels > 3)
    twin = next(
        m for m in run.system.average.module.modules() if isinstance(m, nn.ConvTranspose2d) and m.in_channels > 3
    )
    optimizer = run.system.phases[0].optimizer
    for tensor in (conv.weight, conv.weight.grad, twin.weight, optimizer.state[conv.weight]["exp_avg"]):
        assert tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def test_channels_last_leaves_fully_connected_networks_alone() -> None:
    states = []
    for order in (False, True):
        run = start("digits-mlp", channels_last=order, steps=3)
        run.train()
        states.append(weights(run))
    assert torch.equal(*states)


def test_the_shipped_weights_lie_in_the_usual_order(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = start(out=tmp_path / "run", steps=2)
    run.train()
    shipped = load_file(tmp_path / "run" / "generator.safetensors")
    assert all(value.is_contiguous() for value in shipped.values())
    system = hub.load(str(tmp_path / "run"), CPU).system
    torch.testing.assert_close(system.sample(2), run.system.sample(2), atol=1e-5, rtol=1e-4)


def test_the_average_moves_alike_by_one_call_or_many() -> None:
    network = nn.Linear(3, 3)
    fused, single = Average(network, 0.9), Average(network, 0.9)
    single.fused = False
    for _ in range(4):
        with torch.no_grad():
            network.weight.add_(1)
        fused.update()
        single.update()
    torch.testing.assert_close(fused.module.weight, single.module.weight)


def test_state_of_another_memory_order_is_aligned() -> None:
    conv = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(conv.parameters(), fused=True)
    conv(torch.randn(2, 4, 5, 5)).sum().backward()
    optimizer.step()
    state = optimizer.state[conv.weight]
    kept = state["exp_avg"].clone()
    state["exp_avg"] = state["exp_avg"].contiguous()
    speed.align(optimizer)
    assert state["exp_avg"].stride() == conv.weight.stride() and torch.equal(state["exp_avg"], kept)


class Waits(TorchDispatchMode):
    """Counts what makes a program wait for a GPU: a number of a tensor, or an index that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in (
            "_local_scalar_dense",
            "nonzero",
            "is_nonzero",
            "equal",
            "masked_select",
        ):
            self.found.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "name", ["digits-mlp", "digits-cgan", "digits-wgan", "digits-wgan-gp", "digits-r3gan", "digits-dcgan"]
)
def test_a_step_waits_for_nothing(name: str) -> None:
    run = start(name)
    parameters = run.system.parameters()
    for network in run.system.networks.values():
        network.train()
    training.training_step(run.system, run.batches, 0, parameters, run.pace)  # labels are checked once
    with Waits() as waits:
        for step in range(1, 3):
            training.training_step(run.system, run.batches, step, parameters, run.pace)
    assert not waits.found


def test_the_count_of_waits_counts() -> None:
    with Waits() as waits:
        float(torch.ones(1).sum())
    assert waits.found


# ------------------------------------------------------------------------------------------------- penalties


class Curved(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).squeeze(1)


def test_a_penalty_is_computed_in_float32() -> None:
    torch.manual_seed(0)
    critic, x = Curved(), torch.randn(6, 3)
    exact = penalties.zero_centred_penalty(critic, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(x).dtype == torch.bfloat16
        mixed = penalties.zero_centred_penalty(critic, x.bfloat16().float())
        assert critic(x).dtype == torch.bfloat16, "autocast goes on afterwards"
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, penalties.zero_centred_penalty(critic, x.bfloat16().float()))
    assert penalties.zero_centred_penalty(critic, x.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0.05, atol=0)


def test_a_penalty_through_a_compiled_critic_keeps_its_graph() -> None:
    """Trap 22: compiled code cannot be differentiated twice; the penalty runs the critic as it is written."""
    torch.manual_seed(0)
    critic, x = Curved(), torch.randn(6, 3)
    wanted = torch.autograd.grad(penalties.zero_centred_penalty(critic, x), critic.parameters(), allow_unused=True)
    calls: list[int] = []
    critic.compile(backend=lambda graph, inputs: compiled_graph(graph, calls))
    critic(x)
    assert calls, "the critic was not compiled at all"
    calls.clear()
    penalty = penalties.zero_centred_penalty(critic, x)
    assert penalty.requires_grad and not calls
    found = torch.autograd.grad(penalty, critic.parameters(), allow_unused=True)
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)
    critic(x)
    assert calls, "the plain path is compiled again afterwards"


def compiled_graph(graph, calls):
    """Return what runs in place of a graph: the graph, counted, without compiler."""

    def run(*arguments):
        calls.append(1)
        return graph(*arguments)

    return run


def test_a_penalty_that_lost_its_graph_is_refused() -> None:
    """Trap 22: the detached slope would be a number that trains nothing."""
    critic = Curved().requires_grad_(False)
    with pytest.raises(RuntimeError, match="lost its graph"):
        penalties.zero_centred_penalty(lambda x: critic(x).detach() + x.sum(dim=1), torch.randn(3, 3))


# ------------------------------------------------------------------------------------------------ compilation


def eager_backend(monkeypatch: pytest.MonkeyPatch, fail: bool = False) -> list[int]:
    """Let networks be compiled by a compiler that does nothing, or that fails; return what counts its graphs."""
    graphs: list[int] = []

    def backend(graph, inputs):
        graphs.append(1)
        if fail:
            raise RuntimeError("no C++ compiler here\nand a long explanation")
        return graph.forward

    def compile_in_place(self, **options):
        self._compiled_call_impl = torch.compile(self._call_impl, backend=backend)

    monkeypatch.setattr(nn.Module, "compile", compile_in_place)
    torch._dynamo.reset()
    return graphs


def test_compiled_networks_train_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = start(steps=3)
    plain.train()
    graphs = eager_backend(monkeypatch)
    fast = start(steps=3, compile=True)
    fast.train()
    assert graphs and torch.equal(weights(plain), weights(fast)), "the rehearsal must leave no trace"
    assert plain.rows[-1]["d_loss"] == fast.rows[-1]["d_loss"]
    assert [*fast.system.G.state_dict()] == [*plain.system.G.state_dict()]


def test_a_compiler_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    plain = start(steps=3)
    plain.train()
    eager_backend(monkeypatch, fail=True)
    fast = start(steps=3, compile=True)
    fast.train()
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and "torch.compile failed" in told[0] and "no C++ compiler here" in told[0]
    assert torch.equal(weights(plain), weights(fast))
    assert all(network._compiled_call_impl is None for network in fast.system.networks.values())


@pytest.mark.parametrize("name", ["digits-wgan-gp", "digits-r3gan"])
def test_games_with_penalties_train_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = start(name, steps=2)
    plain.train()
    graphs = eager_backend(monkeypatch)
    fast = start(name, steps=2, compile=True)
    fast.train()
    assert graphs
    torch.testing.assert_close(weights(plain), weights(fast))


# ------------------------------------------------------------------------------------------- records and resume


def test_the_switches_are_recorded_and_read_back(tmp_path: Path) -> None:
    changed = {"channels_last": False, "precision": "bf16", "fused": False}
    run = start(out=tmp_path / "run", steps=2, **changed)
    run.train()
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert {key: record["config"][key] for key in changed} == changed
    assert from_record(run.recipe.config, record["config"], "dcgan") == run.config


@pytest.mark.parametrize("name", ["digits-mlp", "digits-wgan"])
def test_a_folder_from_before_the_switches_resumes_to_the_same_bytes(name: str, tmp_path: Path, recwarn) -> None:
    whole = start(name, out=tmp_path / "whole", steps=8, checkpoint_every=4)
    whole.train()
    half = start(name, out=tmp_path / "half", steps=8, checkpoint_every=4)
    path = tmp_path / "half" / "checkpoint.pt"

    class Stop(Exception):
        pass

    save = half.save_checkpoint

    def save_and_stop() -> None:
        save()
        raise Stop

    half.save_checkpoint = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(Stop):
        half.train()
    half.lock.release()
    state = torch.load(path, weights_only=True)
    state["identity"] = {key: value for key, value in state["identity"].items() if key not in EVERY}
    del state["pace"]
    torch.save(state, path)
    file = tmp_path / "half" / "config.json"
    record = json.loads(file.read_text())
    record["config"] = {key: value for key, value in record["config"].items() if key not in EVERY}
    file.write_text(json.dumps(record))
    resumed = start(name, out=tmp_path / "half", steps=8, checkpoint_every=4, resume=True)
    assert resumed.step == 4
    resumed.train()
    assert json.loads(file.read_text()) == record, "its record is as good as it was"
    bytes_of = [(tmp_path / which / "generator.safetensors").read_bytes() for which in ("whole", "half")]
    assert bytes_of[0] == bytes_of[1]
    assert not [w for w in recwarn if "changed or is gone" in str(w.message)]


def test_what_auto_found_is_recorded_and_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a machine with bf16 does not go on unnoticed on one without."""
    for unit in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda: True, raising=False)
    start(out=tmp_path / "run", steps=2, precision="auto").train()
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["config"]["precision"] == "auto" and record["device"].endswith(", bf16")
    start(out=tmp_path / "run", steps=2, precision="auto", resume=True).lock.release()
    for unit in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda: False, raising=False)
    with pytest.raises(UserError, match="precision is 'bf16' there and 'float32' now"):
        start(out=tmp_path / "run", steps=2, precision="auto", resume=True)


def test_a_run_is_not_resumed_in_another_precision(tmp_path: Path) -> None:
    start(out=tmp_path / "run", steps=2).train()
    with pytest.raises(UserError, match="precision is 'float32' there and 'bf16' now"):
        start(out=tmp_path / "run", steps=2, precision="bf16", resume=True)


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"precision": "fp16"}, {"channels_last": False}])
def test_every_pace_resumes_to_the_same_bytes(changes: dict, tmp_path: Path) -> None:
    whole = start(out=tmp_path / "whole", **changes)
    whole.train()
    run = start(out=tmp_path / "cut", **changes)
    save, count = run.save_checkpoint, []

    def save_and_stop() -> None:
        save()
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt

    run.save_checkpoint = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.train()
    run.lock.release()
    start(out=tmp_path / "cut", resume=True, **changes).train()
    bytes_of = [(tmp_path / which / "generator.safetensors").read_bytes() for which in ("whole", "cut")]
    assert bytes_of[0] == bytes_of[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "half"}, "Unknown precision 'half'"),
        ({"precision": "bf61"}, "Did you mean 'bf16'"),
        ({"compile": 1}, "compile=1 must be True or False"),
        ({"channels_last": "yes"}, "channels_last='yes'"),
    ],
)
def test_bad_switches_are_told(changes: dict, words: str) -> None:
    with pytest.raises(UserError) as error:
        systems.recipe("digits-dcgan").at("smoke", **changes)
    assert words in str(error.value)


def test_seeds_side_by_side_refuse_what_they_do_not_do() -> None:
    for changes in ({"compile": True}, {"precision": "bf16"}):
        with pytest.raises(UserError, match="side by side"):
            Seeds(systems.recipe("ring-gan"), [0, 1], profile="smoke", **changes)


# --------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:115] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
    ],
)
def test_out_of_memory_suggests_half_the_batch(error: BaseException, monkeypatch, tmp_path: Path, capsys) -> None:
    def fail(*_):
        raise error

    monkeypatch.setattr(training, "training_step", fail)
    out = tmp_path / "run"
    status, _, told = main(
        capsys, "train", "digits-dcgan", "--profile", "smoke", "--out", out, "--device", "cpu", "--quiet"
    )
    assert status == 1 and "batch_size=16" in told and "batch_size=8" in told and "Memory ran out" in told
    assert len(told.strip().splitlines()) == 1


def test_other_errors_pass(monkeypatch) -> None:
    def fail(*_):
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(training, "training_step", fail)
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        start().train()


def test_a_batch_of_one_cannot_be_halved(monkeypatch) -> None:
    monkeypatch.setattr(training, "training_step", lambda *_: (_ for _ in ()).throw(MemoryError()))
    run = start("ring-gan", batch_size=1, g_norm="none")
    with pytest.raises(UserError) as error:
        run.train()
    assert "batch_size=0" not in str(error.value) and "narrower networks" in str(error.value)


def test_nothing_is_compiled_unless_asked() -> None:
    assert all(not systems.recipe(name).at(profile).compile for name in systems.names() for profile in ("cpu", "gpu"))
    assert EVERY.keys() == {"channels_last", "fused", "precision", "compile"}


def test_a_source_of_grey_pictures_trains_in_either_order() -> None:
    """A picture of one channel lies alike in both orders; nothing may depend on it."""
    found = []
    for order in (False, True):
        run = start("digits-dcgan", channels_last=order, steps=2)
        run.batches = Batches(Source("digits", "mini", run.source.x), run.config.batch_size, 0)
        run.train()
        found.append(weights(run))
    torch.testing.assert_close(*found, atol=2e-3, rtol=0)
