"""Publish finished runs of one recipe, one per seed, as its reference run.

    python book/tools/publish_run.py runs/seed0 runs/seed1 runs/seed2

The first folder is shipped; the others give the spread on the card. Files go to book/_static/runs/NAME, hashes to
gancourse/reference_runs.json. Nothing is published if a run is unfinished or its files exceed 3 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from gancourse import cards, hub, runtime
from gancourse.errors import UserError

SHIPPED = ("config.json", "metrics.csv", "generator.safetensors")
LIMIT = 3 * 2**20


def thin(folder: Path, most: int = 6) -> list[Path]:
    """Return at most `most` sample sheets, evenly spread from the first to the last."""
    sheets = sorted((folder / "samples").glob("step_*.png"))
    if len(sheets) <= most:
        return sheets
    if most == 1:
        return sheets[-1:]
    return [sheets[round(i * (len(sheets) - 1) / (most - 1))] for i in range(most)]


def halved(folder: Path) -> bytes:
    """Return a run's generator with its numbers in half precision; loading it makes single precision of them again."""
    from safetensors.torch import load_file, save

    weights = load_file(folder / "generator.safetensors")
    weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    return save(weights, {"recipe": hub.read_record(folder)["recipe"]})


def main(folders: list[Path], half: bool = False) -> None:
    """Evaluate, write the card, copy, and register."""
    if half and len(folders) != 1:
        raise UserError("--half publishes one run: the seeds of a spread are measured as they were trained.")
    records = [hub.read_record(folder) for folder in folders]
    if len({record["recipe"] for record in records}) != 1:
        raise UserError("These runs are of different recipes; publish the seeds of one.")
    first = {key: value for key, value in records[0]["config"].items()}
    for folder, record in zip(folders, records, strict=True):
        if record["config"] != first or record["profile"] != records[0]["profile"]:
            raise UserError(
                f"{folder} has other hyper-parameters than {folders[0]}; seeds must differ in the seed only."
            )
    reports = [cards.evaluate(hub.load(folder).system) for folder in folders]
    seeds = [record["seed"] for record in records]
    text = cards.card(records[0], reports, seeds, cards.seconds_of(folders[0]))
    files = {name: (folders[0] / name).read_bytes() for name in SHIPPED}
    files["card.md"] = text.encode()
    files["evaluation.json"] = (
        json.dumps([{"seed": s, **r} for s, r in zip(seeds, reports, strict=True)], indent=1) + "\n"
    ).encode()
    if half:
        files["generator.safetensors"] = halved(folders[0])
    for most in range(6, 0, -1):  # fewer sheets, if the weights leave no room for six
        sheets = {f"samples/{sheet.name}": sheet.read_bytes() for sheet in thin(folders[0], most)}
        size = sum(map(len, [*files.values(), *sheets.values()]))
        if size <= LIMIT:
            break
    files |= sheets
    if size > LIMIT:
        raise UserError(f"The run takes {size / 2**20:.1f} MB; a published run has at most 3 MB.")
    name = records[0]["recipe"]
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
    print(f"{name}: {len(files)} files, {size / 2**20:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--half", action="store_true", help="store large weights in half precision")
    main(**vars(parser.parse_args()))
