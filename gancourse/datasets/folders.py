"""Photographs: any folder of pictures, and CelebA. They are an option; where there are none, drawn faces stand in.

``data="photos"`` is the folder ``photos`` of the folder that ``GANCOURSE_DATA`` names (or of ``data/`` in a source
checkout), whatever lies in it and below. ``data="celeba"`` is CelebA (Liu, Luo, Wang & Tang 2015, arXiv:1411.7766;
for research that is not commercial): 162,770 photographs, 1.4 GB, in the folder ``celeba`` there or in the cache
folder, as torchvision unpacks them. If it is nowhere, :func:`celeba` lets torchvision fetch it, and a link that is dead
costs one line: the drawn faces take its place. No test and no chapter needs a photograph.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gancourse import files, runtime
from gancourse.datasets import faces, idx
from gancourse.datasets.source import Source
from gancourse.errors import UserError, check_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff")
BEHIND = (255, 255, 255)
"""What stands behind a picture that can be seen through."""
CELEBA_ZOOM = 178 / 148
"""CelebA's 178×218 pixels are cut to the inner 148×148, as is usual."""
CELEBA_TRAIN = 162_770
FETCH_SECONDS = 1_800.0
_NAMED = 5  # so many skipped files are named


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a folder holds.

    Attributes:
        images: uint8 (N, size, size, 3).
        skipped: the files that were not taken, each with the reason.
        notice: one line that counts and names them, empty where every file was taken.
    """

    images: Tensor
    skipped: tuple[tuple[str, str], ...]
    notice: str

    def __len__(self) -> int:
        return len(self.images)


def load(
    folder: str | Path, size: int = 64, *, zoom: float = 1.0, limit: int | None = None, quiet: bool = False
) -> Pictures:
    """Return the pictures in a folder and below it, cut to their middle square and brought to one size.

    Grey pictures become coloured ones; what can be seen through stands on white; a photograph that a camera stored
    turned is turned back; of a moving picture the first frame is taken. A file that cannot be read, or that is smaller
    than `size`, is skipped, named and counted; files that are no pictures are passed over.

    Args:
        folder: its path.
        size: of the pictures, in pixels.
        zoom: 1 keeps the largest square in the middle, 2 half of it.
        limit: how many files to look at, in the order of their names; None: all.
        quiet: True keeps the notice off the screen.

    Raises:
        UserError: there is no such folder, or no picture in it that can be used.
    """
    check_whole("size", size, 4, 1_024)
    if not 1 <= zoom <= 100:
        raise UserError(f"zoom={zoom!r} is out of range: 1 keeps the largest square, 2 the half of it, up to 100.")
    if limit is not None:
        check_whole("limit", limit, 1, 10**9)
    path, why = files.expanded(str(folder), "the folder")
    if path is None:
        raise UserError(f"{why}. Name another folder.")
    if not path.is_dir():
        raise UserError(f"{path} is not a folder. Name the folder that your pictures are in.")
    found = _pictures_in(path)[:limit]
    if not found:
        raise UserError(f"There are no pictures in {path} (looked for {', '.join(SUFFIXES)}, in folders below it too).")
    images = np.empty((len(found), size, size, 3), dtype=np.uint8)
    taken, skipped = 0, []
    for file in runtime.progress(found, desc="reading pictures"):
        try:
            images[taken] = picture(file, size, zoom)
            taken += 1
        except UserError as error:
            skipped.append((str(file.relative_to(path)), str(error)))
    notice = _counted(path, len(found), skipped) if skipped else ""
    if not taken:
        raise UserError(f"No picture in {path} can be used. {notice}")
    if notice and not quiet:
        idx._say_once(notice)
    return Pictures(torch.from_numpy(images[:taken].copy()), tuple(skipped), notice)


def _pictures_in(folder: Path) -> list[Path]:
    """Return the files that should be pictures, sorted; hidden ones and a desktop's leftovers are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") or files.is_junk(part) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _counted(folder: Path, n: int, skipped: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{name} {why}" for name, why in skipped[:_NAMED])
    more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return f"{folder}: {n - len(skipped):,} of {n:,} pictures are used. Skipped: {named}{more}."


