"""Compute what the sliders of `gancourse.widgets` show and cannot compute while one waits.

    python book/tools/make_widgets.py              # all of them, some minutes
    python book/tools/make_widgets.py five ring    # some: five, ring, noise, kl, counts, classes, walk

Each is a file of at most 200 kB in gancourse/widgets/data. `noise` takes the digits from the flip-book of the executed
chapter 2, `counts`, `classes` and `walk` need the reference runs; `make data` first.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DATA = ROOT / "gancourse" / "widgets" / "data"
LARGEST = 200_000  # bytes of one file


def five() -> dict[str, Any]:
    """Chapter 1: the five-parameter GAN, three seeds for each k, at 41 moments."""
    from gancourse import losses, runtime
    from gancourse.widgets import game

    def features(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.ones_like(x), x, x**2], dim=-1)

    looks = np.zeros((len(game.MOVES), game.SEEDS, len(game.LOOKS), 5), np.float32)
    for i, k in enumerate(game.MOVES):
        for seed in range(game.SEEDS):
            runtime.seed_everything(seed)
            w, theta = torch.zeros(3, requires_grad=True), torch.tensor([0.0, 1.0], requires_grad=True)
            d_adam, g_adam = (torch.optim.Adam([p], lr=0.02, betas=(0.5, 0.999)) for p in (w, theta))
            for step in range(game.LOOKS[-1] + 1):
                if step in game.LOOKS:
                    looks[i, seed, game.LOOKS.index(step)] = torch.cat([w, theta]).detach().numpy()
                for _ in range(k):
                    x = 2.0 + 0.5 * torch.randn(256)
                    fake = (theta[0] + theta[1] * torch.randn(256)).detach()
                    d_adam.zero_grad()
                    losses.discriminator_loss(features(x) @ w, features(fake) @ w).backward()
                    d_adam.step()
                g_adam.zero_grad()
                losses.nonsaturating_loss(features(theta[0] + theta[1] * torch.randn(256)) @ w).backward()
                g_adam.step()
    return {"looks": looks}


def ring() -> dict[str, Any]:
    """Chapter 1: a small GAN on the ring, with k = 1 and k = 5: D on a grid, and samples."""
    from gancourse import systems, training
    from gancourse.plots import snapshot
    from gancourse.widgets import game

    small: dict[str, Any] = {"g_widths": (128, 128), "d_widths": (128, 128), "beta1": 0.5, "d_pieces": 1}
    small |= {"g_norm": "none", "averaging": 0.0, "g_lr": 3e-4, "d_lr": 1e-3}
    shape = (len(game.RING_MOVES), len(game.RING_STEPS))
    grids = np.zeros((*shape, game.RING_GRID, game.RING_GRID), np.uint8)
    points = np.zeros((*shape, 250, 2), np.float16)
    for i, k in enumerate(game.RING_MOVES):
        steps = game.RING_STEPS[-1]
        settings = small | {"k": k, "steps": steps, "sample_every": game.RING_STEPS[1]}
        run = training.Run(systems.recipe("ring-gan"), seed=0, quiet=True, device=torch.device("cpu"), **settings)

        def look(step: int, system: Any, i: int = i) -> None:
            if step in game.RING_STEPS:
                at = game.RING_STEPS.index(step)
                shot = snapshot(step, system.D, None, game.RING_WINDOW, game.RING_GRID)
                grids[i, at] = np.rint(255 * shot.probability)
                points[i, at] = system.sample(250, seed=1).numpy()

        run.train(look)
    return {"grids": grids, "points": points}


def noise() -> dict[str, Any]:
    """Chapter 2: 49 digits at each frame of the flip-book that the chapter stores."""
    import nbformat
    from PIL import Image

    notebook: Any = nbformat.read(ROOT / "notebooks" / "02_first_gan.ipynb", 4)  # type: ignore[no-untyped-call]
    pages = [
        "".join(output["data"]["text/html"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "gc-book" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    page = max(pages, key=len)
    pattern = r'src="data:image/png;base64,([^"]+)"><figcaption>([^<]+)</figcaption>'
    found = re.findall(pattern, page)
    steps, frames = [], []
    for picture, words in found:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L"))
        tiles = np.full((8 * 29, 8 * 29), 255, np.uint8)
        tiles[: pixels.shape[0], : pixels.shape[1]] = pixels
        digits = tiles.reshape(8, 29, 8, 29).swapaxes(1, 2)[:, :, :28, :28].reshape(64, 28, 28)
        frames.append(np.rint(digits[:49] / 255 * 8))
        steps.append(int(re.sub(r"\D", "", html.unescape(words))))
    return {"steps": np.array(steps), "digits": np.array(frames, np.uint8), "levels": np.array(9)}


def kl() -> dict[str, Any]:
    """Chapter 4: the Gaussians that fit two modes best, by both divergences and from three starts."""
    from gancourse.widgets import modes

    count = len(modes.DISTANCES)
    means, roots = np.zeros((count, 4, 2)), np.zeros((count, 4, 2, 2))
    costs = np.zeros((count, 4, 2))
    for i, distance in enumerate(modes.DISTANCES):
        data = modes.mixture(distance).log_prob(modes.PLANE)
        for j, (start, reverse) in enumerate(modes.STARTS.values()):
            mean, root = modes.fit(data, distance, start, reverse)
            fitted = modes.gaussian(mean, root)
            means[i, j], roots[i, j] = mean.numpy(), root.tril().numpy()
            costs[i, j] = modes.divergence(data, fitted), modes.divergence(fitted, data)
    return {"means": means, "roots": roots, "costs": costs}


def counts() -> dict[str, Any]:
    """Chapter 5: Fréchet and kernel distance of the digit judge against sample count, seed and resizing."""
    from torch.nn.functional import interpolate

    from gancourse import hub, images, metrics
    from gancourse.datasets import digits
    from gancourse.widgets import counts as widget

    train, test = (digits.load(split, quiet=True) for split in ("train", "test"))
    generator = torch.Generator().manual_seed(0)
    some = train.images[torch.randperm(len(train.images), generator=generator)[:10_000]]
    made = images.to_uint8(hub.load("digits-mlp", torch.device("cpu")).system.sample(10_000, seed=1))
    order = torch.randperm(len(test.images), generator=generator)
    real = metrics.digit_features(test.images[order]).values[:10_000]
    reference, rest = real[:5000], real[5000:]

    def through(x: torch.Tensor, **how: Any) -> torch.Tensor:
        small = interpolate(images.to_float(x), 20, **how)
        return images.to_uint8(interpolate(small, 28, mode="bilinear"))

    resizes: dict[str, Any] = {"none": lambda x: x}
    resizes["nearest pixel"] = lambda x: through(x, mode="nearest")
    resizes["bicubic"] = lambda x: through(x, mode="bicubic", antialias=True)
    assert tuple(resizes) == widget.RESIZES
    shape = (len(widget.RESIZES), len(widget.SETS), widget.SEEDS, len(widget.COUNTS))
    frechet, kid = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for i, resize in enumerate(resizes.values()):
        rivals = [metrics.digit_features(resize(x)).values for x in (some, made)]
        if i == 0:
            floor = rest
        else:
            floor = metrics.digit_features(resize(test.images[order][5000:10_000])).values
        for j, pool in enumerate((floor, *rivals)):
            for seed in range(widget.SEEDS):
                picked = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
                for n, count in enumerate(widget.COUNTS):
                    fakes = pool[picked[:count]]
                    frechet[i, j, seed, n] = metrics.feature_frechet(reference, fakes)
                    kid[i, j, seed, n] = metrics.kid_full(reference, fakes)
    return {"frechet": frechet, "kid": kid}


def classes() -> dict[str, Any]:
    """Chapter 6: the digits of the still picture, for readers without the reference run."""
    from gancourse.widgets import classes as widget

    defaults = widget.WIDGETS["classes"].defaults
    return {"digits": widget.drawn(**defaults)}


def walk() -> dict[str, Any]:
    """Chapter 11: the pictures of the still walk, for readers without the reference run."""
    from gancourse.widgets import walk as widget

    pictures, length = widget.drawn(**widget.WIDGETS["latent-walk"].defaults)
    return {"pictures": pictures, "length": np.float32(length)}


MADE = {"five": five, "ring": ring, "noise": noise, "kl": kl, "counts": counts, "classes": classes, "walk": walk}
FILES = {"five": "five_parameters", "noise": "fixed_noise", "kl": "kl_fits", "counts": "sample_size"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MADE)}; default: all")
    names = parser.parse_args(arguments).names or list(MADE)
    if unknown := set(names) - set(MADE):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(MADE)}")
    DATA.mkdir(exist_ok=True)
    for name in names:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **MADE[name]())
        size = len(buffer.getvalue())
        if size > LARGEST:
            print(f"{name}: {size:,} bytes are more than {LARGEST:,}; nothing written", file=sys.stderr)
            return 1
        path = DATA / f"{FILES.get(name, name)}.npz"
        path.write_bytes(buffer.getvalue())
        print(f"{name}: {path.relative_to(ROOT)}, {size:,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
