"""Images: sheets of samples, the PNG files they are written to, and flip-books of them over time."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gancourse import images as image_layouts
from gancourse.errors import UserError
from gancourse.plots.style import DPI, FONT, WIDTH, Array, Picture, as_words, fit, plain, require_finite, styled
from gancourse.runtime import write_atomic

if TYPE_CHECKING:
    from IPython.display import HTML

__all__ = ["Images", "sheet", "save_png", "sample_grid", "flip_book", "frames_strip"]

Images = Tensor | Array


def _pixels(images: Images, name: str = "The image batch") -> NDArray[np.uint8]:
    """Return uint8 (N, H, W, C) pixels of a uint8 NHWC or float NCHW batch, C being 1 or 3."""
    if isinstance(images, Tensor):
        batch = images.detach().cpu()
    else:  # copied, since torch takes neither read-only memory nor negative strides
        array = np.array(images, order="C")
        if array.dtype.kind not in "biuf":
            raise UserError(f"{name} should be a tensor or an array of numbers, got {type(images).__name__}.")
        batch = torch.from_numpy(array)
    given = f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    expected = "uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1], with C = 1 or 3"
    integer = batch.dtype == torch.uint8
    if batch.ndim != 4 or not (integer or torch.is_floating_point(batch)):
        raise UserError(f"{name} is {given}; expected {expected}. A single image x becomes a batch by x[None].")
    if batch.shape[3 if integer else 1] not in (1, 3):
        raise UserError(f"{name} is {given}; expected {expected}. Check the order of its dimensions.")
    if batch.numel() == 0:
        raise UserError(f"{name} is empty: {given}. Give at least one image.")
    if not integer:
        require_finite(batch.to(torch.float32).numpy(), name)
        batch = image_layouts.to_uint8(batch)
    return batch.numpy()


def sheet(images: Images, columns: int = 10, gap: int = 1, row_gap: int | None = None) -> NDArray[np.uint8]:
    """Lay images out row by row on one sheet of pixels.

    The value range is fixed: -1 is always black and 1 white (uint8: 0 and 255), so sheets can be compared.
    Floats outside [-1, 1] are clamped.

    Args:
        images: uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1]; C is 1 or 3.
        columns: images in a row; fewer images than that make a shorter row.
        gap: white pixels between neighbours; `row_gap` sets them between rows (None: the same).

    Returns:
        uint8 (H', W', C) pixels.

    Raises:
        UserError: an empty batch, another shape, NaN, or fewer than one column.
    """
    tiles = _pixels(images)
    row_gap = gap if row_gap is None else row_gap
    if gap < 0 or row_gap < 0:
        raise UserError(f"Got gap={gap} and row_gap={row_gap}; they must be at least 0.")
    count, height, width, channels = tiles.shape
    columns = fit(columns, count)
    rows = math.ceil(count / columns)
    padded = np.full((rows * columns, height + row_gap, width + gap, channels), 255, np.uint8)
    padded[:count, :height, :width] = tiles
    grid = padded.reshape(rows, columns, *padded.shape[1:]).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + row_gap), columns * (width + gap), channels)
    return np.ascontiguousarray(grid[: grid.shape[0] - row_gap, : grid.shape[1] - gap])


def _quantised(pixels: NDArray[np.uint8], shades: int) -> NDArray[np.uint8]:
    """Return the nearest of `shades` evenly spaced greys as indices, 0 being black."""
    return np.rint(pixels / 255 * (shades - 1)).astype(np.uint8)


def _png(pixels: NDArray[np.uint8], shades: int | None = None) -> bytes:
    """Encode uint8 (H, W), (H, W, 1) or (H, W, 3) pixels as PNG.

    With `shades` (2 to 16) grey pixels are rounded to a palette of so many greys, two pixels to the byte.
    Rows are written as they are or as differences to the row above (filter types 0 and 2), whichever packs
    smaller. Source: Portable Network Graphics specification, W3C.
    """
    height, width = pixels.shape[:2]
    rows: NDArray[Any] = pixels.reshape(height, -1)
    colour, bits, palette = (2 if rows.shape[1] == 3 * width else 0), 8, b""
    if shades:
        levels = np.pad(_quantised(rows, shades), ((0, 0), (0, width % 2)))
        rows = levels[:, ::2] << 4 | levels[:, 1::2]
        greys = np.rint(np.linspace(0, 255, shades)).astype(np.uint8)
        colour, bits, palette = 3, 4, greys.repeat(3).tobytes()
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    bodies = []
    for kind, values in ((0, rows), (2, rows - above)):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
            packer = zlib.compressobj(9, strategy=strategy)
            bodies.append(packer.compress(np.insert(values, 0, kind, axis=1).tobytes()) + packer.flush())

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = (chunk(b"PLTE", palette) if palette else b"") + chunk(b"IDAT", min(bodies, key=len))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def save_png(path: str | Path, array: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W), (H, W, 1) or (H, W, 3) pixels, for example a `sheet`, as a PNG file.

    The bytes depend on the pixels alone: no time, no path, no version.

    Raises:
        UserError: another type or shape, or the file cannot be written (an older file then stays as it was).
    """
    array = np.asarray(array)
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)) or array.size == 0:
        raise UserError(
            f"A PNG needs uint8 pixels of shape (H, W), (H, W, 1) or (H, W, 3), got {array.dtype} "
            f"{array.shape}. plots.sheet makes them from a batch of images."
        )
    write_atomic(path, _png(array))


