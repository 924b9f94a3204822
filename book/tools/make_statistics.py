"""Make the reference statistics of the judges that ship beside their weights.

    python book/tools/make_statistics.py                     # all judges
    python book/tools/make_statistics.py fashion-judge
    python book/tools/make_statistics.py faces-judge

Mean, covariance and labels of a judge's features for the train and test splits of the full and of the mini set of
its pictures, with their diversity within each class, and for 10,000 images of uniform noise. Needs the full set
(`make data`); run it again whenever the judge changes.

Of faces, which are drawn: at 32 and at 64 pixels, for 10,000 of each split, for 10,000 fresh ones that nothing else has
seen, for those of the test split and of the fresh ones that smile, and for 2,000 pictures of noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import torch
from safetensors.torch import save
from torch import Tensor

from gancourse import console, metrics, runtime
from gancourse.datasets import faces, idx
from gancourse.errors import UserError
from gancourse.metrics import attributes, face_reports, judges

FACES = 10_000
"""So many faces of each set are taken: as many as a report asks for."""
FRESH_SEED = 3
"""The fresh faces are drawn with it; splits and mini set have 0, 1 and 2."""

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


def make_faces() -> dict[str, Tensor]:
    """Return the tensors of the faces' file: SIZE-NAME.mean, .covariance, .shares and .diversity (float32)."""
    tensors: dict[str, Tensor] = {}
    for size in attributes.SIZES:
        fresh = faces.make(FACES, size, FRESH_SEED)
        sets = {"uniform": uniform_faces(size), "fresh": fresh.images, "fresh-smiles": smiling(fresh)}
        for split in idx.SPLITS:
            full = faces.load(split, size, quiet=True)
            if full.source != "full":
                raise UserError(f"The statistics need the full set, and this is the mini set ({full.notice}).")
            sets[split] = full.images[:FACES]
        sets["smiles"] = smiling(full)
        for name, images in sets.items():
            found = face_reports.face_statistics(metrics.judge_faces(images, "cpu"))
            for part in ("mean", "covariance", "shares"):
                tensors[f"{size}-{name}.{part}"] = getattr(found, part).float()
            tensors[f"{size}-{name}.diversity"] = torch.tensor(found.diversity)
    return tensors


def smiling(data: faces.Faces) -> Tensor:
    """Return the pictures of the faces that smile, as the data set ``smiles`` has them."""
    return data.images[data.factors.column("smile") >= faces.SMILING]


def uniform_faces(size: int, n: int = 2_000, seed: int = 0) -> Tensor:
    """Return n pictures of uniform noise, uint8 (n, size, size, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, size, size, 3), dtype=torch.uint8, generator=generator)


def write_faces() -> None:
    """Make the statistics of the faces' judge, ship them, and print what frames its figures."""
    path = face_reports.FACE_STATISTICS
    data = save(make_faces(), {"judge": attributes.face_judge_card()["sha256"]})
    runtime.write_atomic(path, data)
    face_reports.reference_face_statistics.cache_clear()
    print(f"{path.name}: {len(data):,} bytes")
    for size in attributes.SIZES:
        report = metrics.face_report(uniform_faces(size))
        for key in ("face_fid_floor", "face_fid_uniform", "gap_floor"):
            print(f"  {key} at {size}: {report[key]:.4g}")


def named(name: str, found: metrics.Statistics) -> dict[str, Tensor]:
    return {
        f"{name}.mean": found.mean.float(),
        f"{name}.covariance": found.covariance.float(),
        f"{name}.labels": found.labels,
    }


def write(judge: str) -> None:
    """Make the statistics of a judge, ship them, and print what frames its figures."""
    if judge == attributes.NAME:
        write_faces()
        return
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
    all_judges = [*judges.SUBJECTS, attributes.NAME]
    parser = argparse.ArgumentParser(description="Make the judges' reference statistics.")
    parser.add_argument("judges", nargs="*", help=f"which of {', '.join(all_judges)}; default: all")
    for judge in parser.parse_args(arguments).judges or all_judges:
        write(judge)


if __name__ == "__main__":
    sys.exit(console.entry(main))