def picture(path: Path, size: int, zoom: float = 1.0) -> np.ndarray:
    """Return one file as uint8 (size, size, 3).

    Raises:
        UserError: it cannot be read, or is too small; the text goes on from the file's name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError("has too many pixels") from None
    except Exception as error:  # a damaged file makes its reader fail in any way
        raise UserError(f"cannot be read ({type(error).__name__})") from None
    side = min(image.size) / zoom
    if side < size:
        raise UserError(f"is too small ({image.width}×{image.height} pixels)")
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = _coloured(image)
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side)))


def _coloured(image: Image.Image) -> Image.Image:
    """Return a picture of any kind in eight-bit colours."""
    if image.mode.startswith(("I", "F")):  # sixteen bits or more: brought to the range of eight
        values = np.asarray(image, dtype=np.float64)
        top = 65_535.0 if values.max() > 255 else 255.0
        return Image.fromarray((values / top * 255).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        seen = image.convert("RGBA")
        behind = Image.new("RGBA", seen.size, (*BEHIND, 255))
        return Image.alpha_composite(behind, seen).convert("RGB")
    return image.convert("RGB")


# -------------------------------------------------------------------------------------------- for the loop


def celeba(size: int = 64, *, limit: int | None = 30_000, quiet: bool = False) -> Pictures | None:
    """Return CelebA's training photographs, or None and one line on why there are none.

    Args:
        size: of the pictures, in pixels.
        limit: how many; None: all 162,770, which take 2 GB at 64 pixels.
        quiet: True keeps the line off the screen.
    """
    folder, why = _celeba_folder()
    if folder is None:
        if not quiet:
            idx._say_once(f"CelebA is not to be had ({why}): drawn faces take its place.")
        return None
    most = CELEBA_TRAIN if limit is None else min(limit, CELEBA_TRAIN)
    return load(folder, size, zoom=CELEBA_ZOOM, limit=most, quiet=quiet)


def _celeba_folder() -> tuple[Path | None, str]:
    """Return the folder of CelebA's photographs, fetched if need be, or None and the reason."""
    for base in [*_bases(), *files.caches()]:
        folder = base / "celeba" / "img_align_celeba"
        if folder.is_dir() and any(folder.glob("*.jpg")):
            return folder, ""
    if idx._in_ci():
        return None, "no download under CI"
    if runtime.profile() == "smoke":
        return None, "no download at the profile smoke"
    cache, _ = files.cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return None, f"{cache} cannot be written ({error.strerror})"
    idx._say_once(f"Fetching CelebA (1.4 GB) with torchvision into {cache / 'celeba'} …")
    program = "import sys; from torchvision.datasets import CelebA; CelebA(sys.argv[1], download=True)"
    problem = idx._run([sys.executable, "-c", program, str(cache)], FETCH_SECONDS, "torchvision's download")
    folder = cache / "celeba" / "img_align_celeba"
    if problem or not folder.is_dir():
        return None, problem or "torchvision's download did not bring the photographs"
    return folder, ""


def _bases() -> list[Path]:
    """Return the data folders: the one that is named, and that of a source checkout."""
    named = os.environ.get("GANCOURSE_DATA")
    bases = [files.expanded(named, "GANCOURSE_DATA")[0] if named else None, idx._checkout_folder()]
    return [base for base in bases if base is not None]


def training(name: str, shape: tuple[int, ...], *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return photographs for the loop, in the shape (3, size, size): ``photos`` or ``celeba``, else drawn faces."""
    size, found = shape[-1], None
    if name == "celeba":
        found = celeba(size, quiet=quiet)
    else:
        folders = [base / "photos" for base in _bases() if (base / "photos").is_dir()]
        if folders:
            found = load(folders[0], size, quiet=quiet)
        elif not quiet:
            idx._say_once(
                "There is no folder `photos` in the folder that GANCOURSE_DATA names: faces are drawn instead."
            )
    if found is not None:
        return Source(name, "full", found.images.to(device))
    drawn = faces.load("train", size, device, quiet)
    return Source(name, f"drawn {drawn.source}", drawn.images)
