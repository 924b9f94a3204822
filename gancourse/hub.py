"""Reference runs by name: trained generators with their cards, published with the site and checked by hash.

In a checkout they are read from ``book/_static/runs``; elsewhere they are fetched once from the site and cached.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancourse import files, systems
from gancourse.errors import UserError, command_line, unknown

if TYPE_CHECKING:
    import torch

SITE = "https://gancourse.github.io/gancourse/"
"""Where the site is published; a test keeps it equal to the address in ``_config.yml``."""
CHECKOUT_RUNS = Path(__file__).resolve().parent.parent / "book" / "_static" / "runs"
REGISTRY_FILE = Path(__file__).with_name("reference_runs.json")
RESULTS_FOLDER = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Trained:
    """A run that was read back.

    Attributes:
        name: recipe or folder it was asked for by.
        folder: where its files lie.
        record: the contents of ``config.json``.
        system: the system with the averaged generator loaded; ``system.sample(n, seed=…)`` draws from it.
    """

    name: str
    folder: Path
    record: Mapping[str, Any]
    system: Any

    def measured(self, key: str) -> str | None:
        """Return what the card says of a measure, "mean ± deviation (value of each seed)"; None if it says nothing."""
        card = self.folder / "card.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        row = re.search(rf"^\| {re.escape(key)} \| (.*?) \|$", text, re.MULTILINE)
        return row[1] if row else None


def registry() -> dict[str, dict[str, str]]:
    """Return run name → file name → SHA-256 of every published run."""
    return json.loads(REGISTRY_FILE.read_text(encoding="utf-8"))


def load(name: str | Path, device: torch.device | None = None) -> Trained:
    """Return a trained system, from a run's folder or from a reference run's name.

    Args:
        name: a folder that ``gancourse train`` wrote, or a recipe whose reference run is published.
        device: where to put it; default the device in force.

    Raises:
        UserError: no such run or recipe, or a file is missing, damaged or from another program.
    """
    folder = find(str(name))
    record = read_record(folder)
    from gancourse import runtime

    system = _build(record, folder, device or runtime.device())
    return Trained(str(name), folder, record, system)


def results(name: str) -> dict[str, Any]:
    """Return a committed table of measurements; its ``command`` says how to make it again.

    Raises:
        UserError: there is no table of that name.
    """
    tables = {path.stem: path for path in RESULTS_FOLDER.glob("*.json")}
    if name not in tables:
        raise unknown("table of results", name, sorted(tables))
    return json.loads(tables[name].read_text(encoding="utf-8"))


def find(name: str) -> Path:
    """Return the folder of a run: `name` itself if it is a folder, else the reference run of that name."""
    if Path(name).is_dir():
        return Path(name)
    published = registry()
    if name not in published:
        if name in systems.names():
            raise UserError(
                f"No reference run of {name!r} is published yet. Train it: {command_line('gancourse', 'train', name)}"
            )
        raise unknown("run", name, [*published])
    local = CHECKOUT_RUNS / name
    if local.is_dir():
        for file, digest in published[name].items():
            _check_hash(local / file, digest)
        return local
    return _fetch(name, published[name])


def _check_hash(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"{path} of the reference run cannot be read ({error.strerror}). Check out the file again."
        ) from None
    if found != digest:
        raise UserError(f"{path} is not the published file: its SHA-256 differs. Check out the file again.")


def _fetch(name: str, published: Mapping[str, str]) -> Path:
    for kept in files.caches():
        if all(_has_hash(kept / "runs" / name / file, digest) for file, digest in published.items()):
            return kept / "runs" / name
    import tempfile

    import pooch

    cache, why = files.cache()
    folder = cache / "runs" / name
    files.make_folder(folder)
    with tempfile.TemporaryDirectory(prefix="gancourse-") as scratch:
        for file, digest in published.items():
            url = f"{SITE}_static/runs/{name}/{file}"
            try:
                fetched = pooch.retrieve(url, f"sha256:{digest}", fname=file, path=scratch, progressbar=False)
                data = Path(fetched).read_bytes()
            except Exception as error:  # requests raises many kinds; a wrong hash is a ValueError
                if isinstance(error, OSError) and error.errno in (*files.FULL, *files.FORBIDDEN):
                    raise files.write_failed(Path(scratch), error) from None
                what = "what came is not the published file" if isinstance(error, ValueError) else type(error).__name__
                raise UserError(
                    f"The reference run {name!r} could not be fetched from {url} ({what}). "
                    f"Check the connection, or train it: {command_line('gancourse', 'train', name)}"
                ) from None
            files.write_atomic(folder / file, data)
    if why:
        print(f"The reference run is kept in {cache}, since {why}.", file=sys.stderr)
    return folder


def _has_hash(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def read_record(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of a run.

    Raises:
        UserError: it is missing or was not written by this package.
    """
    path = folder / "config.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a byte-order mark first
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run: it holds no config.json. Name a folder that `train` wrote.") from None
    except (OSError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not KEYS.keys() <= record.keys():
        raise UserError(f"{path} is damaged or was not written by this package; it was left as it is.")
    for key, (kind, words) in KEYS.items():
        if not isinstance(record[key], kind) or isinstance(record[key], bool):
            raise UserError(f"{path} was changed: {key}={record[key]!r} is not {words}. It was left as it is.")
    return record


KEYS: dict[str, tuple[type, str]] = {
    "recipe": (str, "a name"),
    "profile": (str, "a name"),
    "seed": (int, "a whole number"),
    "config": (dict, "a list of hyper-parameters"),
}
"""What every ``config.json`` has: key → its type, and that in words."""


def resume_command(record: Mapping[str, Any], folder: Path) -> str:
    """Return the command that goes on with a run: its recipe, profile and seed, and the settings that were changed.

    Raises:
        UserError: its networks are of another kind than the recipe's: no command can ask for those.
    """
    from gancourse.systems.configs import flat

    recipe = systems.recipe(record["recipe"])
    try:
        own = json.loads(json.dumps(flat(recipe.at(record["profile"]))))
    except UserError:
        own = {}
    words = ["gancourse", "train", record["recipe"], "--profile", record["profile"], "--seed", record["seed"]]
    if own.get("networks") != record["config"].get("networks", own.get("networks")):
        raise UserError(
            f"The run in {folder} is not finished, and its networks are not those of the recipe {recipe.name}. "
            "Finish it in Python: training.Run with the same networks, out= and resume=True."
        )
    for key, value in record["config"].items():
        if key in own and key != "networks" and own[key] != value:
            words += ["--set", f"{key}={value}"]
    return command_line(*words, "--resume", "--out", folder)


def _build(record: Mapping[str, Any], folder: Path, device: torch.device) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from gancourse.systems.configs import from_record

    recipe = systems.recipe(record["recipe"])
    try:
        config = from_record(recipe.config, record["config"], recipe.system)
        system = recipe.build(config, device)
    except (TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(
            f"{folder / 'config.json'} was changed, or fits another version of the package: {error}"
        ) from None
    path = folder / "generator.safetensors"
    try:
        system.average.module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no generator.safetensors: the run is not finished. "
            f"Finish it: {resume_command(record, folder)}"
        ) from None
    except (SafetensorError, RuntimeError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0]
        raise UserError(
            f"{path} is damaged or does not fit its config.json ({reason.rstrip('.')}). It was left as it is."
        ) from None
    system.start_step(config.steps)
    return system