@styled
def sample_grid(
    images: Images,
    columns: int = 10,
    title: str | None = None,
    labels: Iterable[object] | None = None,
    scale: float = 1.0,
) -> Figure:
    """Show a batch of images as one sheet, every pixel a whole number of screen pixels.

    The value range is fixed, as in `sheet`: a grey image stays grey whatever else is in the batch.

    Args:
        images: uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1]; C is 1 or 3.
        labels: N captions, one under each image (numbers or words).
        scale: 1 fills the width of a page where whole pixels allow it; 0.5 half of it.

    Raises:
        UserError: as in `sheet`; a number of labels that is not N; a scale that is not positive.
    """
    pixels = _pixels(images)
    names = None if labels is None else [str(plain(label)) for label in labels]
    if names is not None and len(names) != len(pixels):
        raise UserError(f"Got {len(names)} labels for {len(pixels)} images; give one for each, or none.")
    if not scale > 0:
        raise UserError(f"Got scale={scale}; it must be positive, 1 being the width of a page.")
    count, tile_height, tile_width, _ = pixels.shape
    columns = fit(columns, count)
    zoom = max(1, math.floor(WIDTH * DPI * scale / (columns * (tile_width + 1))))
    caption = math.ceil((FONT + 4) / 72 * DPI / zoom) if names else 0  # sheet pixels under each row
    page = sheet(pixels, columns, row_gap=caption if names else 1)
    if names:
        page = np.pad(page, ((0, caption), (0, 0), (0, 0)), constant_values=255)
    height, width = page.shape[:2]
    top = round(0.34 * DPI) if title else 0
    letters = math.ceil(0.62 * (FONT + 1) / 72 * DPI * len(title or ""))
    size = (max(width * zoom, letters), height * zoom + top)
    figure = Picture(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    ax = figure.add_axes((0, 0, width * zoom / size[0], height * zoom / size[1]))
    ax.set_axis_off()
    _draw(ax, page)
    for k, name in enumerate(names or []):
        row, column = divmod(k, columns)
        x = column * (tile_width + 1) + tile_width / 2 - 0.5
        y = row * (tile_height + caption) + tile_height + caption / 2 - 0.5
        ax.text(x, y, name, ha="center", va="center", fontsize=FONT - 1)
    if title:
        figure.text(0, 1 - 0.45 * top / size[1], title, ha="left", va="center", fontsize=FONT + 1)
    return figure


def _draw(ax: Axes, page: NDArray[np.uint8]) -> None:
    """Draw pixels as they are: three channels, so that no colour map rounds them."""
    ax.imshow(np.broadcast_to(page, (*page.shape[:2], 3)), interpolation="nearest", aspect="auto")


# Frames over time ------------------------------------------------------------------------------------


def _frames(
    frames: Sequence[Images], captions: Sequence[int | str], columns: int | None
) -> tuple[list[NDArray[np.uint8]], list[str], int]:
    """Return the sheets of `frames`, their captions and the height or width of one tile."""
    if len(frames) < 2:
        raise UserError(f"Got {len(frames)} frame(s); a series needs at least 2. plots.sample_grid shows one.")
    if len(frames) != len(captions):
        raise UserError(f"Got {len(captions)} captions for {len(frames)} frames; give one for each.")
    batches = [_pixels(frame, f"Frame {k}") for k, frame in enumerate(frames)]
    if len({batch.shape for batch in batches}) > 1:
        shapes = ", ".join(sorted({str(batch.shape) for batch in batches}))
        raise UserError(f"The frames differ in shape: {shapes}. Draw each from the same noise, in the same size.")
    columns = columns or math.ceil(math.sqrt(len(batches[0])))
    words = [as_words(caption) for caption in captions]
    return [sheet(batch, columns) for batch in batches], words, max(batches[0].shape[1:3])


_BOOK_STYLE = """
.gc-book{margin:.5em 0 1.25em;color:currentColor;font-size:1rem;line-height:1.4}
.gc-book .gc-frames{display:grid;gap:.75rem;
grid-template-columns:repeat(auto-fill,minmax(min(11rem,45%),1fr))}
.gc-book figure{margin:0;padding:0;text-align:center}
.gc-book figcaption{margin:.25em 0;padding:0;color:inherit!important;
font:inherit!important;font-variant-numeric:tabular-nums!important}
.gc-book img{display:block;width:100%;height:auto;margin:0 auto;padding:0!important;border-radius:0!important}
.gc-book.gc-live.gc-sharp img{image-rendering:pixelated}
.gc-book .gc-bar{display:none}
.text_html:has(>.gc-book){background:transparent!important;color:inherit!important;padding:0!important}
@media screen{
.gc-book.gc-live{max-width:var(--gc-width)}
.gc-book.gc-live .gc-frames{grid-template-columns:minmax(0,1fr)}
.gc-book.gc-live figure{grid-area:1/1;visibility:hidden}
.gc-book.gc-live figure.gc-on{visibility:visible}
.gc-book.gc-live .gc-bar{display:flex;gap:.75rem;align-items:center}
.gc-book button{font:inherit;color:inherit;background:transparent;border:1px solid currentColor;
border-radius:.3em;min-width:5em;min-height:2.75em;padding:.25em .75em;cursor:pointer}
.gc-book input{flex:1;min-width:0;height:2.75em;margin:0;accent-color:#c75000;cursor:pointer}
}
"""

_BOOK_SCRIPT = """
for (const book of document.querySelectorAll('[data-gc-book="%s"]:not(.gc-live)')) {
  const frames = [...book.querySelectorAll("figure")], last = frames.length - 1;
  const slider = book.querySelector("input"), button = book.querySelector("button");
  let timer = null;
  const show = (index) => {
    frames.forEach((frame, k) => frame.classList.toggle("gc-on", k === index));
    slider.value = index;
    slider.setAttribute("aria-valuetext", frames[index].textContent.trim());
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const play = () => {
    if (+slider.value === last) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => { show(+slider.value + 1); if (+slider.value === last) stop(); }, %d);
  };
  button.onclick = () => (timer === null ? play() : stop());
  slider.oninput = () => { stop(); show(+slider.value); };
  book.classList.add("gc-live");
  show(last);
}
"""


def flip_book(
    frames: Sequence[Images],
    captions: Sequence[int | str],
    columns: int | None = None,
    fps: float = 2.0,
    alt: str = "Samples of the generator from fixed noise",
    shades: int = 9,
) -> HTML:
    """Return a small page element that plays samples of fixed noise over the course of training.

    It carries its pictures, style and script with it, so it works on a web page, on Colab, in Jupyter and
    from a file, with mouse, finger or keyboard. It opens at the last frame. Where scripts do not run, and on
    paper, all frames stand side by side. Grey frames are rounded to a few shades, so that twelve sheets
    of 64 digits take 100 to 250 kB; colour frames are stored as they are. Equal input gives equal output.

    Args:
        frames: at least two batches of one shape, each uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1].
        captions: one for each frame; an integer n reads "step n".
        columns: images in a row of a frame (None: as square as possible).
        fps: frames per second, from 0.1 to 30.
        alt: what the pictures show, for readers who do not see them.
        shades: greys between black and white, 2 to 16; more make a larger file. An odd number has the middle.

    Raises:
        UserError: as in `sheet`; frames that differ in shape; an `fps` out of range; more than 2 MB.
    """
    from IPython.display import HTML

    if not 0.1 <= fps <= 30:
        raise UserError(f"Got fps={fps}; a flip-book plays from 0.1 to 30 frames a second.")
    if not 2 <= shades <= 16:
        raise UserError(f"Got shades={shades}; a flip-book takes 2 to 16 greys.")
    sheets, words, tile = _frames(frames, captions, columns)
    height, width, channels = sheets[0].shape
    pictures = [base64.b64encode(_png(page, shades if channels == 1 else None)).decode() for page in sheets]
    if (size := sum(map(len, pictures))) > 2_000_000:
        raise UserError(
            f"This flip-book would take {size / 1e6:.1f} MB, more than 2 MB. Give fewer frames or fewer images in each."
        )
    content = b"".join(page.tobytes() for page in sheets) + repr((words, sheets[0].shape, fps, alt, shades)).encode()
    key = hashlib.sha256(content).hexdigest()[:12]
    zoom = max(1, min(2, round(520 / width)), math.ceil(256 / width))  # the slider needs room
    figures = "\n".join(
        f'<figure><img class="dark-light" alt="{html.escape(f"{alt}, {word}")}" width="{width * zoom}" '
        f'height="{height * zoom}" src="data:image/png;base64,{picture}"><figcaption>{html.escape(word)}'
        "</figcaption></figure>"
        for word, picture in zip(words, pictures, strict=True)
    )
    last = len(sheets) - 1
    return HTML(
        f'<div class="gc-book{" gc-sharp" if tile <= 32 else ""}" data-gc-book="{key}" role="group" '
        f'aria-label="{html.escape(alt)}" style="--gc-width:{width * zoom}px">\n'
        f"<style>{_BOOK_STYLE}</style>\n"
        f'<div class="gc-frames">\n{figures}\n</div>\n<div class="gc-bar"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" step="1" aria-label="Frame"></div>\n'
        f"<script>{_BOOK_SCRIPT % (key, round(1000 / fps))}</script>\n</div>"
    )


@styled
def frames_strip(
    frames: Sequence[Images], captions: Sequence[int | str], columns: int | None = None, across: int = 4
) -> Figure:
    """Show the frames of a flip-book side by side, `across` in a row, for paper and pages without scripts.

    Grey frames are rounded to 16 shades, which keeps the picture of a noisy series small.
    Arguments and errors are those of `flip_book`.
    """
    sheets, words, _ = _frames(frames, captions, columns)
    across = fit(across, len(sheets))
    margin, page = 8, WIDTH * DPI
    zoom = max(1, math.floor((page - margin * (across - 1)) / (across * sheets[0].shape[1])))
    sheets = [page_.repeat(zoom, axis=0).repeat(zoom, axis=1) for page_ in sheets]
    height, width, channels = sheets[0].shape
    total = across * (width + margin) - margin
    dpi = max(DPI, total / WIDTH)  # whole pixels first; the letters keep their share of the width
    caption = round((FONT + 7) / 72 * dpi)
    rows = math.ceil(len(sheets) / across)
    canvas = np.full((rows * (height + caption + margin) - margin, total, channels), 255, np.uint8)
    figure = Picture(figsize=(total / dpi, canvas.shape[0] / dpi), dpi=dpi)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    for k, (pixels, word) in enumerate(zip(sheets, words, strict=True)):
        top, left = k // across * (height + caption + margin) + caption, k % across * (width + margin)
        canvas[top : top + height, left : left + width] = pixels if channels == 3 else _quantised(pixels, 16) * 17
        ax.text(left + width / 2, top - caption / 2, word, ha="center", va="center", fontsize=FONT)
    _draw(ax, canvas)
    return figure
