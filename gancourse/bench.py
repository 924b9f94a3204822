"""How fast a step is on this machine, beside the loop that a reader would write otherwise: ``gancourse bench``.

Each row trains one recipe twice, at its cpu profile: by the package's loop, and by :func:`textbook`, the loop of the
tutorials, written out below. Both have the same networks, game, batch and data. What is compared runs in turns, in
blocks of a few steps; a figure is the median over the blocks, so that a machine that is busy for a while slows both.
"""

from __future__ import annotations

import itertools
import re
import statistics
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from gancourse import __version__, runtime, speed, systems, training
from gancourse.datasets.source import Batches, Source
from gancourse.errors import UserError, check_whole, unknown
from gancourse.systems.configs import change

BLOCKS, QUICK_BLOCKS = 15, 3
SECONDS = 0.25
"""A block of the package's loop takes about so long."""
WORKERS = (0, 2)
"""Numbers of processes that may load data for the textbook's loop; the faster counts."""
Loop = Callable[[int], None]
"""Runs so many steps."""

# ------------------------------------------------------------------------------------------- the textbook's loop


@dataclass(frozen=True)
class Game:
    """What a tutorial writes into the middle of its loop, on raw scores.

    Attributes:
        d_loss: scores of data and of fakes -> D's loss.
        g_loss: scores of fakes, and of data as D now sees them -> G's loss.
        penalty: D as a function of samples, data, fakes -> what is added to D's loss.
        after: what happens to D after its move.
        optimizer: makes each player's optimiser from its parameters and rate.
    """

    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[[Tensor, Callable[[], Tensor]], Tensor]
    penalty: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor | float] = lambda D, real, fake: 0.0
    after: Callable[[nn.Module], None] = lambda D: None
    optimizer: Callable[[Iterable[nn.Parameter], float, Any], torch.optim.Optimizer] = lambda weights, lr, config: (
        torch.optim.Adam(weights, lr=lr, betas=(config.beta1, config.beta2))
    )


