"""The one loop that trains every system of the course, with averaging, logging, checkpoints and exact resume.

A system owns its networks and an ordered list of phases. The loop runs the phases and knows nothing else:

    for phase in system.phases:            # only this phase's parameters require gradients
        loss = phase.loss(batch)
        loss.backward()
        phase.optimizer.step()

For the plain GAN the phases are "d", repeated k times, and "g": Algorithm 1 of Goodfellow et al. 2014.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import io
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancourse import __version__, runtime
from gancourse.datasets.source import Batches, Source
from gancourse.datasets.source import load as load_source
from gancourse.errors import UserError
from gancourse.systems.base import Recipe

CHECKPOINT_FORMAT = "gancourse checkpoint 1"
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
        except (ValueError, SyntaxError):
            value = text
        settings[key] = tuple(value) if isinstance(value, list) else value
    return settings


class Run:
    """One training run: a recipe with its seed, its data and, if asked for, its folder.

    The folder holds ``config.json``, ``metrics.csv`` (one row per logging step), ``samples/`` (fixed noise),
    ``checkpoint.pt`` and, at the end, ``generator.safetensors`` (averaged weights).

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
        self.seed = seed
        self.device = device or runtime.device()
        self.out = Path(out) if out is not None else None
        if self.out is not None:
            self._check_folder(resume)
        runtime.seed_everything(seed)
        self.source = source or load_source(self.config.data, device=self.device, seed=seed, quiet=quiet)
        self.system = recipe.build(self.config, self.device)
        self.batches = Batches(self.source, self.config.batch_size, seed)
        self.step = 0
        self.seconds = 0.0
        self.rows: list[dict[str, float]] = []
        if self.out is not None:
            self._open_folder(resume)
        self._random = runtime.random_state()

    # ------------------------------------------------------------------ the loop

    def train(self, on_sample: OnSample | None = None) -> list[dict[str, float]]:
        """Train to the last step and return the rows of the log.

        Args:
            on_sample: called with (step, system) at step 0, every `sample_every` steps, and at the end.
        """
        config, started = self.config, time.perf_counter() - self.seconds
        runtime.set_random_state(self._random)  # whatever was drawn since the run was set up does not matter
        network_parameters = [p for network in self.system.networks.values() for p in network.parameters()]
        for network in self.system.networks.values():
            network.train()
        if self.step == 0:
            self._sample(on_sample)
        bar = runtime.progress(total=config.steps, initial=self.step, desc=self.recipe.name)
        with bar:
            while self.step < config.steps:
                losses = training_step(self.system, self.batches, self.step, network_parameters)
                self.step += 1
                last = self.step == config.steps
                if self.step % config.log_every == 0 or last or self.step == 1:
                    self.seconds = time.perf_counter() - started
                    self._log(losses)
                if self.step % config.sample_every == 0 or last:
                    self._sample(on_sample)
                if self.out is not None and (self.step % config.checkpoint_every == 0 or last):
                    self.seconds = time.perf_counter() - started
                    self.save_checkpoint()
                bar.update()
        for parameter in network_parameters:
            parameter.requires_grad_(True)
        if self.out is not None:
            self.save_generator()
        return self.rows

    def _log(self, losses: dict[str, Tensor]) -> None:
        row: dict[str, float] = {"step": self.step, "seconds": round(self.seconds, 3)}
        row |= {f"{name}_loss": float(loss.detach()) for name, loss in losses.items()}
        row |= self.system.readings()
        broken = [name for name, value in row.items() if value != value]
        if broken:
            raise UserError(
                f"Training broke at step {self.step}: {', '.join(broken)} became NaN. The last checkpoint is kept. "
                "Lower the learning rate, or look for a loss written on probabilities instead of logits."
            )
        self.rows.append(row)
        if self.out is not None:
            path = self.out / "metrics.csv"
            try:
                with path.open("a", newline="") as file:
                    csv.DictWriter(file, list(row), lineterminator="\n").writerow(row)
            except OSError as error:
                raise runtime.write_failed(path, error) from None

    def _sample(self, on_sample: OnSample | None) -> None:
        if on_sample is not None:
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
            **json.loads(json.dumps(dataclasses.asdict(self.config))),
        }

    def _check_folder(self, resume: bool) -> None:
        assert self.out is not None
        try:
            filled = self.out.exists() and any(self.out.iterdir())
        except NotADirectoryError:
            raise UserError(f"{self.out} is a file, but --out names a folder. Choose another name.") from None
        except OSError as error:
            raise runtime.write_failed(self.out, error) from None
        if filled and not resume:
            raise UserError(
                f"The folder {self.out} is not empty. Go on with the run in it with --resume, or choose another --out."
            )

    def _open_folder(self, resume: bool) -> None:
        assert self.out is not None
        runtime.make_folder(self.out / "samples")
        if resume and (self.out / "checkpoint.pt").exists():
            self._load_checkpoint()
        else:
            foreign = [p.name for p in self.out.iterdir() if p.name not in RUN_FILES]
            if resume and foreign:
                raise UserError(
                    f"{self.out} holds no checkpoint but other files ({', '.join(sorted(foreign)[:3])}); "
                    "it does not look like a run. Choose another --out."
                )
            config = {
                "recipe": self.recipe.name,
                "system": self.recipe.system,
                "profile": self.profile,
                "seed": self.seed,
                "data": {
                    "name": self.source.name,
                    "origin": self.source.origin,
                    "samples": len(self.source.x),
                },
                "config": dataclasses.asdict(self.config),
                "versions": versions(),
                "device": runtime.describe_device(self.device),
            }
            runtime.write_atomic(self.out / "config.json", (json.dumps(config, indent=2) + "\n").encode())
        self._rewrite_metrics()

    def _rewrite_metrics(self) -> None:
        """Leave in metrics.csv the rows up to the present step: later ones will be made again."""
        assert self.out is not None
        text = io.StringIO(newline="")
        columns = [
            "step",
            "seconds",
            *(f"{p.name}_loss" for p in self.system.phases),
            *self.system.reading_names,
        ]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        runtime.write_atomic(self.out / "metrics.csv", text.getvalue().encode())

    def save_checkpoint(self) -> None:
        """Write everything needed to resume, under a temporary name first."""
        assert self.out is not None
        state = {
            "format": CHECKPOINT_FORMAT,
            "identity": self.identity(),
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            "networks": {name: network.state_dict() for name, network in self.system.networks.items()},
            "optimizers": [phase.optimizer.state_dict() for phase in self.system.phases],
            "average": self.system.average.state_dict(),
            "batches": self.batches.state_dict(),
            "random": runtime.random_state(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        runtime.write_atomic(self.out / "checkpoint.pt", buffer.getvalue())

    def _load_checkpoint(self) -> None:
        assert self.out is not None
        state = read_checkpoint(self.out / "checkpoint.pt")
        mine, theirs = self.identity(), state["identity"]
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
        for name, network in self.system.networks.items():
            network.load_state_dict(state["networks"][name])
        for phase, optimizer_state in zip(self.system.phases, state["optimizers"], strict=True):
            phase.optimizer.load_state_dict(optimizer_state)
        self.system.average.load_state_dict(state["average"])
        self.batches.load_state_dict(state["batches"])
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        runtime.set_random_state(state["random"])

    def save_generator(self) -> None:
        """Write the averaged generator; the file holds no time and no path, so equal runs give equal bytes."""
        from safetensors.torch import save

        assert self.out is not None
        weights = {k: v.detach().cpu().contiguous() for k, v in self.system.average.module.state_dict().items()}
        runtime.write_atomic(self.out / "generator.safetensors", save(weights, {"recipe": self.recipe.name}))


RUN_FILES = {"config.json", "metrics.csv", "samples", "checkpoint.pt", "generator.safetensors", "card.md"}


def training_step(system: Any, batches: Batches, step: int, parameters: list[nn.Parameter]) -> dict[str, Tensor]:
    """Run every phase of one step and return the last loss of each, still on the device.

    `parameters` are all the system's parameters; within a phase only its own require gradients.
    """
    losses: dict[str, Tensor] = {}
    for phase in system.phases:
        if step % phase.every:
            continue
        for parameter in parameters:
            parameter.requires_grad_(id(parameter) in phase.owned)
        for _ in range(phase.repeat):
            batch = next(batches) if phase.uses_data else None
            phase.optimizer.zero_grad(set_to_none=True)
            loss = phase.loss(batch)
            loss.backward()
            phase.optimizer.step()
            if phase.after is not None:
                phase.after()
            losses[phase.name] = loss
    system.average.update()
    return losses


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
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise UserError(
            f"{path} is not a checkpoint of this package (expected format {CHECKPOINT_FORMAT!r}). "
            "It was left as it is; choose another --out."
        )
    return state


def versions() -> dict[str, str]:
    """Return the versions that a card and a config name."""
    return {"gancourse": __version__, "torch": torch.__version__, "python": platform.python_version()}
