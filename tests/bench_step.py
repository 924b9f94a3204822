"""Time the package's training step against a bare hand-written loop of the same networks.

    python tests/bench_step.py --blocks 15 --steps 60

Both sides train the `digits-mlp` networks at the cpu profile on the same batches, with Adam and with an averaged
generator. Blocks alternate; the figure is the median over blocks of (package seconds / bare seconds).
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gancourse import runtime, systems, training
from gancourse.datasets import digits
from gancourse.datasets.source import Batches, Source


def bare_loop(config, source):
    """Return a function that runs n steps of the loop as a tutorial would write it."""
    runtime.seed_everything(0)
    device = source.x.device
    system = systems.recipe("digits-mlp").build(config, device)  # the same networks, nothing else of the package
    G, D = system.G, system.D
    averaged = copy.deepcopy(G).requires_grad_(False)
    betas = (config.beta1, config.beta2)
    d_adam = torch.optim.Adam(D.parameters(), lr=config.d_lr, betas=betas, fused=True)
    g_adam = torch.optim.Adam(G.parameters(), lr=config.g_lr, betas=betas, fused=True)
    ones, zeros = torch.ones(config.batch_size, device=device), torch.zeros(config.batch_size, device=device)

    def epochs():
        while True:
            order = torch.randperm(len(source.x), device=device)
            for i in range(0, len(order) - config.batch_size + 1, config.batch_size):
                yield source.x[order[i : i + config.batch_size]]

    data = epochs()

    def run(steps):
        for _ in range(steps):
            real = next(data).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            fake = G(torch.randn(config.batch_size, config.latent_dim, device=device))
            d_adam.zero_grad()
            (bce(D(real), ones) + bce(D(fake.detach()), zeros)).backward()
            d_adam.step()
            g_adam.zero_grad()
            fake = G(torch.randn(config.batch_size, config.latent_dim, device=device))
            bce(D(fake), ones).backward()
            g_adam.step()
            with torch.no_grad():
                for a, b in zip(averaged.parameters(), G.parameters(), strict=True):
                    a.lerp_(b, 1 - config.averaging)
                for a, b in zip(averaged.buffers(), G.buffers(), strict=True):
                    a.copy_(b)

    return run


def package_loop(config, source):
    """Return a function that runs n steps of the package's loop."""
    runtime.seed_everything(0)
    system = systems.recipe("digits-mlp").build(config, source.x.device)
    batches = Batches(source, config.batch_size, 0)
    parameters = [p for network in system.networks.values() for p in network.parameters()]
    position = 0

    def run(steps):
        nonlocal position
        for _ in range(steps):
            training.training_step(system, batches, position, parameters)
            position += 1

    return run


def main(blocks: int, steps: int) -> dict[str, float]:
    """Return the median ratio, its quartiles, and milliseconds per step of both sides."""
    device = runtime.device()
    train = digits.load("train", device=device, quiet=True)
    source = Source("digits", train.source, train.images)
    config = systems.recipe("digits-mlp").at("cpu")
    loops = {"package": package_loop(config, source), "bare": bare_loop(config, source)}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for run in loops.values():
        run(steps)  # warm up
    for block in range(blocks):
        for name in ("package", "bare") if block % 2 else ("bare", "package"):
            started = time.perf_counter()
            loops[name](steps)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - started)
    ratios = [a / b for a, b in zip(seconds["package"], seconds["bare"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "blocks": blocks,
        "steps_per_block": steps,
        "threads": torch.get_num_threads(),
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(quartiles[0], 4), round(quartiles[2], 4)],
        **{f"{name}_ms_per_step": round(1000 * statistics.median(s) / steps, 3) for name, s in seconds.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--steps", type=int, default=60)
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))
