"""Measurements: a study on small networks, stopped, resumed and changed; what is refused; the shipped studies."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import measure
import pytest
import studies
import torch
from measure import Job
from studies import Study, Variant, figures

from gancourse import evaluation, hub, training
from gancourse.datasets import idx, toy
from gancourse.errors import UserError
from gancourse.systems.seeds import Seeds

SMALL = {"g_widths": (16, 16), "d_widths": (16, 16), "d_pieces": 2, "batch_size": 16}
STEPS = 20
SHIPPED = [name for name in studies.names() if (hub.RESULTS_FOLDER / f"{name}.json").exists()]


@pytest.fixture(autouse=True)
def mini(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has, tests see the mini sets."""
    monkeypatch.setattr(idx, "_source", lambda data: (None, None, "the mini set"))


def points(**changes: Any) -> Variant:
    def far(run: training.Run) -> dict[str, float]:
        return {"far": float(run.system.sample(50, seed=1).norm(dim=1).mean())}

    return Variant(recipe="ring-gan", profile="smoke", changes={**SMALL, **changes}, measure=far)


def fingerprint(seeds: Seeds) -> dict[str, Any]:
    drawn = seeds.sample(50, averaged=False), seeds.sample(50)
    return {"sha": hashlib.sha256(b"".join(x.numpy().tobytes() for x in drawn)).hexdigest()}


