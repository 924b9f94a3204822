"""The command line: ``gancourse list | train | sample | evaluate | describe | bench | exercises | doctor``.

Nothing heavy is imported before a command needs it, so ``list`` and ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gancourse import __version__, console, metrics, systems
from gancourse.errors import UserError, check_seed, command_line, nearest, unknown
from gancourse.files import DiskFull, cache, expanded

if TYPE_CHECKING:
    from gancourse.hub import Trained
    from gancourse.training import Run

PROFILE_NAMES = ("smoke", "cpu", "gpu")


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests the nearest option or command."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and one sentence, and exit with status 2."""
        marker = "invalid choice: "
        if marker in message and "choose from" in message:
            given = message.split(marker)[1].split("'")[1]
            options = [word.strip(" '()") for word in message.split("choose from")[1].split(",")]
            message += nearest(given, options)
        super().error(message)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse like the base class, but name the nearest option for one that does not exist."""
        parsed, extra = self.parse_known_args(args, namespace)
        if extra:
            parser = getattr(parsed, "parser", self)
            options = [option for action in parser._actions for option in action.option_strings]
            parser.error(f"unrecognized argument {extra[0]!r}.{nearest(extra[0].split('=')[0], options)}")
        return parsed


def _path(text: str) -> Path:
    """Return a path of the command line; the shell leaves ``--out=~/x`` as it is."""
    path, why = expanded(text, "the path") if text.startswith("~") else (Path(text), "")
    if path is None:
        raise argparse.ArgumentTypeError(f"{why}; name another one")
    return path


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(prog="gancourse", description="Train, sample and measure the GANs of the course.")
    parser.add_argument("--version", action="version", version=f"gancourse {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, text: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run, parser=sub)
        return sub

    sub = command("list", "list the recipes and the reference runs", run_list)
    sub.add_argument("--json", action="store_true", help="print JSON")

    sub = command("train", "train a recipe into a folder", run_train)
    sub.add_argument("recipe", help="recipe, see: gancourse list")
    sub.add_argument("--out", type=_path, metavar="DIR", help="the run's folder (default: runs/RECIPE)")
    sub.add_argument("--profile", metavar="P", help=f"{', '.join(PROFILE_NAMES)} (default: GANCOURSE_PROFILE)")
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="seed of everything (default: 0)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a hyper-parameter")
    sub.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    sub.add_argument("--device", metavar="D", help="cpu, cuda or mps (default: the best there is)")
    sub.add_argument("--quiet", action="store_true", help="print nothing but errors")

    sub = command("sample", "draw samples from a run or a reference run", run_sample)
    sub.add_argument("name", help="a run's folder or a reference run's name")
    sub.add_argument("--n", type=int, default=64, metavar="N", help="how many samples (default: 64)")
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the noise (default: 0)")
    sub.add_argument("--labels", metavar="L", help="classes to draw, such as 8 or 0,1,2 (repeated); default: uniform")
    sub.add_argument("--out", type=_path, metavar="FILE", help="write images uint8 (N, H, W, C), or points, as .npz")
    sub.add_argument("--png", type=_path, metavar="FILE", help="write a sheet of the first samples to look at")
    sub.add_argument("--device", metavar="D", help="cpu, cuda or mps (default: the best there is)")

    sub = command("evaluate", "measure a run or a reference run", run_evaluate)
    sub.add_argument("name", help="a run's folder or a reference run's name")
    sub.add_argument("--n", type=int, metavar="N", help="how many samples (default: 10,000 images or 2,500 points)")
    sub.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the noise (default: 1)")
    sub.add_argument("--json", action="store_true", help="print JSON with fixed keys")
    sub.add_argument("--device", metavar="D", help="cpu, cuda or mps (default: the best there is)")

    sub = command("describe", "print a system's networks and their parameter counts", run_describe)
    sub.add_argument("name", help="a recipe, or with --paper a system")
    sub.add_argument("--paper", action="store_true", help="build the networks at the paper's size")

    sub = command("bench", "time the training steps of recipes beside a textbook's loop", run_bench)
    sub.add_argument("names", nargs="*", metavar="RECIPE", help="recipes of pictures (default: one of each system)")
    sub.add_argument("--quick", action="store_true", help="two recipes in few short blocks, to see whether it works")
    sub.add_argument("--blocks", type=int, metavar="N", help="turns of each loop (default: 15)")
    sub.add_argument("--compile", action="store_true", help="try torch.compile too (takes minutes on a CPU)")
    sub.add_argument("--processor-time", action="store_true", help="count processor time, on a machine that is busy")
    sub.add_argument("--json", action="store_true", help="print JSON with fixed keys")
    sub.add_argument("--device", metavar="D", help="cpu, cuda or mps (default: the best there is)")

    add_exercises(command("exercises", "list, build, test, export and grade the exercises", None))

    command("doctor", "say what this machine has and what the course will use", run_doctor)
    return parser


def add_exercises(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of ``gancourse exercises``."""
    from gancourse import grading

    commands = parser.add_subparsers(dest="exercises", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, text: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run, parser=sub)
        return sub

    sub = command("list", "list the sets, or the exercises of one set", run_exercises_list)
    sub.add_argument("set", nargs="?", metavar="SET", help="a set's word or its chapter, such as game or 01")

    sub = command("build", "write the student copies from notebooks/solutions", run_exercises_build)
    sub.add_argument("--check", action="store_true", help="write nothing; fail if a copy is not what its source gives")
    sub.add_argument("--only", metavar="NN", help="the set of one chapter, such as 02")
    sub.add_argument("--site", type=Path, metavar="DIR", help="look for solution lines in a built site too")

    sub = command("selftest", "grade the right and wrong answers that are known for each exercise", run_selftest)
    sub.add_argument("--set", metavar="SET", help="one set only, such as game or 01")
    sub.add_argument("--seeds", type=int, default=20, metavar="N", help="seeds for each answer (default: 20)")
    sub.add_argument("--quick", action="store_true", help="3 seeds")

    sub = command("export", "write assignments for nbgrader or Otter", run_export)
    sub.add_argument("--to", required=True, choices=("nbgrader", "otter"), help="the tool")
    sub.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder to write into")
    sub.add_argument("--only", metavar="NN", help="the set of one chapter, such as 02")

    grading.add_arguments(command("grade", "grade a folder or a zip of submitted notebooks", grading.run))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 an error for people, 130 stopped by hand.

    A reader of the output who leaves does not stop the command. If its output could not be written, the status is 1.
    """
    given = [*sys.argv[1:]] if argv is None else [*argv]
    with console.steady() as output:
        try:
            status = _run(given)
        except SystemExit as end:  # of argparse: help was shown, or an argument is wrong
            output.flush()
            if end.code or output.lost is None:
                raise
            status = 0
        output.flush()
        if output.lost is not None:
            _fail(f"The output could not be written: {output.lost.strerror or output.lost}.")
            status = status or 1
    return status


def _run(given: list[str]) -> int:
    arguments = build_parser().parse_args(given)
    again = _again(arguments, given)
    try:
        if getattr(arguments, "seed", None) is not None:
            check_seed(arguments.seed)
        arguments.run(arguments)
        return 0
    except DiskFull as error:
        return _fail(f"{error}{f' The run goes on with: {again}' if again else ''}")
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail(f"Stopped.{f' The run goes on from its last checkpoint with: {again}' if again else ''}", 130)
    except FileNotFoundError:
        try:
            Path.cwd()
        except OSError:
            return _fail("The folder that this was started in is not there any more. Change to another one first.")
        raise
    except (MemoryError, RuntimeError) as error:
        told = _memory_message(error)
        if told is None:
            raise
        return _fail(told)


def _again(arguments: argparse.Namespace, given: list[str]) -> str:
    """Return the command that goes on with a training, or an empty string for everything else."""
    if arguments.command != "train" or arguments.recipe in metrics.JUDGES:
        return ""
    return command_line("gancourse", *given, *(() if arguments.resume else ("--resume",)))


def _fail(text: str, status: int = 1) -> int:
    print(f"gancourse: {text}", file=sys.stderr)
    return status


def _memory_message(error: BaseException) -> str | None:
    """Return the sentence for running out of memory, or None if `error` is something else."""
    if type(error).__name__ == "OutOfMemoryError":
        return (
            "CUDA ran out of memory. Lower the batch with --set batch_size=…, close other programs on the GPU, "
            "or use --device cpu. What was saved so far is kept; --resume goes on from it."
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "Memory ran out. Ask for fewer samples with --n, or lower the batch with --set batch_size=…."
    return None


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows of words in columns that are as wide as their longest word."""
    table = [*rows]
    widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
    for row in table:
        print("".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip())


