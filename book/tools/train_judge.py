"""Train a judge anew and ship it: weights and card into the package, then its reference statistics.

    python book/tools/train_judge.py --seed 0 --out runs/digits-judge
    python book/tools/train_judge.py fashion-judge --seed 0 --out runs/fashion-judge
    python book/tools/train_judge.py faces-judge --seed 0 --out runs/faces-judge

Takes the folder as it is when it already holds the judge. Refuses to ship one that labels too few of the full test
split right: below 99.3 % of the digits, below 92 % of the clothes, or below 90 % of any label of the faces at 64 pixels
(what falls short of 98 % is named on its card).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import make_statistics

from gancourse import console, runtime
from gancourse.datasets import heads
from gancourse.errors import UserError
from gancourse.metrics import attributes, judges

LEAST = {"digits-judge": 0.993, "fashion-judge": 0.92, attributes.NAME: 0.9}


def least(card: dict[str, Any]) -> float:
    """Return a judge's accuracy, or that of the label which it reads worst."""
    if card["recipe"] == attributes.NAME:
        return min(card["read"]["64"][part.name] for part in heads.PARTS)
    return card["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and ship a judge.")
    parser.add_argument("judge", nargs="?", choices=list(LEAST), default="digits-judge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", choices=runtime.PROFILES, default="cpu")
    parser.add_argument("--out", type=Path, help="default: runs/JUDGE")
    options = parser.parse_args()
    name, out = options.judge, options.out or Path("runs") / options.judge
    if not (out / f"{name}.json").exists():
        if name == attributes.NAME:
            attributes.train_face_judge(options.profile, options.seed, out)
        else:
            judges.train_judge(options.profile, options.seed, out, name=name)
    card = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    print((out / "card.md").read_text(encoding="utf-8"))
    if least(card) < LEAST[name] or "full, test split" not in card["measured_on"]:
        raise UserError(f"This judge is not good enough to ship: it needs {LEAST[name]:.1%} on the full test split.")
    runtime.make_folder(judges.WEIGHTS)
    for written, shipped in (
        (f"{name}.safetensors", f"{name}.safetensors"),
        (f"{name}.json", f"{name}.json"),
        ("card.md", f"{name}.md"),
    ):
        runtime.write_atomic(judges.WEIGHTS / shipped, (out / written).read_bytes())
    make_statistics.write(name)


if __name__ == "__main__":
    sys.exit(console.entry(main))
