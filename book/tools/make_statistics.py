"""Make the reference statistics of the digit judge that ship beside its weights.

    python book/tools/make_statistics.py

Mean, covariance and labels of the judge's features for the train and test splits of the full and of the mini
set, and for 10,000 images of uniform noise. Needs the full set (`make data`); run it again whenever the judge
changes.
"""

from __future__ import annotations

from safetensors.torch import save
from torch import Tensor

from gancourse import metrics, runtime
from gancourse.datasets import digits
from gancourse.errors import UserError
from gancourse.systems import judges


def make() -> dict[str, Tensor]:
    """Return the tensors of the file: NAME.mean and NAME.covariance (float32) and NAME.labels (int64)."""
    tensors: dict[str, Tensor] = {}
    for split in digits.SPLITS:
        full = digits.load(split, quiet=True)
        if full.source != "full":
            raise UserError("The statistics need the full set. Run `make data` first.")
        for name, data in ((f"full-{split}", full), (f"mini-{split}", digits.load_mini(split))):
            features = metrics.judge_digits(data.images, "cpu").features
            tensors |= named(name, metrics.statistics(features, data.labels))
    noise = metrics.judge_digits(metrics.uniform_noise(), "cpu")
    return tensors | named("uniform", metrics.statistics(noise.features, noise.labels))


def named(name: str, found: metrics.Statistics) -> dict[str, Tensor]:
    return {
        f"{name}.mean": found.mean.float(),
        f"{name}.covariance": found.covariance.float(),
        f"{name}.labels": found.labels,
    }


def main() -> None:
    data = save(make(), {"judge": judges.judge_card()["sha256"]})
    runtime.write_atomic(metrics.STATISTICS, data)
    metrics.reference_statistics.cache_clear()
    print(f"{metrics.STATISTICS.name}: {len(data):,} bytes")
    test = metrics.digit_report(digits.load("test").images, reference="train")
    for key in ("digit_fid_floor", "digit_fid_uniform"):
        print(f"  {key}: {test[key]:.4g}")


if __name__ == "__main__":
    main()