def run_list(arguments: argparse.Namespace) -> None:
    """List recipes and reference runs."""
    from gancourse import hub

    published = hub.registry()
    titles = {name: title for name, (_, title) in systems.INDEX.items()} | metrics.JUDGES
    rows = [{"recipe": n, "title": t, "reference_run": n in published} for n, t in titles.items()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    mark = "   [reference run]"
    print_table((name, title + (mark if name in published else "")) for name, title in titles.items())


def run_train(arguments: argparse.Namespace) -> None:
    """Train, then evaluate and write the card."""
    if arguments.recipe in metrics.JUDGES:
        return train_judge(arguments)
    if arguments.recipe not in systems.INDEX:
        raise unknown("recipe", arguments.recipe, [*systems.INDEX, *metrics.JUDGES])
    recipe = systems.recipe(arguments.recipe)  # before torch is paid for
    from gancourse import cards, evaluation, hub, runtime, training

    out = arguments.out or Path("runs") / recipe.name
    say = (lambda *_: None) if arguments.quiet else print
    run = training.Run(
        recipe,
        profile=arguments.profile,
        seed=arguments.seed,
        out=out,
        resume=arguments.resume,
        device=runtime.device(arguments.device),
        quiet=arguments.quiet,
        **training.parse_settings(arguments.set),
    )
    if (out / "card.md").exists():
        with run.lock:  # and let go of it
            say(f"{out} is finished; nothing to do.")
        return
    say(recipe.banner(run.profile, config=run.config, device=run.device))
    if run.step:
        say(f"resuming at step {run.step:,} of {run.config.steps:,}")
    with run.lock:  # until the card is written
        run.train(lambda step, system: save_samples(run, step))
        report = evaluation.evaluate(run.system)
        text = cards.card(hub.read_record(out), [report], [run.seed], run.seconds)
        runtime.write_atomic(out / "card.md", text.encode())
    if not arguments.quiet:
        print_table(cards.summarise([report]).items())
    say(f"written to {out}")


def train_judge(arguments: argparse.Namespace) -> None:
    """Train a judge; it has a short training of its own, without checkpoints."""
    if arguments.set or arguments.resume:
        raise UserError(f"{arguments.recipe} takes neither --set nor --resume: its settings stand with its code.")
    from gancourse.metrics import attributes, judges

    name, profile, seed, device = arguments.recipe, arguments.profile, arguments.seed, arguments.device
    out = arguments.out or Path("runs") / name
    if name == attributes.NAME:
        text = attributes.describe_face_judge(attributes.train_face_judge(profile, seed, out, device=device))
    else:
        text = judges.describe(judges.train_judge(profile, seed, out, name=name, device=device))
    if not arguments.quiet:
        print(text)
        print(f"written to {out}")


def save_samples(run: Run, step: int) -> None:
    """Write a system's sheet at a step into the run's folder."""
    assert run.out is not None
    write_picture(run.out / "samples" / f"step_{step:06d}.png", run.config.data, *run.system.sheet(seed=run.seed))


def write_picture(path: Path, data: str, samples: Any, columns: int = 8) -> None:
    """Write samples as a PNG: a sheet of images, or a scatter plot of points beside the modes of their data."""
    import io

    from gancourse import images, plots, runtime
    from gancourse.datasets import toy

    if samples.ndim == 4:
        plots.save_png(path, plots.sheet(images.to_uint8(samples).cpu(), columns=columns))
        return
    distribution = toy.get(data)
    mixture = distribution if isinstance(distribution, toy.Mixture) else None
    reach = 1.5 if mixture is None else 1.2 * float(mixture.centres.abs().max()) + 0.3
    figure = plots.points(samples.cpu(), mixture=mixture, limits=reach)  # one frame for all steps
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    figure.clear()
    runtime.write_atomic(path, buffer.getvalue())


def run_sample(arguments: argparse.Namespace) -> None:
    """Draw samples and write them."""
    if arguments.out is None and arguments.png is None:
        raise UserError("Nothing to write: give --out FILE.npz, --png FILE.png, or both.")
    if arguments.out is not None and arguments.out.suffix != ".npz":
        raise UserError(f"--out {arguments.out} should end in .npz; pictures go to --png.")
    if arguments.png is not None and arguments.png.suffix.lower() != ".png":
        raise UserError(f"--png {arguments.png} should end in .png: pictures are written in that form alone.")
    trained = _load(arguments)
    import io

    import numpy as np

    from gancourse import images, runtime
    from gancourse.systems.base import PICTURES_PER_SHEET, POINTS_PER_SHEET

    asked = {} if arguments.labels is None else {"c": _labels(arguments.labels, arguments.n)}
    samples, labels, _ = trained.system.draw(arguments.n, seed=arguments.seed, **asked)
    if arguments.out is not None:
        arrays = {"images": images.to_uint8(samples)} if samples.ndim == 4 else {"points": samples}
        if labels is not None:
            arrays["labels"] = labels
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **{key: value.cpu().numpy() for key, value in arrays.items()})
        runtime.write_atomic(arguments.out, buffer.getvalue())
        print(
            f"{arguments.out}: "
            + ", ".join(f"{k} {tuple(v.shape)} {str(v.dtype).removeprefix('torch.')}" for k, v in arrays.items())
        )
    if arguments.png is not None:
        shown = samples[: PICTURES_PER_SHEET if samples.ndim == 4 else POINTS_PER_SHEET]
        write_picture(arguments.png, trained.system.config.data, shown)
        print(f"{arguments.png}: the first {len(shown)} of {len(samples)} samples")


