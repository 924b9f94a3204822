"""Publish finished runs of one recipe, one per seed, as its reference run.

    python book/tools/publish_run.py runs/seed0 runs/seed1 runs/seed2
    python book/tools/publish_run.py --again digits-mlp     # a published run's weights, now in half precision

The first folder is shipped; the others give the spread on the card. Its weights are shipped in half precision (tensors
of fewer than 4,096 numbers, most of BatchNorm's among them, stay as they are, since that costs next to nothing), unless
a measure moves by more than its spread over the seeds (of one seed: by more than 1 %), or --full is given; the card is
measured with what is shipped. Sheets of colour pictures have 256 colours, which takes half their size. Files go to
book/_static/runs/NAME, hashes to gancourse/reference_runs.json. Nothing is published if a run is unfinished or its
files exceed 1.5 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gancourse import cards, console, evaluation, hub, runtime
from gancourse.errors import UserError

SHIPPED = ("config.json", "metrics.csv", "generator.safetensors")
LIMIT = 3 * 2**19
SHEETS = 4
"""First, two between, last."""


LARGE = 4096
"""Numbers of a tensor from which on half precision is worth it."""


def thin(folder: Path, most: int = SHEETS) -> list[Path]:
    """Return at most `most` sample sheets, evenly spread from the first to the last."""
    sheets = sorted((folder / "samples").glob("step_*.png"))
    if len(sheets) <= most:
        return sheets
    if most == 1:
        return sheets[-1:]
    return [sheets[round(i * (len(sheets) - 1) / (most - 1))] for i in range(most)]


def shrunk(sheet: Path) -> bytes:
    """Return a sheet's file; one in RGB is reduced to 256 colours, if that makes it smaller."""
    with Image.open(sheet) as picture:
        if picture.mode != "RGB":
            return sheet.read_bytes()
        buffer = io.BytesIO()
        picture.quantize(256).save(buffer, "png", optimize=True)
    return min(sheet.read_bytes(), buffer.getvalue(), key=len)


def halved(folder: Path) -> bytes:
    """Return a run's generator with its large tensors in half precision; loading makes them single again."""
    from safetensors.torch import load_file, save

    weights = load_file(folder / "generator.safetensors")
    large = {name for name, value in weights.items() if value.is_floating_point() and value.numel() >= LARGE}
    weights = {name: value.half() if name in large else value for name, value in weights.items()}
    return save(weights, {"recipe": hub.read_record(folder)["recipe"]})


def evaluate(folder: Path, weights: bytes | None = None) -> dict[str, Any]:
    """Return a run's report, with other weights than its own if they are given."""
    from safetensors.torch import load

    system = hub.load(folder).system
    if weights is not None:
        system.average.module.load_state_dict(load(weights))
    return evaluation.evaluate(system)


def moved(half: Mapping[str, Any], reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which measures half precision moves too far, each with its two values.

    Args:
        half: the report of the shipped run with weights in half precision.
        reports: those of all seeds with their own weights, the shipped one's first.
    """
    found = []
    for key, value in reports[0].items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        several = len(reports) > 1
        allowed = statistics.stdev(report[key] for report in reports) if several else 0.01 * abs(value)
        if math.isclose(half[key], value, rel_tol=1e-9):  # floors, for example, which no weight moves
            continue
        if not abs(half[key] - value) <= allowed:  # a measure that broke is NaN, and not within anything
            found.append(f"{key} from {value:.6g} to {half[key]:.6g}")
    return found


def main(folders: list[Path], full: bool = False) -> None:
    """Evaluate, write the card, copy, and register."""
    records = [hub.read_record(folder) for folder in folders]
    if len({record["recipe"] for record in records}) != 1:
        raise UserError("These runs are of different recipes; publish the seeds of one.")
    for folder, record in zip(folders, records, strict=True):
        if record["config"] != records[0]["config"] or record["profile"] != records[0]["profile"]:
            raise UserError(
                f"{folder} has other hyper-parameters than {folders[0]}; seeds must differ in the seed only."
            )
    ship(folders[0], [evaluate(folder) for folder in folders], [record["seed"] for record in records], full)


def again(name: str) -> None:
    """Ship a published run's weights in half precision; what its card says of the other seeds stays."""
    folder = hub.CHECKOUT_RUNS / name
    if name not in hub.registry() or not folder.is_dir():
        raise UserError(f"{name} is no published run; there are {', '.join(sorted(hub.registry()))}.")
    hub.load(name)  # as its hashes say
    rows = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    ship(folder, [{key: row[key] for key in row if key != "seed"} for row in rows], [row["seed"] for row in rows])


def ship(folder: Path, reports: list[dict[str, Any]], seeds: Sequence[int], full: bool = False) -> None:
    """Write a run's files, card and hashes.

    Args:
        folder: the run.
        reports: of all seeds with their own weights, this run's first.
        seeds: the training seeds, in the same order.
        full: whether the weights stay as they are.
    """
    record = hub.read_record(folder)
    files = {name: (folder / name).read_bytes() for name in SHIPPED}
    precision = "full precision"
    if not full:
        weights = halved(folder)
        half = evaluate(folder, weights)
        half = {key: half[key] for key in reports[0]}
        if far := moved(half, reports):
            print(f"Full precision is kept: half moves {', '.join(far)}.")
        else:
            files["generator.safetensors"], reports[0], precision = weights, half, "half precision"
    text = cards.card(record, reports, seeds, cards.seconds_of(folder))
    files["card.md"] = text.encode()
    files["evaluation.json"] = (
        json.dumps([{"seed": s, **r} for s, r in zip(seeds, reports, strict=True)], indent=1) + "\n"
    ).encode()
    for most in range(SHEETS, 0, -1):  # fewer sheets, if the weights leave no room
        sheets = {f"samples/{sheet.name}": shrunk(sheet) for sheet in thin(folder, most)}
        size = sum(map(len, [*files.values(), *sheets.values()]))
        if size <= LIMIT:
            break
    files |= sheets
    if size > LIMIT:
        advice = " Give more seeds: their spread says how far half precision may move a measure."
        raise UserError(
            f"The run takes {size / 2**20:.2f} MB with weights in {precision}; a published run has at most "
            f"{LIMIT / 2**20} MB. Nothing was published."
            + (advice if precision == "full precision" and not full and len(seeds) == 1 else "")
        )
    name = record["recipe"]
    target = hub.CHECKOUT_RUNS / name
    runtime.make_folder(target / "samples")
    for old in target.rglob("*.png"):
        old.unlink()
    for file, data in files.items():
        runtime.write_atomic(target / file, data)
    needed = [*SHIPPED, "card.md"]
    table = hub.registry()
    table[name] = {file: hashlib.sha256(files[file]).hexdigest() for file in needed}
    runtime.write_atomic(hub.REGISTRY_FILE, (json.dumps(table, indent=1, sort_keys=True) + "\n").encode())
    print(text)
    print(f"{name}: {len(files)} files, {size / 2**20:.2f} MB, weights in {precision}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--full", action="store_true", help="ship the weights in full precision")
    parser.add_argument("--again", metavar="NAME", help="a published run: ship its weights in half precision")
    told = parser.parse_args()
    if bool(told.again) == bool(told.folders) or (told.again and told.full):
        parser.error("give the folders of runs, or --again and the name of a published one")
    try:
        sys.exit(console.entry(lambda: again(told.again) if told.again else main(told.folders, told.full)))
    except UserError as error:
        sys.exit(str(error))