def _bce(scores: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def _mse(scores: Tensor, target: float) -> Tensor:
    return 0.5 * F.mse_loss(scores, torch.full_like(scores, target))


def _clip(D: nn.Module) -> None:
    for weight in D.parameters():
        weight.data.clamp_(-0.01, 0.01)


def _gradient_penalty(D: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    epsilon = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    x = (epsilon * real + (1 - epsilon) * fake).requires_grad_(True)
    scores = D(x)
    (slopes,) = torch.autograd.grad(scores, x, torch.ones_like(scores), create_graph=True)
    return 10 * ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()


def _r1_and_r2(D: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    total = torch.zeros((), device=real.device)
    for x in (real, fake):
        x = x.clone().requires_grad_(True)
        (slopes,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        total = total + 0.5 * slopes.square().flatten(1).sum(dim=1).mean()
    return total


GAN = Game(lambda real, fake: _bce(real, 1.0) + _bce(fake, 0.0), lambda fake, real: _bce(fake, 1.0))
GAMES: dict[str, Game] = {
    "gan": GAN,
    "cgan": GAN,
    "dcgan": GAN,
    "lsgan": Game(lambda real, fake: _mse(real, 1.0) + _mse(fake, 0.0), lambda fake, real: _mse(fake, 1.0)),
    "wgan": Game(
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake, real: -fake.mean(),
        after=_clip,
        optimizer=lambda weights, lr, config: torch.optim.RMSprop(weights, lr=lr, alpha=config.beta2),
    ),
    "wgan-gp": Game(lambda real, fake: fake.mean() - real.mean(), lambda fake, real: -fake.mean(), _gradient_penalty),
    "sngan": Game(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda fake, real: -fake.mean()
    ),
    "r3gan": Game(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda fake, real: F.softplus(real() - fake).mean(),
        _r1_and_r2,
    ),
}
"""System's word -> its game as tutorials write it."""


class Pictures(Dataset):
    """A data set as torchvision's are: a picture at a time, as PIL, through ``ToTensor`` and ``Normalize``."""

    def __init__(self, source: Source) -> None:
        from torchvision import transforms

        self.pictures = source.x.cpu().numpy()
        labels = source.c if source.c is not None and source.c.ndim == 1 else torch.zeros(len(source.x), device="cpu")
        self.labels = labels.long().tolist()
        channels = self.pictures.shape[-1]
        half = (0.5,) * channels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        from PIL import Image

        picture = self.pictures[i]
        return self.transform(Image.fromarray(picture if picture.shape[-1] == 3 else picture[:, :, 0])), self.labels[i]


def loaded(dataset: Dataset, batch_size: int, workers: int) -> Iterator[Any]:
    """Yield batches for ever, as a tutorial's loop over epochs gets them."""
    loader = DataLoader(
        dataset, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        yield from loader


def textbook(system: Any, game: Game, batches: Iterator[Any]) -> tuple[Loop, tuple[torch.optim.Optimizer, ...]]:
    """Return the loop of the tutorials, and its two optimisers: float32, fakes cut off, numbers read every step.

    Args:
        system: gives the networks, the config and the device; nothing else of it is used.
        game: the losses.
        batches: yields data and labels.
    """
    G, D, config, device = system.G, system.D, system.config, system.device
    d_optimizer = game.optimizer(D.parameters(), config.d_lr, config)
    g_optimizer = game.optimizer(G.parameters(), config.g_lr, config)
    conditional, share = bool(config.classes), getattr(config, "share_fakes", False)
    history = []
    G.train()
    D.train()

    def run(steps: int) -> None:
        for _ in range(steps):
            for _ in range(config.k):
                real, labels = next(batches)
                real = real.to(device)
                c = labels.to(device) if conditional else None
                fake = G(torch.randn(len(real), config.latent_dim, device=device), c)
                d_optimizer.zero_grad()
                d_real, d_fake = D(real, c), D(fake.detach(), c)
                d_loss = game.d_loss(d_real, d_fake)
                d_loss = d_loss + game.penalty(lambda x, c=c: D(x, c), real, fake.detach())  # type: ignore[misc]
                d_loss.backward()
                d_optimizer.step()
                game.after(D)
            g_optimizer.zero_grad()
            if not share:
                fake = G(torch.randn(len(real), config.latent_dim, device=device), c)
            g_loss = game.g_loss(D(fake, c), lambda real=real, c=c: D(real, c))  # type: ignore[misc]
            g_loss.backward()
            g_optimizer.step()
            history.append((d_loss.item(), g_loss.item(), d_real.mean().item(), d_fake.mean().item()))

    return run, (d_optimizer, g_optimizer)


# --------------------------------------------------------------------------------------------- the package's loop


def package(recipe: Any, config: Any, source: Source) -> tuple[Any, Loop]:
    """Return a system and the package's loop of it: the steps that ``train`` makes, without log and checkpoints."""
    runtime.seed_everything(0)
    system = recipe.build(config, source.x.device)
    pace, batches = speed.prepare(system, config), Batches(source, config.batch_size, 0)
    parameters, position = system.parameters(), itertools.count()
    for network in system.networks.values():
        network.train()

    def run(steps: int) -> None:
        for _ in range(steps):
            training.training_step(system, batches, next(position), parameters, pace)

    if config.compile and not speed.compile_networks(system.networks.values(), lambda: run(1)):
        raise RuntimeError("not compiled")
    return system, run


ROWS = (
    "digits-mlp",
    "digits-cgan",
    "digits-lsgan",
    "digits-wgan",
    "digits-wgan-gp",
    "digits-sngan",
    "digits-r3gan",
    "digits-dcgan",
    "faces32-dcgan",
)
"""The recipes that are measured, one of each system at least."""
QUICK_ROWS = ("digits-mlp", "digits-dcgan")


def switches(config: Any, *, compiled: bool = False) -> dict[str, dict[str, Any]]:
    """Return what is tried on a row: a switch -> the keys that turn it the other way than the config has it.

    Args:
        config: the row's.
        compiled: try ``torch.compile`` too, which takes minutes on a CPU.
    """
    found: dict[str, dict[str, Any]] = {"fused": {"fused": not config.fused}}
    if config.channels_last:
        found["channels_last"] = {"channels_last": False}
    if hasattr(config, "share_fakes"):
        found["share_fakes"] = {"share_fakes": not config.share_fakes}
    found["bf16"] = {"precision": "bf16"}
    if compiled:
        found["compile"] = {"compile": True}
    return found


def _on(name: str, config: Any) -> bool:
    """Whether a switch is on in a config, so that turning it is turning it off."""
    return bool(getattr(config, name, False))


# ------------------------------------------------------------------------------------------------------- measuring


def interleaved(
    loops: Mapping[str, Loop], steps: Mapping[str, int], blocks: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Run each loop once in every block, in an order that turns; return the seconds per step, block by block."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    names = [*loops]
    for block in range(blocks):
        turn = block % len(names)
        for name in names[turn:] + names[:turn]:
            runtime.wait(device)
            started = clock()
            loops[name](steps[name])
            runtime.wait(device)
            seconds[name].append((clock() - started) / steps[name])
    return seconds


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Return how many times as long one loop took as another in the same block: the median and the quartiles."""
    quotients = sorted(a / b for a, b in zip(slow, fast, strict=True))
    low, _, high = statistics.quantiles(quotients, n=4) if len(quotients) > 1 else quotients * 3
    return {"median": round(statistics.median(quotients), 3), "low": round(low, 3), "high": round(high, 3)}


def products(device: torch.device, precision: torch.dtype) -> tuple[Loop, int]:
    """Return a loop of products of large square matrices, and how many operations each is: the machine's ceiling."""
    side = 1024 if device == torch.device("cpu") else 4096
    a, b = (torch.randn(side, side, device=device, dtype=precision) for _ in range(2))

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.mm(a, b)

    return run, 2 * side**3


def operations(run: Loop) -> int:
    """Return how many floating-point operations the products and convolutions of one step are."""
    with FlopCounterMode(display=False) as counter:
        run(1)
    return counter.get_total_flops()


KINDS = (
    ("convolutions", r"conv(olution|_transpose|2d)"),
    ("matrix products", r"::(add|b|badd)?mm|linear"),
    ("normalisation", r"norm(?!al_)"),
    ("optimisers and average", r"_foreach|_fused|optimizer|lerp|addc(mul|div)|sqrt"),
    ("activations and losses", r"relu|clamp|threshold|tanh|sigmoid|softplus|where|binary_cross|dropout|bernoulli"),
    ("data and noise", r"index|randn|normal_|randperm|_to_copy|::copy_|::div|::sub|dataloader"),
)
"""Where time goes -> the names of torch's operators, in this order."""


def profiled(run: Loop, device: torch.device, steps: int = 3) -> tuple[dict[str, float], int | None]:
    """Return the share of each kind of operator in the time of a few steps, and the peak of their memory in bytes.

    The peak is what the steps take on top of what was there before them: activations, gradients, temporary tensors.
    None if this version of torch does not tell it.
    """
    from torch.profiler import profile, supported_activities

    with profile(activities=supported_activities(), profile_memory=True) as found:
        peak = runtime.peak_memory(device, lambda: run(steps))
        runtime.wait(device)
    events = found.key_averages()
    there = any(event.self_device_time_total for event in events)
    times: dict[str, float] = {}
    for event in events:
        own = event.self_device_time_total if there else event.self_cpu_time_total
        times[kind(event.key)] = times.get(kind(event.key), 0.0) + own
    total = sum(times.values()) or 1.0
    shares = {name: round(times[name] / total, 3) for name in sorted(times, key=lambda name: -times[name])}
    return shares, _peak(found) if peak is None else peak


def kind(operator: str) -> str:
    """Return the kind of an operator of torch, by its name."""
    return next((name for name, pattern in KINDS if re.search(pattern, operator, re.IGNORECASE)), "the rest")


def _peak(found: Any) -> int | None:
    try:
        events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
        moves = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    except AttributeError:
        return None
    return max(itertools.accumulate(moves), default=0)


def held(system: Any, optimizers: Iterable[torch.optim.Optimizer], *, average: bool) -> int:
    """Return how many bytes stay from step to step: weights, statistics, the optimisers' state, and the average."""
    kept = [tensor for network in system.networks.values() for tensor in (*network.parameters(), *network.buffers())]
    if average:
        kept += [*system.average.module.parameters(), *system.average.module.buffers()]
    for optimizer in optimizers:
        for state in optimizer.state.values():
            kept += [value for value in state.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in kept)


# ------------------------------------------------------------------------------------------------------------ a row


def measure_row(
    name: str,
    *,
    blocks: int = BLOCKS,
    seconds: float = SECONDS,
    device: torch.device | None = None,
    compiled: bool = False,
    processor_time: bool = False,
    workers: Iterable[int] = WORKERS,
    source: Source | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return what is measured of one recipe; the keys are those of ``gancourse bench --json``.

    Args:
        name: the recipe.
        blocks: how often each loop has its turn.
        seconds: about how long a turn of the package's loop is.
        device: default the one in force.
        compiled: try ``torch.compile`` too.
        processor_time: count the processor time of this process, for a busy machine; then the data are loaded by it.
        workers: how many processes may load data for the textbook's loop.
        source: data in place of the recipe's.
        changes: hyper-parameters in place of the cpu profile's.

    Raises:
        UserError: there is no such recipe, no textbook's loop for its system, or its data are points.
    """
    recipe, device = systems.recipe(name), device or runtime.device()
    if recipe.system not in GAMES:
        raise unknown("system with a textbook's loop", recipe.system, GAMES)
    config = recipe.at("cpu", **changes)
    if len(config.shape) != 3:
        raise UserError(f"{name!r} is trained on points; the textbook's loop loads pictures. Take {', '.join(ROWS)}.")
    if source is None:
        source = training.load_source(config.data, device=device, shape=config.shape, quiet=True)
    clock = time.process_time if processor_time else time.perf_counter
    workers = (0,) if processor_time else tuple(workers)
    game, dataset = GAMES[recipe.system], Pictures(source)

    system, own = package(recipe, config, source)
    plain = change(config, channels_last=False, precision="float32", compile=False)
    loops: dict[str, Loop] = {"package": own}
    books, book_optimizers = {}, {}
    for count in workers:
        books[f"textbook {count}"] = twin = recipe.build(plain, device)
        batches = loaded(dataset, config.batch_size, count)
        loops[f"textbook {count}"], book_optimizers[f"textbook {count}"] = textbook(twin, game, batches)
    failed = []
    for switch, keys in switches(config, compiled=compiled).items():
        try:
            loops[switch] = package(recipe, change(config, **keys), source)[1]
        except RuntimeError:
            failed.append(switch)
    work = {}
    for word, precision in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        loops[f"matrices {word}"], work[word] = products(device, precision)

    for run in loops.values():
        run(1)  # warm up
    one = interleaved(loops, dict.fromkeys(loops, 1), 1, device, clock)
    steps = {loop: max(1, round(seconds / max(took[0], 1e-5))) for loop, took in one.items()}
    steps |= {loop: steps["package"] for loop in loops if not loop.startswith("matrices")}
    took = interleaved(loops, steps, blocks, device, clock)

    medians = {loop: statistics.median(values) for loop, values in took.items()}
    book = min((loop for loop in books), key=medians.__getitem__)
    flops = operations(own)
    shares, peak = profiled(own, device)
    _, book_peak = profiled(loops[book], device)
    ceiling = {word: count / medians[f"matrices {word}"] / 1e9 for word, count in work.items()}
    achieved = flops / medians["package"] / 1e9
    return {
        "system": recipe.system,
        "batch_size": config.batch_size,
        "parameters": sum(p.numel() for p in system.parameters()),
        "steps_per_second": round(1 / medians["package"], 2),
        "textbook_steps_per_second": round(1 / medians[book], 2),
        "textbook_workers": int(book.split()[1]),
        "times_as_fast": ratio(took[book], took["package"]),
        "memory_mib": _mib(peak, held(system, training.optimizers(system), average=True)),
        "textbook_memory_mib": _mib(book_peak, held(books[book], book_optimizers[book], average=False)),
        "gflop_per_step": round(flops / 1e9, 3),
        "gflop_per_second": round(achieved, 1),
        "ceiling_gflop_per_second": {word: round(value, 1) for word, value in ceiling.items()},
        "share_of_ceiling": {word: round(achieved / value, 3) for word, value in ceiling.items()},
        "switches": {
            switch: {
                "on": _on(switch, config),
                **(
                    ratio(took[switch], took["package"])
                    if _on(switch, config)
                    else ratio(took["package"], took[switch])
                ),
            }
            for switch in switches(config, compiled=compiled)
            if switch not in failed
        },
        "failed": failed,
        "time": shares,
    }


def _mib(peak: int | None, kept: int) -> float | None:
    return None if peak is None else round((peak + kept) / 2**20, 1)


def bench(
    names: Iterable[str] = (),
    *,
    quick: bool = False,
    blocks: int | None = None,
    device: torch.device | None = None,
    compiled: bool = False,
    processor_time: bool = False,
    say: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> dict[str, Any]:
    """Return the report of ``gancourse bench --json``.

    Args:
        names: recipes; none: all of :data:`ROWS`, or of :data:`QUICK_ROWS`.
        quick: few and short blocks, to see whether it works; the figures are not to be quoted.
        blocks: how often each loop has its turn; default 15, quick 3.
        device: default the one in force.
        compiled, processor_time: see :func:`measure_row`.
        say: is told of each row that begins.
        options: further arguments of :func:`measure_row`.

    Raises:
        UserError: see :func:`measure_row`.
    """
    names = list(dict.fromkeys(names)) or list(QUICK_ROWS if quick else ROWS)
    for name in names:
        systems.recipe(name)  # a wrong name is told before anything is measured
    blocks = (QUICK_BLOCKS if quick else BLOCKS) if blocks is None else blocks
    check_whole("blocks", blocks, 1, 1000)
    device = device or runtime.device()
    if quick:
        options = {"seconds": 0.05, "workers": (0,), **options}
    rows = {}
    for name in names:
        say(f"measuring {name} …")
        rows[name] = measure_row(
            name, blocks=blocks, device=device, compiled=compiled, processor_time=processor_time, **options
        )
    return {
        "device": runtime.describe_device(device),
        "versions": {"gancourse": __version__, "torch": str(torch.__version__)},
        "clock": "processor time" if processor_time else "wall clock",
        "blocks": blocks,
        "quick": quick,
        "rows": rows,
    }


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return a report as lines of text, at most 100 columns wide."""
    told = [
        f"{report['device']}, torch {report['versions']['torch']}, {report['clock']}, "
        f"medians of {report['blocks']} blocks" + (": quick, not to be quoted" if report["quick"] else ""),
        "",
        f"{'recipe':16}{'steps/s':>9}{'textbook':>10}{'times':>8}{'MiB':>8}{'textbook':>10}"
        f"{'GFLOP/s':>9}{'float32':>9}{'bf16':>7}",
    ]

    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    for name, row in report["rows"].items():
        share = row["share_of_ceiling"]
        told.append(
            f"{name:16}{row['steps_per_second']:9.1f}{row['textbook_steps_per_second']:10.1f}"
            f"{row['times_as_fast']['median']:8.2f}{cell(row['memory_mib'], '.0f'):>8}"
            f"{cell(row['textbook_memory_mib'], '.0f'):>10}{row['gflop_per_second']:9.1f}"
            f"{share['float32']:9.0%}{share['bf16']:7.0%}"
        )
    told += ["", "times: as fast as the textbook's loop; float32, bf16: share of the speed of large matrix products"]
    for name, row in report["rows"].items():
        gains = [
            f"{switch} {gain['median']:.2f}{'' if gain['on'] else ' (off)'}" for switch, gain in row["switches"].items()
        ]
        gains += [f"{switch} failed" for switch in row["failed"]]
        shares = [f"{where} {share:.0%}" for where, share in row["time"].items() if share >= 0.01]
        told += ["", name, *_wrapped("each switch", gains), *_wrapped("time", shares)]
    return told


def _wrapped(head: str, parts: list[str]) -> list[str]:
    return textwrap.wrap(f"{head}: {', '.join(parts)}", 98, initial_indent="  ", subsequent_indent="    ")
