"""Make the reference statistics of the judges that ship beside their weights.

    python book/tools/make_statistics.py                     # both judges
    python book/tools/make_statistics.py fashion-judge

Mean, covariance and labels of a judge's features for the train and test splits of the full and of the mini set of
its pictures, with their diversity within each class, and for 10,000 images of uniform noise. Needs the full set
(`make data`); run it again whenever the judge changes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from safetensors.torch import save
from torch import Tensor

from gancourse import console, metrics, runtime
from gancourse.datasets import idx
from gancourse.errors import UserError
from gancourse.metrics import judges

LOOK: dict[str, Callable[..., metrics.Judgement]] = {
    "digits-judge": metrics.judge_digits,
    "fashion-judge": metrics.judge_fashion,
}


def make(judge: str = "digits-judge") -> dict[str, Tensor]:
    """Return the tensors of the file: NAME.mean, .covariance and .diversity (float32) and NAME.labels (int64)."""
    tensors: dict[str, Tensor] = {}
    look, loader = LOOK[judge], judges.subject(judge).loader
    for split in idx.SPLITS:
        full = loader.load(split, quiet=True)
        if full.source != "full":
            raise UserError("The statistics need the full set. Run `make data` first.")
        for name, data in ((f"full-{split}", full), (f"mini-{split}", loader.load_mini(split))):
            features = look(data.images, "cpu").features
            tensors |= named(name, metrics.statistics(features, data.labels))
            diversity = metrics.class_diversity(features, data.labels, per_class=None)
            tensors[f"{name}.diversity"] = diversity.float()
    noise = look(metrics.uniform_noise(), "cpu")
    return tensors | named("uniform", metrics.statistics(noise.features, noise.labels))


def named(name: str, found: metrics.Statistics) -> dict[str, Tensor]:
    return {
        f"{name}.mean": found.mean.float(),
        f"{name}.covariance": found.covariance.float(),
        f"{name}.labels": found.labels,
    }


def write(judge: str) -> None:
    """Make the statistics of a judge, ship them, and print what frames its figures."""
    loader, path = judges.subject(judge).loader, metrics.statistics_file(judge)
    data = save(make(judge), {"judge": judges.judge_card(judge)["sha256"]})
    runtime.write_atomic(path, data)
    metrics.reference_statistics.cache_clear()
    print(f"{path.name}: {len(data):,} bytes")
    report, fid = (
        (metrics.digit_report, "digit_fid") if judge == "digits-judge" else (metrics.fashion_report, "fashion_fid")
    )
    test = report(loader.load("test").images, reference="train")
    for key in (f"{fid}_floor", f"{fid}_uniform"):
        print(f"  {key}: {test[key]:.4g}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the judges' reference statistics.")
    parser.add_argument("judges", nargs="*", help=f"which of {', '.join(judges.SUBJECTS)}; default: all")
    for judge in parser.parse_args(arguments).judges or judges.SUBJECTS:
        write(judge)


if __name__ == "__main__":
    sys.exit(console.entry(main))
