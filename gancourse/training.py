"""The one loop that trains every system of the course, with averaging, logging, checkpoints and exact resume.

A system owns its networks and an ordered list of phases. The loop runs the phases and knows nothing else::

    system.start_step(step)
    for phase in system.phases:            # only this phase's parameters require gradients
        loss = phase.loss(batch)
        loss.backward()
        phase.optimizer.step()

For the plain GAN the phases are "d", repeated k times, and "g": Algorithm 1 of Goodfellow et al. 2014.

The log has one column for each phase's loss and one for each of the system's notes, known before the first step. A cell
is the last value since the row before; it is blank only where nothing ran in between.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import math
import platform
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancourse import __version__, files, runtime, speed
from gancourse.datasets.source import Batches, Source
from gancourse.datasets.source import load as load_source
from gancourse.errors import UserError, check_seed
from gancourse.locks import FolderLock
from gancourse.systems.base import Phase, System
from gancourse.systems.configs import Recipe, as_before, flat

CHECKPOINT_FORMAT = "gancourse checkpoint 2"
FORMER_FORMATS = {"gancourse checkpoint 1": "0.1.0"}
"""Format of earlier checkpoints → the version of the package that wrote them."""
PARTS = (
    *("identity", "step", "seconds", "rows", "threads", "networks", "optimizers", "average", "extra"),
    *("unlogged", "batches", "random"),
)
"""What every checkpoint holds beside its format."""
OnSample = Callable[[int, Any], None]
"""Called with the step and the system whenever samples of the fixed noise are due."""


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Turn ``["k=2", "data=ring"]`` into ``{"k": 2, "data": "ring"}``; lists become tuples.

    Raises:
        UserError: an entry is not of the form key=value.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise UserError(f"--set {pair!r} is not of the form key=value, for example --set k=2.")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = text
        if not isinstance(value, (bool, int, float, str, list, tuple, type(None))):
            value = text
        settings[key] = tuple(value) if isinstance(value, list) else value
    return settings


class Run:
    """One training run: a recipe with its seed, its data and, if asked for, its folder.

    The folder holds ``config.json``, ``metrics.csv`` (one row per logging step), ``samples/`` (fixed noise),
    ``checkpoint.pt`` and, at the end, ``generator.safetensors`` (averaged weights). Until the training ends, a lock in
    it keeps others out; ``with run.lock:`` keeps it longer.

    Args:
        recipe: what to train.
        profile: smoke, cpu or gpu; default the one in force.
        seed: seeds initialisation, noise, and the order of the data.
        out: the run's folder, or None to keep everything in memory.
        resume: go on from the checkpoint in `out`; without it a folder that is not empty is refused.
        source: training data to use in place of the recipe's own.
        changes: hyper-parameters to replace.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        profile: str | None = None,
        seed: int = 0,
        out: str | Path | None = None,
        resume: bool = False,
        source: Source | None = None,
        device: torch.device | None = None,
        quiet: bool = False,
        **changes: Any,
    ) -> None:
        self.recipe = recipe
        self.profile = runtime.profile(profile)
        self.config = recipe.at(self.profile, **changes)
        self.seed = seed = check_seed(seed)
        self.device = device or runtime.device()
        self.out = folder(out) if out is not None else None
        if self.out is not None:
            self._check_folder(resume)
        runtime.seed_everything(seed)
        config = self.config
        self.source = source or load_source(config.data, device=self.device, shape=config.shape, seed=seed, quiet=quiet)
        self.system: System = recipe.build(config, self.device)
        self.pace = speed.prepare(self.system, config)
        self.columns = columns(self.system)
        self.batches = Batches(self.source, self.config.batch_size, seed)
        self.step = 0
        self.seconds = 0.0
        self.rows: list[dict[str, float]] = []
        self._losses: dict[str, Tensor] = {}  # the last of each phase since the last row of the log
        self._check_system()
        self.system.check_source(self.source)
        self.lock: FolderLock | contextlib.nullcontext = contextlib.nullcontext()
        if self.out is not None:
            self._open_folder(resume)
        self.system.start_step(self.step)
        self._random = runtime.random_state()

    def _check_system(self) -> None:
        """Refuse before the first step what could not be saved, or not be loaded again."""
        kind, known = type(self.system), {id(p) for p in self.system.parameters()}
        for phase in self.system.phases:
            if not phase.owned <= known:
                raise ValueError(
                    f"Phase {phase.name!r} of {kind.__name__} moves parameters of none of its networks: they would be "
                    "neither frozen in other phases nor saved. Put what they belong to into `networks`."
                )
        if kind.extra_state is not System.extra_state and kind.load_extra_state is System.load_extra_state:
            raise NotImplementedError(f"{kind.__name__} has extra_state and no load_extra_state.")
        self.system.load_extra_state(on(self.device, plain(self.system.extra_state())))

    # ------------------------------------------------------------------ the loop

    def train(self, on_sample: OnSample | None = None) -> list[dict[str, float]]:
        """Train to the last step and return the rows of the log.

        Args:
            on_sample: called with (step, system) at step 0, every `sample_every` steps, and at the end.
        """
        with self.lock:
            return self._train(on_sample)

    def _train(self, on_sample: OnSample | None) -> list[dict[str, float]]:
        config, started = self.config, time.perf_counter() - self.seconds
        self._check_lock()
        runtime.set_random_state(self._random)  # whatever was drawn since the run was set up does not matter
        parameters = self.system.parameters()
        for network in self.system.networks.values():
            network.train()
        if config.compile and self.step < config.steps:
            speed.compile_networks(self.system.networks.values(), self._rehearse)
        if self.step == 0:
            self._sample(on_sample)
        bar = runtime.progress(total=config.steps, initial=self.step, desc=self.recipe.name)
        with bar:
            while self.step < config.steps:
                self._losses |= self._next(parameters)
                self.step += 1
                last = self.step == config.steps
                if self.step % config.log_every == 0 or last or self.step == 1:
                    self.seconds = time.perf_counter() - started
                    self._log()
                if self.step % config.sample_every == 0 or last:
                    self._sample(on_sample)
                if self.out is not None and (self.step % config.checkpoint_every == 0 or last):
                    self.seconds = time.perf_counter() - started
                    self.save_checkpoint()
                bar.update()
        self.system.start_step(self.step)
        for parameter in parameters:
            parameter.requires_grad_(True)
        if self.out is not None:
            self.save_generator()
        return self.rows

    def _next(self, parameters: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        try:
            return training_step(self.system, self.batches, self.step, parameters, self.pace)
        except (MemoryError, RuntimeError) as error:
            if not runtime.out_of_memory(error):
                raise
            raise UserError(self._too_large()) from None

    def _too_large(self) -> str:
        size, kept = self.config.batch_size, ""
        advice = f"Try half the batch, --set batch_size={size // 2}, in a folder of its own" if size > 1 else "Try"
        if self.out is not None and (self.out / "checkpoint.pt").exists():
            kept = " What was saved so far is kept, and --resume goes on from it once there is more memory."
        return (
            f"Memory ran out in step {self.step + 1}, with batch_size={size}. {advice}, or narrower networks; "
            f"or close what else uses the {'GPU' if self.device.type != 'cpu' else 'machine'}.{kept}"
        )

    def _rehearse(self) -> None:
        """Compute the loss and the gradients of every phase once, and leave everything as it was."""
        system = self.system
        networks = {name: plain(network.state_dict()) for name, network in system.networks.items()}
        batches, random, seen = self.batches.state_dict(), runtime.random_state(), dict(system.seen)
        extra = plain(system.extra_state())
        try:
            system.start_step(self.step)
            for phase in system.phases:
                restrict(phase, system.parameters())
                batch = next(self.batches) if phase.uses_data else None
                with self.pace.autocast():
                    loss = phase.loss(batch)
                loss.backward()
        finally:
            for name, network in system.networks.items():
                network.load_state_dict(networks[name])
                network.zero_grad(set_to_none=True)
            system.seen = seen
            system.load_extra_state(on(self.device, extra))
            self.batches.load_state_dict(batches)
            runtime.set_random_state(random)

    def _unlogged(self) -> dict[str, float]:
        """Return the last loss of each phase and the last value of each note since the last row of the log."""
        losses = {f"{name}_loss": float(loss) for name, loss in self._losses.items()}
        return losses | {name: mean(value) for name, value in self.system.seen.items()}

    def _stop_at(self, broken: list[str]) -> None:
        if broken:
            raise UserError(
                f"Training broke at step {self.step}: {', '.join(broken)} became NaN. The last checkpoint is kept. "
                "Lower the learning rate, or look for a loss written on probabilities instead of logits."
            )

    def _log(self) -> None:
        row: dict[str, float] = {"step": self.step, "seconds": round(self.seconds, 3), **self._unlogged()}
        self._losses.clear()
        self.system.seen.clear()
        self._stop_at([name for name, value in row.items() if math.isnan(value)])
        self.rows.append({name: row[name] for name in self.columns if name in row})
        if self.out is not None:
            self._check_lock()
            path = self.out / "metrics.csv"
            try:
                with path.open("a", newline="") as file:
                    self._writer(file).writerow(row)
            except OSError as error:
                raise files.write_failed(path, error) from None

    def _check_lock(self) -> None:
        if isinstance(self.lock, FolderLock):
            self.lock.check()

    def _writer(self, file: Any) -> csv.DictWriter:
        return csv.DictWriter(file, self.columns, lineterminator="\n")

    def _sample(self, on_sample: OnSample | None) -> None:
        if on_sample is not None:
            self.system.start_step(self.step)  # so that a resumed run would draw the same
            on_sample(self.step, self.system)

    # ------------------------------------------------------------------ the folder

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must agree on: recipe, profile, seed, data and hyper-parameters."""
        return {
            "recipe": self.recipe.name,
            "profile": self.profile,
            "seed": self.seed,
            "data": self.source.name,
            "origin": self.source.origin,
            "samples": len(self.source.x),
            **json.loads(json.dumps(flat(self.config))),
            "precision": self.pace.word,
        }

    def _check_folder(self, resume: bool) -> None:
        """Refuse a folder that holds something; what is nobody's does not count."""
        assert self.out is not None
        try:
            found = files.contents(self.out, RUN_FILES) if self.out.exists() else []
        except NotADirectoryError:
            raise UserError(f"{self.out} is a file, but --out names a folder. Choose another name.") from None
        except OSError as error:
            raise files.write_failed(self.out, error) from None
        if found and not resume:
            raise UserError(
                f"The folder {self.out} is not empty. Go on with the run in it with --resume, or choose another --out."
            )
        foreign = [name for name in found if name not in RUN_FILES]
        if foreign and not (self.out / "checkpoint.pt").exists():
            raise UserError(
                f"{self.out} holds no checkpoint but other files ({', '.join(foreign[:3])}); "
                "it does not look like a run. Choose another --out."
            )

    def _open_folder(self, resume: bool) -> None:
        assert self.out is not None
        files.make_folder(self.out)
        self.lock = FolderLock(self.out)
        try:
            self._check_folder(resume)  # again: another training may just have ended here
            files.make_folder(self.out / "samples")
            files.sweep(self.out, map(re.escape, RUN_FILES))  # what a killed run has left half-written
            files.sweep(self.out / "samples", [r"step_\d+\.png"])
            self._begin(resume)
        except BaseException:
            self.lock.release()
            raise

    def _begin(self, resume: bool) -> None:
        """Load the checkpoint, if there is one and it is wanted, or write what the run is."""
        assert self.out is not None
        if resume and (self.out / "checkpoint.pt").exists():
            self._load_checkpoint()
            self._mend_record()
        else:
            self._write_record()
        self._rewrite_metrics()

    def _record(self) -> dict[str, Any]:
        """Return what config.json says of the run."""
        return {
            "recipe": self.recipe.name,
            "system": self.recipe.system,
            "profile": self.profile,
            "seed": self.seed,
            "data": {"name": self.source.name, "origin": self.source.origin, "samples": len(self.source.x)},
            "config": json.loads(json.dumps(flat(self.config))),
            "versions": versions(),
            "device": runtime.describe_device(self.device) + ("" if self.pace.plain else f", {self.pace.word}"),
        }

    def _write_record(self) -> None:
        assert self.out is not None
        files.write_atomic(self.out / "config.json", (json.dumps(self._record(), indent=2) + "\n").encode())

    def _mend_record(self) -> None:
        """Write config.json anew if it does not say what the checkpoint says: sampling and the card read it."""
        assert self.out is not None
        path, mine = self.out / "config.json", self._record()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            found["config"] = {**as_before({}, self.recipe.system), **found["config"]}
            agrees = all(found[key] == value for key, value in mine.items() if key not in ("versions", "device"))
            agrees = agrees and "torch" in found["versions"] and isinstance(found["device"], str)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            agrees = False
        if not agrees:
            self._write_record()
            warnings.warn(
                f"{path} was changed or is gone. The checkpoint counts: the run goes on with the settings that it was "
                "begun with, and the file is written anew.",
                stacklevel=2,
            )

    def _rewrite_metrics(self) -> None:
        """Leave in metrics.csv the rows up to the present step: later ones will be made again."""
        assert self.out is not None
        text = io.StringIO(newline="")
        writer = self._writer(text)
        writer.writeheader()
        writer.writerows(self.rows)
        runtime.write_atomic(self.out / "metrics.csv", text.getvalue().encode())

    def save_checkpoint(self) -> None:
        """Write everything needed to resume, under a temporary name first.

        Raises:
            UserError: a loss, a note or a weight is NaN; the checkpoint before this one is left as it is.
        """
        assert self.out is not None
        broken = [name for name, value in self._unlogged().items() if math.isnan(value)]
        for name, network in self.system.networks.items():
            numbers = [*network.parameters(), *network.buffers()]
            broken += [f"a weight of {name}"] if any(t.isnan().any() for t in numbers if t.is_floating_point()) else []
        self._stop_at(broken)
        self._check_lock()
        state = {
            "format": CHECKPOINT_FORMAT,
            "identity": self.identity(),
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            "networks": {name: network.state_dict() for name, network in self.system.networks.items()},
            "optimizers": [optimizer.state_dict() for optimizer in optimizers(self.system)],
            "average": self.system.average.state_dict(),
            "extra": plain(self.system.extra_state()),
            "pace": self.pace.state_dict(),
            "unlogged": {"losses": self._losses, "seen": self.system.seen},
            "batches": self.batches.state_dict(),
            "random": runtime.random_state(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        runtime.write_atomic(self.out / "checkpoint.pt", buffer.getvalue())

    def _load_checkpoint(self) -> None:
        assert self.out is not None
        state = read_checkpoint(self.out / "checkpoint.pt")
        mine, theirs = self.identity(), state["identity"] if isinstance(state["identity"], dict) else {}
        theirs = {k: v for k, v in as_before(theirs, self.recipe.system).items() if k in {**mine, **theirs}}
        differ = [k for k in {**mine, **theirs} if mine.get(k) != theirs.get(k)]  # recipe, profile, seed first
        if differ:
            told = "; ".join(f"{k} is {theirs.get(k)!r} there and {mine.get(k)!r} now" for k in differ[:4])
            raise UserError(
                f"{self.out} holds another run: {told}. Resume it with its own options, or choose another --out."
            )
        if state["threads"] != torch.get_num_threads():
            warnings.warn(
                f"This run was made with {state['threads']} threads and goes on with {torch.get_num_threads()}: "
                "sums are taken in another order, so the last digits will differ from an unbroken run. "
                f"Set OMP_NUM_THREADS={state['threads']} for the same bytes.",
                stacklevel=2,
            )
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{self.out / 'checkpoint.pt'} is damaged, or of a system that was changed since: {reason}. "
                "It was left as it is. Move it away to start this run again, or choose another --out."
            ) from None

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take over the state that a checkpoint holds."""
        for name, network in self.system.networks.items():
            network.load_state_dict(state["networks"][name])
        for optimizer, optimizer_state in zip(optimizers(self.system), state["optimizers"], strict=True):
            optimizer.load_state_dict(optimizer_state)
            speed.align(optimizer)
        self.system.average.load_state_dict(state["average"])
        self.system.load_extra_state(on(self.device, state["extra"]))
        self.pace.load_state_dict(state.get("pace", {}))
        unlogged = on(self.device, state["unlogged"])
        self._losses, self.system.seen = unlogged["losses"], unlogged["seen"]
        self.batches.load_state_dict(state["batches"])
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        runtime.set_random_state(state["random"])

    def save_generator(self) -> None:
        """Write the averaged generator; the file holds no time and no path, so equal runs give equal bytes."""
        from safetensors.torch import save

        assert self.out is not None
        state = self.system.average.module.state_dict()
        weights = {k: v.detach().cpu().clone().contiguous() for k, v in state.items()}  # tied ones are written twice
        runtime.write_atomic(self.out / "generator.safetensors", save(weights, {"recipe": self.recipe.name}))


RUN_FILES = {"config.json", "metrics.csv", "samples", "checkpoint.pt", "generator.safetensors", "card.md"}


def folder(out: str | Path) -> Path:
    """Return the folder that `out` names, with ``~`` in its place.

    Raises:
        UserError: it starts from a home directory that this system does not know.
    """
    if not str(out).startswith("~"):
        return Path(out)
    path, why = files.expanded(str(out), "the run's folder")
    if path is None:
        raise UserError(f"{why}. Name another one.")
    return path


def training_step(
    system: Any, batches: Any, step: int, parameters: Sequence[nn.Parameter], pace: speed.Pace = speed.PLAIN
) -> dict[str, Tensor]:
    """Run every phase that is due at `step`; return the last loss of each, detached, on the device.

    Nothing in it waits for the device. `parameters` are all the system's parameters; within a phase only its own
    require gradients. `pace` says in which precision.
    """
    losses: dict[str, Tensor] = {}
    system.start_step(step)
    for phase in system.phases:
        if not phase.due(step):
            continue
        restrict(phase, parameters)
        for _ in range(phase.repeat):
            batch = next(batches) if phase.uses_data else None
            phase.optimizer.zero_grad(set_to_none=True)
            with pace.autocast():
                loss = phase.loss(batch)
            pace.descend(loss, phase.optimizer)
            if phase.after is not None:
                phase.after()
            losses[phase.name] = loss.detach()
    system.average.update()
    return losses


def restrict(phase: Phase, parameters: Sequence[nn.Parameter]) -> None:
    """Let only the parameters of a phase require gradients."""
    owned = phase.owned
    for parameter in parameters:
        parameter.requires_grad_(id(parameter) in owned)


def optimizers(system: Any) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all phases, one that several phases share once."""
    return list(dict.fromkeys(phase.optimizer for phase in system.phases))


def columns(system: System) -> list[str]:
    """Return the heads of a system's log: step, seconds, the loss of each phase, the notes.

    Raises:
        ValueError: two columns of one name.
    """
    names = ["step", "seconds", *(f"{phase.name}_loss" for phase in system.phases), *system.notes]
    if len(set(names)) < len(names):
        raise ValueError(f"{type(system).__name__}: two columns of the log have one name: {', '.join(names)}.")
    return names


def mean(value: Tensor) -> float:
    """Return the mean of noted values, whatever their type; half precision is raised to float32 first."""
    return float(value.mean() if value.dtype in (torch.float32, torch.float64) else value.float().mean())


def plain(state: Any, where: str = "extra_state") -> Any:
    """Return a copy of a system's extra state that a checkpoint can hold: its tensors own their memory.

    A view would take the whole batch it is a view of into the file.

    Raises:
        TypeError: something that is neither tensor, number, text nor None, or no list, tuple or dictionary of these.
    """
    if isinstance(state, Tensor):
        return state.detach().clone()
    for kind in (bool, int, float, str):
        if isinstance(state, kind):
            return kind(state)  # a float of NumPy's is a float, and no checkpoint could be read with it
    if state is None:
        return None
    if isinstance(state, dict) and all(isinstance(key, str) for key in state):
        return {key: plain(value, f"{where}[{key!r}]") for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [plain(value, f"{where}[{i}]") for i, value in enumerate(state)]
    raise TypeError(
        f"{where} is {type(state).__name__}: what resume needs is kept as tensors, numbers and text, in lists and in "
        "dictionaries with text for keys."
    )


def on(device: torch.device, state: Any) -> Any:
    """Return a state of tensors and plain values with its tensors on `device`."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, Mapping):
        return {key: on(device, value) for key, value in state.items()}
    return [on(device, value) for value in state] if isinstance(state, list) else state


# ----------------------------------------------------------------------------------------------- reading back


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the contents of a checkpoint.

    Raises:
        UserError: the file is damaged, or it was not written by this package. It is left as it is.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(
            f"{path} is damaged or not a checkpoint ({type(error).__name__}). It was left as it is. "
            "Move it away to start this run again, or choose another --out."
        ) from None
    found = state.get("format") if isinstance(state, dict) else None
    found = found if isinstance(found, str) else ""
    if _number(found) > _number(CHECKPOINT_FORMAT):
        raise UserError(
            f"{path} was written by a newer version of this package (format {found!r}, this one knows "
            f"{CHECKPOINT_FORMAT!r}). It was left as it is: go on with that version, or choose another --out."
        )
    if found in FORMER_FORMATS:
        raise UserError(
            f"{path} was written by version {FORMER_FORMATS[found]} of this package, whose checkpoints had another "
            "form. It was left as it is: finish the run with that version, or start it again with another --out."
        )
    if found != CHECKPOINT_FORMAT:
        raise UserError(
            f"{path} is not a checkpoint of this package (expected format {CHECKPOINT_FORMAT!r}). "
            "It was left as it is; choose another --out."
        )
    if lacking := [part for part in PARTS if part not in state]:
        raise UserError(
            f"{path} is damaged: it lacks {', '.join(lacking)}. It was left as it is. "
            "Move it away to start this run again, or choose another --out."
        )
    return state


def _number(form: str) -> int:
    """Return the number of a checkpoint's format, 0 if it is none of this package's."""
    match = re.fullmatch(r"gancourse checkpoint (\d+)", form)
    return int(match[1]) if match else 0


def versions() -> dict[str, str]:
    """Return the versions that a card and a config name."""
    return {"gancourse": __version__, "torch": torch.__version__, "python": platform.python_version()}
