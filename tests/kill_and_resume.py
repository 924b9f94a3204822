"""Kill a training run with SIGKILL at random moments, resume it each time, and compare with an unbroken run.

    python tests/kill_and_resume.py --recipe ring-gan --kills 20 --steps 2000

Prints one line per kill (the step in the log at that moment, and whether a checkpoint was there) and the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMALL = ["--profile", "smoke", "--set", "checkpoint_every=40", "--set", "sample_every=200", "--device", "cpu"]


def _command(recipe: str, folder: Path, steps: int) -> list[str]:
    train = [sys.executable, "-m", "gancourse", "train", recipe, "--out", str(folder), "--seed", "7", "--quiet"]
    return [*train, *SMALL, "--set", f"steps={steps}"]


def _last_step(folder: Path) -> int:
    try:
        rows = (folder / "metrics.csv").read_text().splitlines()
        return int(rows[-1].split(",")[0]) if len(rows) > 1 else 0
    except (OSError, ValueError):
        return 0


def main(kills: int, steps: int, folder: Path, seed: int, recipe: str = "ring-gan") -> dict[str, Any]:
    """Return {"kills", "after_checkpoint", "equal"} and print what happened."""
    chance = random.Random(seed)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    whole, broken = folder / "whole", folder / "broken"
    subprocess.run(_command(recipe, whole, steps), check=True, env=environment)

    done = after_checkpoint = 0
    while done < kills:
        aim = (done + chance.random()) * steps / (kills + 1)  # spread over the run, at random within each part
        resume = ["--resume"] if broken.exists() else []
        process = subprocess.Popen([*_command(recipe, broken, steps), *resume], env=environment)
        while process.poll() is None and _last_step(broken) < aim:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        if process.poll() is not None:
            raise RuntimeError(f"the run ended before kill {done + 1}: give it more steps")
        process.kill()
        process.wait()
        done += 1
        saved = (broken / "checkpoint.pt").exists()
        after_checkpoint += saved
        print(f"kill {done:2}: log at step {_last_step(broken):5}, checkpoint {'there' if saved else 'not yet there'}")
    subprocess.run([*_command(recipe, broken, steps), "--resume"], check=True, env=environment)
    files = [path / "generator.safetensors" for path in (whole, broken)]
    report = {
        "kills": done,
        "after_checkpoint": after_checkpoint,
        "equal": files[0].read_bytes() == files[1].read_bytes(),
    }
    print(json.dumps(report))
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="ring-gan")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = main(arguments.kills, arguments.steps, Path(scratch), arguments.seed, arguments.recipe)
    sys.exit(0 if result["equal"] else 1)
