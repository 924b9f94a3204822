"""Train the digit judge anew and ship it: weights and card into the package, then its reference statistics.

    python book/tools/train_judge.py --seed 0 --out runs/digits-judge

Takes the folder as it is when it already holds a judge. Refuses to ship a judge below 99.3 % on the full test
split.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import make_statistics

from gancourse import runtime
from gancourse.errors import UserError
from gancourse.systems import judges

LEAST = 0.993


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and ship the digit judge.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", choices=runtime.PROFILES, default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/digits-judge"))
    options = parser.parse_args()
    if not (options.out / "digits-judge.json").exists():
        judges.train_judge(options.profile, options.seed, options.out)
    card = json.loads((options.out / "digits-judge.json").read_text(encoding="utf-8"))
    print(judges.describe(card))
    if card["accuracy"] < LEAST or "full, test split" not in card["measured_on"]:
        raise UserError(f"This judge is not good enough to ship: it needs {LEAST:.1%} on the full test split.")
    runtime.make_folder(judges.WEIGHTS)
    for name, shipped in (
        ("digits-judge.safetensors", "digits-judge.safetensors"),
        ("digits-judge.json", "digits-judge.json"),
        ("card.md", "digits-judge.md"),
    ):
        runtime.write_atomic(judges.WEIGHTS / shipped, (options.out / name).read_bytes())
    make_statistics.main()


if __name__ == "__main__":
    main()
