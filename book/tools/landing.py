"""Draw the picture of the landing page and the README: a GAN learning a ring, and digits of the reference run.

python book/tools/landing.py              digits from the reference run digits-mlp
python book/tools/landing.py --run DIR    digits from another run of that recipe

The samples are the first ones of seed 1, not selected. Takes a few minutes.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import torch
from numpy.typing import NDArray

from gancourse import console, hub, images, plots, runtime, systems, training

PICTURE = Path(__file__).resolve().parents[1] / "_static" / "landing.png"
STEPS = (0, 500, 2000, 10_000)
DPI = 220
ROWS, ZOOM = 3, 2

Pixels = NDArray[np.uint8]


def ring_strip() -> Pixels:
    """Train ring-gan and return four moments of its landscape, uint8 (H, W, 3)."""
    run = training.Run(systems.recipe("ring-gan"), profile="cpu", seed=0, sample_every=500)
    shots: list[plots.Snapshot] = []

    def keep(step: int, system: Any) -> None:
        if step in STEPS:
            shots.append(plots.snapshot(step, system.D, system.sample(1000, seed=0).cpu(), resolution=160))

    run.train(keep)
    figure = plots.landscape_strip(shots, data=run.source.x[:400].cpu(), columns=len(STEPS))
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.05)
    buffer.seek(0)
    return (matplotlib.image.imread(buffer)[..., :3] * 255).round().astype(np.uint8)


def digit_rows(run: str, width: int) -> Pixels:
    """Return a sheet of samples in the middle of a black band, uint8 (H, width, 3)."""
    columns = width // (28 * ZOOM)
    samples = hub.load(run, torch.device("cpu")).system.sample(columns * ROWS, seed=1)
    sheet = plots.sheet(images.to_uint8(samples).cpu(), columns=columns, gap=0)
    sheet = sheet.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    height, wide = sheet.shape[:2]
    band = np.zeros((height + 2 * ZOOM * 4, width, 3), np.uint8)
    left, top = (width - wide) // 2, ZOOM * 4
    band[top : top + height, left : left + wide] = sheet
    return band


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="digits-mlp", help="a run's folder or a reference run's name")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture's file")
    arguments = parser.parse_args()
    runtime.seed_everything(0)
    strip = ring_strip()
    plots.save_png(arguments.out, np.concatenate([strip, digit_rows(arguments.run, strip.shape[1])]))
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    sys.exit(console.entry(main))