def _labels(text: str, n: int) -> list[int]:
    """Return the classes that --labels asks for, repeated up to n; whether they exist is the system's business."""
    try:
        given = [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"--labels {text!r} should be whole numbers with commas, such as 8 or 0,1,2.") from None
    return (given * (n // len(given) + 1))[: max(n, 0)]


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Measure a run and print the report."""
    trained = _load(arguments)
    from gancourse import evaluation

    measured = evaluation.evaluate(trained.system, seed=arguments.seed, n=arguments.n, quiet=False)
    report = {"run": arguments.name, **measured}
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    print_table((key, f"{value:.4g}" if isinstance(value, float) else f"{value}") for key, value in report.items())


def _load(arguments: argparse.Namespace) -> Trained:
    from gancourse import hub

    hub.find(arguments.name)  # a wrong name is told before torch is paid for
    from gancourse import runtime

    return hub.load(arguments.name, runtime.device(arguments.device))


def run_describe(arguments: argparse.Namespace) -> None:
    """Print networks and parameter counts."""
    if arguments.paper:
        networks, source = systems.paper(arguments.name)
        print(f"{arguments.name}, at the paper's size: {source}")
    else:
        recipe = systems.recipe(arguments.name)
        import torch

        networks = recipe.build(recipe.at(), torch.device("cpu")).networks
        print(f"{recipe.name}: {recipe.title}")
    for name, network in networks.items():
        count = sum(p.numel() for p in network.parameters())
        print(f"\n{name}: {count:,} parameters")
        print(network)


def run_bench(arguments: argparse.Namespace) -> None:
    """Time training steps and print the table."""
    for name in arguments.names:
        if name not in systems.INDEX:  # before torch is paid for
            raise unknown("recipe", name, systems.INDEX)
    for level, least in (("TORCH_CPP_LOG_LEVEL", "ERROR"), ("KINETO_LOG_LEVEL", "6")):
        os.environ.setdefault(level, least)  # torch's profiler writes lines of its own
    from gancourse import bench, runtime

    report = bench.bench(
        arguments.names,
        quick=arguments.quick,
        blocks=arguments.blocks,
        device=runtime.device(arguments.device),
        compiled=arguments.compile,
        processor_time=arguments.processor_time,
        say=lambda text: print(text, file=sys.stderr),
    )
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(bench.lines(report)))


def run_exercises_list(arguments: argparse.Namespace) -> None:
    """List the sets, or the exercises of one."""
    from gancourse import checks
    from gancourse.checks import sets

    if arguments.set is None:
        print_table((word, chapter, title) for word, (chapter, title) in checks.INDEX.items())
        return
    exercises = checks.load_set(sets.word(arguments.set))
    print(f"{exercises.title}: {len(exercises.exercises)} exercises, {exercises.points} points")
    print_table((e.name, e.tier, f"{e.points:3}", e.title) for e in exercises.exercises)


def run_exercises_build(arguments: argparse.Namespace) -> None:
    """Write the student copies, or check them."""
    from gancourse.checks import build

    print(build.build(arguments.only, check=arguments.check, site=arguments.site))


def run_selftest(arguments: argparse.Namespace) -> None:
    """Try right and wrong answers."""
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: at least one seed is needed.")
    from gancourse.checks import selftest

    selftest.selftest(arguments.set, selftest.SEEDS_QUICK if arguments.quick else arguments.seeds)


def run_export(arguments: argparse.Namespace) -> None:
    """Write assignments for another tool."""
    from gancourse.grading import export

    print(export.export(arguments.to, arguments.out, arguments.only))


def run_doctor(arguments: argparse.Namespace) -> None:
    """Print what this machine has, and fail if something the course needs is missing."""
    import importlib.metadata
    import platform

    missing = []

    def line(name: str, text: str) -> None:
        print(f"{name:12}{text}")

    line("gancourse", __version__)
    line("python", platform.python_version())
    for package in ("torch", "torchvision", "numpy", "scipy", "matplotlib", "ipywidgets", "safetensors"):
        try:
            line(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            line(package, "missing")
            missing.append(package)
    if "torch" in missing:
        raise UserError("PyTorch is not installed; install it as https://pytorch.org describes, then run this again.")
    from gancourse import runtime
    from gancourse.datasets import digits

    line("device", runtime.describe_device(runtime.device()))
    line("profile", runtime.profile())
    kept, why = cache()
    line("cache", f"{kept} ({why})" if why else str(kept))
    line("colab", "yes" if "COLAB_RELEASE_TAG" in os.environ else "no")
    train = digits.load("train", quiet=True)
    found = f"{len(train.images):,} training digits, the {train.source} set"
    line("digits", f"{found}. {train.notice}" if train.notice else found)
    line(
        "writable",
        f"{Path.cwd()} " + ("yes" if os.access(Path.cwd(), os.W_OK) else "no: use --out elsewhere"),
    )
    if missing:
        raise UserError(f"Missing packages: {', '.join(missing)}. Install them with pip install {' '.join(missing)}.")


if __name__ == "__main__":
    sys.exit(main())