ALONE = Study(
    name="alone",
    variants={"plain": points(), "beta1 0.9": points(beta1=0.9)},
    steps=STEPS,
    seeds=(0, 1),
    samples=200,
)
TOGETHER = Study(
    name="together",
    variants={
        "ring": Variant(
            recipe="ring-gan",
            profile="smoke",
            changes=SMALL,
            measure=fingerprint,
            look=lambda seeds: seeds.sample(20).mean().item(),
            looks=4,
            together=True,
        )
    },
    steps=STEPS,
    seeds=(3, 5),
    samples=50,
    table=lambda rows: rows,
    clock=True,
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were trained, in words."""
    jobs: list[str] = []

    def noted(work: Callable[[Job], Any], job: Job) -> Any:
        jobs.append(str(job))
        return work(job)

    for name in ("alone", "side_by_side"):
        monkeypatch.setattr(measure, name, partial(noted, getattr(measure, name)))
    return jobs


def table(study: Study, folder: Path, **options: Any) -> Any:
    out = folder / "table.json"
    measure.measure(study, folder / "scratch", out=out, **options)
    return json.loads(out.read_text())


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------- going on


def test_the_second_time_nothing_is_trained(tmp_path: Path, trained: list[str]) -> None:
    digits = Variant(
        recipe="digits-mlp", profile="smoke", measure=lambda run: figures(run.system, ("digit_fid", "classes"), 100)
    )
    study = replace(ALONE, variants={**ALONE.variants, "digits": digits}, full=False)
    first = table(study, tmp_path)
    kept = everything(tmp_path)
    assert trained == [f"{name}, seed {seed}" for seed in (0, 1) for name in study.variants]
    assert first["command"] == "python book/tools/measure.py alone --steps 20 --seeds 0 1 --scratch DIR"
    assert list(first) == [
        *("command", "steps", "samples", "device", "versions", "data", "reference", "judge"),
        *("digit_fid_floor", "digit_fid_uniform", "variants"),
    ]
    assert first["data"] == "mini" and first["versions"] == training.versions()
    assert [list(row) for row in first["variants"]["digits"]] == [["seed", "digit_fid", "classes"]] * 2
    assert first["variants"]["plain"][0]["far"] != first["variants"]["plain"][1]["far"]
    trained.clear()
    assert table(study, tmp_path) == first
    assert not trained and everything(tmp_path) == kept


def test_it_goes_on_after_the_last_finished_job(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = table(ALONE, tmp_path / "whole")
    with monkeypatch.context() as patch:

        def killed(job: Job, work: Callable[[Job], Any] = measure.alone) -> Any:
            if job.seeds == (1,):
                raise KeyboardInterrupt
            return work(job)

        patch.setattr(measure, "alone", killed)
        with pytest.raises(KeyboardInterrupt):
            table(ALONE, tmp_path)
    assert not (tmp_path / "table.json").exists()
    trained.clear()
    assert table(ALONE, tmp_path) == whole
    assert trained == ["plain, seed 1", "beta1 0.9, seed 1"]


@pytest.mark.parametrize("looks", [2, 3])
def test_side_by_side_it_goes_on_within_a_job(tmp_path: Path, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(found: Any) -> bytes:
        (row,) = found["ring"]
        assert [step for step, _ in row["curve"]] == [0, 5, 10, 15, 20]
        assert row["processor_seconds"] >= 0
        return json.dumps({**row, "minutes": 0, "processor_seconds": 0}).encode()

    whole = bare(table(TOGETHER, tmp_path / "whole"))
    ring, count = TOGETHER.variants["ring"], iter(range(100))

    def stopping(seeds: Seeds) -> float:
        if next(count) > looks:
            raise KeyboardInterrupt
        return ring.look(seeds)  # type: ignore[misc]

    with pytest.raises(KeyboardInterrupt):
        table(replace(TOGETHER, variants={"ring": replace(ring, look=stopping)}), tmp_path)
    (state,) = (tmp_path / "scratch").iterdir()
    assert state.name == "together_ring_20_3-5.pt"
    assert torch.load(state, weights_only=True)["step"] == 5 * looks
    steps, step = [], training.training_step
    monkeypatch.setattr(training, "training_step", lambda *given: steps.append(given[2]) or step(*given))
    assert bare(table(TOGETHER, tmp_path)) == whole
    assert steps == [*range(5 * looks, STEPS)]
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["together_ring_20_3-5.json"]


def test_other_settings_are_another_job(tmp_path: Path, trained: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first = table(ALONE, tmp_path)
    trained.clear()
    changed = replace(ALONE, variants={"plain": points(), "beta1 0.9": points(beta1=0.8)})
    second = table(changed, tmp_path, only=["plain"])
    assert not trained and list(second["variants"]) == ["plain"]  # a row of former settings is in no table
    assert second["command"].endswith(' --scratch DIR --only "plain"')
    assert "does not count any more, beta1 was 0.9 and is 0.8" in capsys.readouterr().out
    second = table(changed, tmp_path)
    assert trained == ["beta1 0.9, seed 0", "beta1 0.9, seed 1"]
    assert second["variants"]["plain"] == first["variants"]["plain"]
    assert second["variants"]["beta1 0.9"] != first["variants"]["beta1 0.9"]
    table(replace(changed, samples=100), tmp_path)
    assert len(trained) == 6


def test_a_state_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    ring = TOGETHER.variants["ring"]
    job = measure.plan(TOGETHER, STEPS, (3, 5), tmp_path / "scratch")[0]
    (tmp_path / "scratch").mkdir()
    state = {"format": measure.FORMAT, "identity": job.identity, "settings": {**job.settings, "beta1": 0.1}}
    torch.save(state, job.path.with_suffix(".pt"))
    changed = replace(TOGETHER, variants={"ring": replace(ring, looks=1)})
    assert len(table(changed, tmp_path)["ring"][0]["curve"]) == 2


def test_a_failed_job_does_not_stop_the_others(tmp_path: Path, trained: list[str]) -> None:
    def broken(run: training.Run) -> Any:
        raise UserError("Its points are not finite.")

    study = replace(ALONE, variants={"broken": replace(points(), measure=broken), **ALONE.variants})
    with pytest.raises(UserError, match="2 of 6 jobs failed .* broken, seed 0: Its points are not finite"):
        table(study, tmp_path)
    assert len(trained) == 6
    assert list(json.loads((tmp_path / "table.json").read_text())["variants"]) == ["plain", "beta1 0.9"]


def test_a_table_is_made_of_what_there_is(tmp_path: Path, trained: list[str]) -> None:
    table(ALONE, tmp_path, seeds=[0])
    table(ALONE, tmp_path, seeds=[1], only=["plain"])
    trained.clear()
    found = table(ALONE, tmp_path, seeds=[1, 0], table=True)
    assert not trained
    assert [row["seed"] for row in found["variants"]["plain"]] == [1, 0]
    assert [row["seed"] for row in found["variants"]["beta1 0.9"]] == [0]
    start = "python book/tools/measure.py alone --steps 20 --seeds"
    assert found["command"] == f'{start} 0 --scratch DIR && {start} 1 0 --scratch DIR --only "plain"'
    lone = measure.command(ALONE, 20, [0, 1], {"plain": {0}, "beta1 0.9": {1}})
    assert lone == (
        f'{start} 0 --scratch DIR --only "plain" && {start} 1 --scratch DIR --only "beta1 0.9" '
        f"&& {start} 0 1 --scratch DIR --table"
    )


def test_seeds_of_its_own_are_all_there_or_the_variant_is_not(tmp_path: Path, trained: list[str]) -> None:
    own = replace(points(), seeds=(4, 5), steps=10)
    study = replace(ALONE, variants={"own": own, **ALONE.variants})
    found = table(study, tmp_path, seeds=[0])
    assert trained == ["own, seed 4", "plain, seed 0", "beta1 0.9, seed 0", "own, seed 5"]
    assert found["command"].endswith("--seeds 0 --scratch DIR") and len(found["variants"]["own"]) == 2
    (tmp_path / "scratch" / "alone_own_10_5.json").unlink()
    assert list(table(study, tmp_path, table=True, seeds=[0])["variants"]) == list(ALONE.variants)


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mixture"], "Unknown study 'mixture'. Did you mean 'mixtures'?"),
        (["cgan", "--only", "two score"], "Did you mean 'two scores'?"),
        (["mixtures", "--seeds"], "at least one whole number"),
        (["mixtures", "--seeds", "1", "1"], "each only once"),
        (["mixtures", "--seeds", "-1"], "at least one whole number from 0"),
        (["mixtures", "--steps", "0"], "steps=0 is out of range"),
        (["mixtures", "--runs", "somewhere"], "does not report finished runs"),
        (["mixtures", "--table"], "Nothing is finished"),
        (
            ["digits_mlp", "--steps", "5"],
            "this machine has the mini set: run `make data`",
        ),
        (["cgan", "--steps", "5", "--only", "two scores"], "Nothing was trained, and nothing was written."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    tmp_path: Path, trained: list[str], arguments: list[str], told: str
) -> None:
    out = tmp_path / "table.json"
    with pytest.raises(SystemExit) as stopped:
        measure.main([*arguments, "--scratch", str(tmp_path / "scratch"), "--out", str(out)])
    assert told in str(stopped.value)
    assert not trained and not everything(tmp_path)


def test_a_scratch_folder_must_be_named_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--scratch DIR"):
        measure.main(["mixtures"])
    (tmp_path / "scratch").write_text("mine")
    with pytest.raises(UserError, match="is a file, but a folder is needed"):
        table(ALONE, tmp_path)
    assert (tmp_path / "scratch").read_text() == "mine"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """The file of a finished job, beside one that is missing."""
    table(ALONE, tmp_path, only=["beta1 0.9"])
    (tmp_path / "table.json").unlink()
    yield tmp_path / "scratch" / "alone_beta1-0.9_20_1.json"


@pytest.mark.parametrize("fault", ["cut", "list", "foreign", "renamed", "other format"])
def test_damaged_and_foreign_files_are_left_alone(kept: Path, trained: list[str], fault: str) -> None:
    text = kept.read_text()
    kept.write_text(
        {
            "cut": text[: len(text) // 2],
            "list": "[1, 2]",
            "foreign": '{"runs": 3}',
            "renamed": kept.with_name("alone_beta1-0.9_20_0.json").read_text(),
            "other format": text.replace(measure.FORMAT, "another"),
        }[fault]
    )
    before = everything(kept.parents[1])
    with pytest.raises(UserError, match=r"alone_beta1-0\.9_20_1\.json is damaged or holds something else"):
        table(ALONE, kept.parents[1])
    assert not trained and everything(kept.parents[1]) == before


def test_a_damaged_state_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "scratch" / "together_ring_20_3-5.pt"
    state.parent.mkdir()
    state.write_bytes(b"no state")
    with pytest.raises(UserError, match="Nothing is finished"):
        table(TOGETHER, tmp_path)
    assert everything(tmp_path) == {state: b"no state"}


def test_figures_of_two_judges_make_no_table(kept: Path) -> None:
    record = json.loads(kept.read_text())
    kept.write_text(json.dumps({**record, "common": {"judge": "new"}}))
    other = kept.with_name("alone_beta1-0.9_20_0.json")
    other.write_text(json.dumps({**json.loads(other.read_text()), "common": {"judge": "old"}}))
    with pytest.raises(UserError, match="judge is 'old' of one and 'new' of another"):
        table(ALONE, kept.parents[1], table=True)
    assert not (kept.parents[1] / "table.json").exists()


def test_other_machines_are_named(kept: Path) -> None:
    record = json.loads(kept.read_text())
    record["made"]["device"] = "CUDA (Tesla T4)"
    record["made"]["versions"]["torch"] = "3.0"
    kept.write_text(json.dumps(record))
    found = table(ALONE, kept.parents[1], table=True)
    assert found["device"] == "CPU (1 thread) and CUDA (Tesla T4)"
    assert found["versions"]["torch"] == f"{torch.__version__} and 3.0"


# ------------------------------------------------------------------------------------------------- shipped studies


def test_the_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    measure.main(["--list"])
    told = capsys.readouterr().out
    assert {path.stem for path in hub.RESULTS_FOLDER.glob("*.json")} <= set(studies.names()) == set(SHIPPED)
    assert all(f"{name}: Chapter" in told for name in SHIPPED)
    assert "\n  beside both, wrong pairs\n" in told


@pytest.mark.parametrize("name", studies.names())
def test_every_variant_can_be_built(name: str, tmp_path: Path) -> None:
    study = studies.load(name)
    jobs = measure.plan(study, study.steps, study.seeds, tmp_path)
    assert {job.name for job in jobs} == set(study.variants)
    for job in jobs:
        if job.seeds[0] == (job.variant.seeds or study.seeds)[0]:
            system = job.recipe.build(job.config, torch.device("cpu"))
            assert system.config.steps == job.steps and len(system.draw(4, seed=1).x) == 4


def test_the_study_that_contributing_shows_can_be_planned(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "STUDY" in block]
    names: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    jobs = measure.plan(replace(names["STUDY"], name="shown"), 20, [0, 1], tmp_path)
    assert [job.config.beta2 for job in jobs] == [0.999, 0.9] * 2


def test_program_a_shows_black_where_it_is_negative(tmp_path: Path) -> None:
    (job,) = [j for j in measure.plan(studies.load("digits_mlp"), 5, [0], tmp_path) if j.name == "program A"]
    system = job.recipe.build(job.config, torch.device("cpu"))
    z = torch.randn(6, 64)
    emitted = system.average.module(z)
    assert torch.equal(system.generate(z), 2 * emitted.clamp(0, 1) - 1) and (emitted < 0).any()
    seen: list[torch.Tensor] = []
    system.D.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(6, 1, 28, 28) * 2 - 1
    system.d_loss(x, emitted)
    assert torch.equal(seen[0], (x + 1) / 2) and torch.equal(seen[1], emitted)


def test_mixtures_judge_the_present_and_the_averaged_generator() -> None:
    ring = toy.ring()
    given = {True: ring.centres, False: torch.zeros(8, 2)}
    seeds = SimpleNamespace(
        config=SimpleNamespace(data="ring"), sample=lambda n, *, seed, averaged: torch.stack([given[averaged]] * 3)
    )
    found = studies.load("mixtures").variants["ring-gan"].look(seeds)  # type: ignore[misc]
    assert found["present"]["modes"] == [0, 0, 0] and found["averaged"]["modes"] == [8, 8, 8]


def structure(value: Any) -> Any:
    """The nested keys of a table, with what stands in each place: a word or a number."""
    if isinstance(value, dict):
        return {key: structure(part) for key, part in value.items()}
    if isinstance(value, list):
        found = [structure(part) for part in value]
        return [part for i, part in enumerate(found) if part not in found[:i]]
    return "word" if isinstance(value, str) else "number"


@pytest.mark.parametrize("name", SHIPPED)
def test_tables_have_the_layout_that_chapters_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, shipped, out = studies.load(name), hub.results(name), tmp_path / "table.json"
    reports = {
        data: json.loads((hub.CHECKOUT_RUNS / run / "evaluation.json").read_text())[0]
        for data, run in (("digits", "digits-cgan"), ("fashion", "fashion-cgan"), ("ring", "ring-cgan"))
    }

    def curve(job: Job, system: Any) -> list[Any]:
        return [[step, job.variant.look(system)] for step in (0, job.steps)] if job.variant.look else []

    def alone(job: Job) -> Any:
        columns = training.columns(job.recipe.build(job.config, torch.device("cpu")))
        run = SimpleNamespace(system=SimpleNamespace(config=job.config), rows=[dict.fromkeys(columns, 0.5)] * 4)
        return run, curve(job, run.system), measure.Clock(1.0, 1.0), "formula" if job.config.data == "ring" else "full"

    def side_by_side(job: Job) -> Any:
        drawn = torch.ones(len(job.seeds), 30, 2)
        seeds = SimpleNamespace(config=job.config, sample=lambda n, *, seed, averaged: drawn)
        return seeds, curve(job, seeds), measure.Clock(1.0, 1.0), "formula"

    monkeypatch.setattr(measure, "alone", alone)
    monkeypatch.setattr(measure, "side_by_side", side_by_side)
    monkeypatch.setattr(measure, "check_data", lambda jobs: None)
    monkeypatch.setattr(evaluation, "evaluate", lambda system, n=None: reports[system.config.data])
    measure.measure(study, tmp_path, out=out)
    made = json.loads(out.read_text())
    assert structure(made) == structure(shipped) and list(made) == list(shipped)
    lines = (hub.RESULTS_FOLDER / f"{name}.json").read_text().count("\n")
    assert (out.read_text().count("\n") == 1) == (lines == 1)
    if name == "cgan":
        assert made["runs"] == shipped["runs"]  # they stay until others are given
        (run,) = measure.finished_runs(study, [hub.find("digits-cgan")], out)
        assert structure(run) == structure(shipped["runs"][0])
        with pytest.raises(UserError, match="is a run of 'ring-gan'"):
            measure.finished_runs(study, [hub.find("ring-gan")], out)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_tables_name_the_command_that_makes_them(name: str) -> None:
    study, shipped = studies.load(name), hub.results(name)
    rows = {**shipped, **shipped.get("variants", {}), **shipped.get("ring", {})}
    have: dict[str, set[int]] = {}
    for word, variant in study.variants.items():
        own = [rows[word]] if variant.together else rows[word]
        have[word] = set() if variant.seeds else {s for row in own for s in row.get("seeds", [row.get("seed")])}
    steps = shipped.get("steps") or rows[next(iter(study.variants))]["steps"]
    assert shipped["command"] == measure.command(study, steps, sorted(set().union(*have.values())), have)
