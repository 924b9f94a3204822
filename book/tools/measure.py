"""Measure a study: variants of recipes × seeds, for the tables that chapters read.

    python book/tools/measure.py --list
    python book/tools/measure.py digits_mlp --steps 5000 --seeds 0 1 2 --scratch DIR
    python book/tools/measure.py mixtures --scratch DIR --only ring-gan

A job is one variant with one seed, or with all seeds side by side. Each finished job is one file in DIR, so a stopped
measurement goes on where it was; a job whose recipe or settings changed since is trained again. The table is made of
what DIR holds for these steps and seeds, and goes to gancourse/results/STUDY.json with the command that makes it again.
After a change of the code that measures, take another DIR. What a study says is in book/tools/studies.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import studies
import torch
from studies import Study, Variant

from gancourse import console, hub, runtime, systems, training
from gancourse.datasets import source
from gancourse.errors import UserError, unknown
from gancourse.systems.configs import Recipe, as_before, flat
from gancourse.systems.seeds import Seeds

FORMAT = "gancourse measurement 1"


@dataclass(frozen=True, eq=False)
class Job:
    """One variant with one seed, or with all seeds side by side."""

    study: Study
    name: str
    seeds: tuple[int, ...]
    steps: int
    scratch: Path

    def __str__(self) -> str:
        return f"{self.name}, seed{'s' if len(self.seeds) > 1 else ''} {' '.join(map(str, self.seeds))}"

    @property
    def variant(self) -> Variant:
        return self.study.variants[self.name]

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return max(1, self.steps // self.variant.looks)

    @property
    def path(self) -> Path:
        """The file of the finished job; the state of one that is under way lies beside it."""
        parts = (self.study.name, self.name, str(self.steps), "-".join(map(str, self.seeds)))
        return self.scratch / ("_".join(re.sub(r"[^\w.-]+", "-", part) for part in parts) + ".json")

    @cached_property
    def recipe(self) -> Recipe:
        recipe = systems.recipe(self.variant.recipe)
        return replace(recipe, build=self.variant.build or recipe.build)

    @property
    def changes(self) -> dict[str, Any]:
        return {**self.variant.changes, "steps": self.steps, "sample_every": self.every}

    @cached_property
    def config(self) -> Any:
        return self.recipe.at(self.variant.profile, **self.changes)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the name of the file says."""
        return {"study": self.study.name, "variant": self.name, "steps": self.steps, "seeds": list(self.seeds)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a kept file must agree on: a job with other settings is another job."""
        told = {
            "recipe": self.recipe.name,
            "profile": self.variant.profile,
            "system": getattr(self.recipe.build, "__qualname__", ""),
            "samples": self.study.samples,
            "full": self.study.full,
            **flat(self.config),
        }
        return json.loads(json.dumps(told))


# ------------------------------------------------------------------------------------------------ what DIR holds


def read(job: Job) -> dict[str, Any] | None:
    """Return what is kept of a finished job; None if there is nothing, or if its settings have changed.

    Raises:
        UserError: the file is damaged, or another program's or job's.
    """
    if not job.path.exists():
        return None
    try:
        kept = json.loads(job.path.read_text(encoding="utf-8"))
        whole = all(isinstance(kept[key], dict) for key in ("identity", "settings", "made", "common", "row"))
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    return kept if holds(job, kept if whole else None, job.path) else None


def read_state(job: Job) -> dict[str, Any] | None:
    """Return the state in which a side-by-side job was left; None if there is none of these settings."""
    path = job.path.with_suffix(".pt")
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for a damaged file
        state = None
    return state if holds(job, state, path) else None


def holds(job: Job, kept: Any, path: Path) -> bool:
    """Whether a kept file has the job's settings; it is refused if it is not this job's at all."""
    if not isinstance(kept, dict) or kept.get("format") != FORMAT or kept.get("identity") != job.identity:
        raise UserError(
            f"{path} is damaged or holds something else than its name says. It was left as it is: move it away to "
            "measure this job again, or choose another --scratch."
        )
    then, now = as_before(kept["settings"], job.recipe.system), job.settings
    differ = [
        f"{key} was {then.get(key)!r} and is {now.get(key)!r}"
        for key in {**now, **then}
        if then.get(key) != now.get(key)
    ]
    if differ:
        print(f"{job}: what {path.name} holds does not count any more, {'; '.join(differ[:4])}", flush=True)
    return not differ


# ------------------------------------------------------------------------------------------------- one job's work


def work(job: Job) -> dict[str, Any]:
    """Train and measure a job, and keep what was found."""
    variant = job.variant
    trained, curve, clock, origin = (side_by_side if variant.together else alone)(job)
    figures = dict(variant.measure(trained)) if variant.measure else {}
    common = figures.pop("common", {})
    print(f"{job}: {clock.wall / 60:.1f} minutes {figures or ''}", flush=True)
    if variant.together:
        row = {"seeds": list(job.seeds), "minutes": round(clock.wall / 60, 1)}
    else:
        row = {"seed": job.seeds[0]}
    if job.study.clock:
        row["processor_seconds"] = round(clock.processor, 1)
    row |= figures
    device = runtime.describe_device(runtime.device())
    kept = {
        "format": FORMAT,
        "identity": job.identity,
        "settings": job.settings,
        "made": {"device": device, "versions": training.versions(), "data": origin, "seconds": clock.wall},
        "common": common,
        "row": {**row, "curve": curve} if variant.look else row,
    }
    runtime.write_atomic(job.path, (json.dumps(kept) + "\n").encode())
    job.path.with_suffix(".pt").unlink(missing_ok=True)
    return json.loads(json.dumps(kept))


@dataclass
class Clock:
    """Seconds of a training: by the wall, and of the processor, looks not counted, which a busy machine spoils less."""

    wall: float = 0.0
    processor: float = 0.0

    def pause(self, look: Callable[..., Any], *given: Any) -> Any:
        """Look at something off the processor's count."""
        started = time.process_time()
        try:
            return look(*given)
        finally:
            self.processor -= time.process_time() - started


Trained = tuple[Any, list[Any], Clock, str]
"""What was trained, its curve, how long it took, and the origin of the data."""


def alone(job: Job) -> Trained:
    """Train one seed."""
    variant, curve, clock = job.variant, [], Clock()

    def look(step: int, system: Any) -> None:
        if variant.look:
            curve.append([step, clock.pause(variant.look, system)])

    run = training.Run(job.recipe, profile=variant.profile, seed=job.seeds[0], quiet=True, **job.changes)
    started = time.process_time()
    run.train(look)
    clock.processor += time.process_time() - started
    clock.wall = run.seconds
    return run, curve, clock, run.source.origin


def side_by_side(job: Job) -> Trained:
    """Train all seeds as one network, from where they were left; at every look the state goes to DIR."""
    variant = job.variant
    seeds = Seeds(job.recipe, job.seeds, profile=variant.profile, **job.changes)
    step, clock, curve = 0, Clock(), [[0, variant.look(seeds)]] if variant.look else []
    if state := read_state(job):
        seeds.load_state_dict(state["seeds"])
        step, clock, curve = state["step"], Clock(*state["clock"]), state["curve"]
    started = time.perf_counter() - clock.wall
    begun = time.process_time()
    while step < job.steps:
        training.training_step(seeds, seeds.batches, step, seeds.parameters)
        step += 1
        if step % job.every == 0 or step == job.steps:
            clock.processor += time.process_time() - begun
            if variant.look:
                curve.append([step, variant.look(seeds)])
            clock.wall = time.perf_counter() - started
            state = {"seeds": seeds.state_dict(), "step": step, "clock": astuple(clock), "curve": curve}
            buffer = io.BytesIO()
            torch.save({"format": FORMAT, "identity": job.identity, "settings": job.settings, **state}, buffer)
            runtime.write_atomic(job.path.with_suffix(".pt"), buffer.getvalue())
            print(f"{job}: {step:,} steps, {clock.wall / 60:.0f} min", flush=True)
            begun = time.process_time()
    return seeds, curve, clock, seeds.batches.members[0].source.origin


# ----------------------------------------------------------------------------------------------------- the table


def report(study: Study, steps: int, seeds: Sequence[int], found: Mapping[Job, Any]) -> dict[str, Any]:
    """Return the table of the jobs that are finished.

    A variant with seeds of its own is in it when all of them are finished: no command asks for fewer.

    Raises:
        UserError: nothing is finished, or figures were measured against different things.
    """
    done: dict[str, list[Job]] = {}
    for name, variant in study.variants.items():
        planned = [job for job in found if job.name == name]
        finished = [job for job in planned if found[job]]
        if finished and (finished == planned or not variant.seeds):
            done[name] = finished
    if not done:
        raise UserError("Nothing is finished, so no table was written.")
    kept = [found[job] for own in done.values() for job in own]
    common: dict[str, Any] = {}
    for key, value in (item for one in kept for item in one["common"].items()):
        if common.setdefault(key, value) != value:
            raise UserError(
                f"These jobs do not compare: {key} is {common[key]!r} of one and {value!r} of another. No table was "
                "written; measure all of them again, with another --scratch."
            )
    made = [one["made"] for one in kept]
    data = [one["data"] for one in made if one["data"] != "formula"]
    have = {
        name: set() if study.variants[name].seeds else {seed for job in own for seed in job.seeds}
        for name, own in done.items()
    }
    return {
        "command": command(study, steps, seeds, have),
        **(study.head(steps) if study.head else {"steps": steps, "samples": study.samples}),
        "device": told(one["device"] for one in made),
        "versions": {key: told(one["versions"][key] for one in made) for key in made[0]["versions"]},
        **({"data": told(data)} if data else {}),
        **common,
        **study.table({name: [found[job]["row"] for job in own] for name, own in done.items()}),
    }


def told(values: Iterable[str]) -> str:
    """Return the different ones of some values as text."""
    return " and ".join(dict.fromkeys(values))


def command(study: Study, steps: int, seeds: Sequence[int], have: Mapping[str, set[int]]) -> str:
    """Return what makes a table again from an empty DIR.

    That is one command if all variants have the same seeds. Else there are several, from the fewest seeds to all, and
    the last one writes the table.

    Args:
        have: variant → the seeds that it was trained with; none: it has seeds of its own, in the first command.
    """
    sets = {frozenset(own) for own in have.values() if own} | {frozenset(seeds)}
    parts = []
    for i, asked in enumerate(sorted(sets, key=lambda one: (len(one), sorted(one)))):
        names = [f'"{name}"' for name, own in have.items() if (own >= asked if own else i == 0)]
        numbers = " ".join(str(seed) for seed in seeds if seed in asked)
        part = f"python book/tools/measure.py {study.name} --steps {steps} --seeds {numbers} --scratch DIR"
        if len(names) < len(study.variants):
            part += " ".join([" --only", *names]) if names else " --table"
        parts.append(part)
    return " && ".join(parts)


# ------------------------------------------------------------------------------------------------------ all of it


def plan(study: Study, steps: int, seeds: Sequence[int], scratch: Path) -> list[Job]:
    """Return the jobs of a study, in the order in which they are trained: seed by seed.

    Raises:
        UserError: seeds that cannot be, or settings that a recipe refuses.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(f"Got the seeds {list(seeds)}; give at least one whole number from 0, and each only once.")
    jobs = []
    for name, variant in study.variants.items():
        own = variant.seeds or tuple(seeds)
        for group in [own] if variant.together else [(seed,) for seed in own]:
            jobs.append(Job(study, name, group, variant.steps or steps, scratch))
    for job in jobs:
        _ = job.settings  # a setting that cannot be is told before the first job is trained
    if len({job.path for job in jobs}) < len(jobs):
        raise ValueError("Two variants of this study have names that make one file name.")
    return sorted(jobs, key=lambda job: (job.variant.seeds or tuple(seeds)).index(job.seeds[0]))


def check_data(jobs: Iterable[Job]) -> None:
    """Refuse to measure on the mini set what wants the full one."""
    for name, shape in {(job.config.data, job.config.shape) for job in jobs if job.study.full}:
        found = source.load(name, device=torch.device("cpu"), shape=shape, quiet=True)
        if found.origin == "mini":
            raise UserError(
                f"This study wants the full set of {name!r}, and this machine has the mini set: run `make data` "
                "first. Nothing was trained, and nothing was written."
            )


def measure(
    study: Study,
    scratch: Path,
    *,
    steps: int | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    table: bool = False,
    runs: Sequence[Path] = (),
    out: Path | None = None,
) -> None:
    """Train what is missing, then write the table."""
    steps, seeds = study.steps if steps is None else steps, study.seeds if seeds is None else seeds
    for name in only or ():
        if name not in study.variants:
            raise unknown(f"variant of {study.name}", name, study.variants)
    if runs and not study.finished:
        raise UserError(f"The study {study.name!r} does not report finished runs: leave out --runs.")
    found = {job: read(job) for job in plan(study, steps, seeds, scratch)}
    missing = [job for job in found if not found[job] and not table and (not only or job.name in only)]
    check_data(missing)
    shipped = hub.RESULTS_FOLDER / f"{study.name}.json"
    finished = {"runs": finished_runs(study, runs, shipped)} if study.finished else {}
    runtime.make_folder(scratch)
    failed = []
    for job in missing:
        try:
            found[job] = work(job)
        except UserError as error:
            failed.append(f"{job}: {error}")
            print(failed[-1], flush=True)
    record = {**report(study, steps, seeds, found), **finished}
    out = out or shipped
    runtime.make_folder(out.parent)
    runtime.write_atomic(out, (json.dumps(record, indent=study.indent) + "\n").encode())
    print(f"written {out.name}; made again by: {record['command']}")
    if failed:
        raise UserError(f"{len(failed)} of {len(missing)} jobs failed and are not in the table. {' '.join(failed)}")


def finished_runs(study: Study, runs: Sequence[Path], shipped: Path) -> list[dict[str, Any]]:
    """Return the rows of finished runs; if none are given, those of the shipped table stay."""
    assert study.finished is not None
    if runs or not shipped.exists():
        return [study.finished(folder) for folder in runs]
    return json.loads(shipped.read_text(encoding="utf-8")).get("runs", [])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", metavar="STUDY", help="its name; --list says what there is")
    parser.add_argument("--list", action="store_true", help="list the studies with their variants")
    parser.add_argument("--steps", type=int, help="default: the study's")
    parser.add_argument("--seeds", type=int, nargs="*", help="default: the study's")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where finished jobs are kept")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="train these variants; the table holds all that exist"
    )
    parser.add_argument("--table", action="store_true", help="train nothing, write the table of what DIR holds")
    parser.add_argument("--runs", type=Path, nargs="+", default=[], metavar="RUN", help="finished runs to report too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: gancourse/results/STUDY.json")
    given = vars(parser.parse_args(arguments))
    name, listed = given.pop("study"), given.pop("list")
    try:
        if listed or name is None:
            for each in [name] if name else studies.names():
                study = studies.load(each)
                print(f"{each}: {study.title}\n  " + "\n  ".join(study.variants))
        elif given["scratch"] is None:
            raise UserError("Say with --scratch DIR where finished jobs are kept.")
        else:
            measure(studies.load(name), **given)
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on where it was.")


if __name__ == "__main__":
    sys.exit(console.entry(main))
