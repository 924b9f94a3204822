"""The course's pictures: sheets of samples, flip-books, discriminator landscapes, curves and histograms.

One look everywhere, safe for colour-blind readers: data is blue, the generator orange, the discriminator
green. Every plotting function returns a Matplotlib figure and never shows it: make it the last expression of
a cell, or pass it to ``display``. Figures are opaque white with dark text, so that they read the same on a
dark page.
With ``ax=`` a function draws on axes of yours and returns their figure.
"""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import html
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

import matplotlib
import matplotlib.ticker
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gancourse import images as image_layouts
from gancourse.errors import UserError, nearest
from gancourse.runtime import write_atomic

if TYPE_CHECKING:
    from IPython.display import HTML

DATA = "#0072B2"
GENERATOR = "#C75000"
DISCRIMINATOR = "#00795A"
INK = "#222222"
MUTED = "#666666"
OTHERS = ("#8F4A87", "#7A5C00", "#3A7EBF", "#444444")

#: Grey where the discriminator says "generated", white where it cannot tell, green where it says "data".
VERDICT = LinearSegmentedColormap.from_list("verdict", ["#8E8E8E", "#FCFCFA", "#55B794"])

WIDTH = 6.0  # inches; 660 pixels, so that letters are still 9 pixels high on a phone of 390
DPI = 110
FONT = 11.0
FAMILY = "DejaVu Sans"  # comes with Matplotlib, so a figure looks the same everywhere

_STYLE: dict[str, Any] = {
    "font.family": [FAMILY],
    "font.size": FONT,
    "axes.titlesize": FONT + 1,
    "axes.titlelocation": "left",
    "axes.labelsize": FONT,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "white",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=[DATA, GENERATOR, DISCRIMINATOR, *OTHERS]),
    "figure.constrained_layout.h_pad": 0.07,
    "figure.constrained_layout.w_pad": 0.07,
    "figure.facecolor": "white",
    "legend.fontsize": FONT - 1,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}

Array = NDArray[Any]
Images = Tensor | Array
Judge = Callable[[Tensor], Tensor]
Limits = float | tuple[float, float] | tuple[float, float, float, float]

P = ParamSpec("P")
R = TypeVar("R")


class Picture(Figure):
    """A figure outside pyplot's registry: a notebook shows it once, and nothing has to be closed."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


def _styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` inside the course's style and leave the reader's own settings alone."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(cast(Any, _STYLE)):
            return function(*args, **kwargs)

    return wrapper


def _dress(ax: Axes, grid: bool = False) -> None:
    """Give `ax` the course's frame, ticks and optional horizontal grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=FONT - 1, length=3, labelfontfamily=FAMILY)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis="y", color="#E4E4E4", linewidth=0.8)


def _canvas(ax: Axes | None, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return the figure and axes to draw on: the caller's, or new ones `height` inches high."""
    if ax is not None:
        return ax.figure.figure, ax
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.add_subplot()


@_styled
def panels(
    count: int, columns: int = 3, aspect: float = 1.0, width: float = WIDTH, side: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` axes in rows of `columns`, for functions that take ``ax=``.

    Args:
        aspect: height of one panel over its width.
        width: width of the whole figure in inches, of which `side` stays free for a colour bar.
    """
    if count < 1:
        raise UserError(f"Got {count} panels to draw; a figure needs at least 1.")
    columns = _fit(columns, count)
    rows = math.ceil(count / columns)
    height = rows * ((width - side) / columns * aspect + 0.3)
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


@_styled
def blocks(
    parts: Mapping[str, tuple[float, float]], arrows: Iterable[str], ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Draw a block diagram: words in boxes, arrows between them.

    Args:
        parts: words → centre of their box; the unit is the height of the figure's middle part, 0 … 1.
        arrows: ``"x > hidden"`` for an arrow from the box "x" to the box "hidden".

    Raises:
        UserError: an arrow names a box that does not exist.
    """
    figure, ax = _canvas(ax, 2.4)
    across = [x for x, _ in parts.values()]
    ax.set(xlim=(min(across) - 0.5, max(across) + 0.5), ylim=(-0.4, 1.4))
    ax.axis("off")
    frame = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": DATA}
    drawn = {}
    for words, spot in parts.items():
        text = ax.text(*spot, words, ha="center", va="center", fontsize=FONT - 1, color=INK, bbox=frame)
        drawn[words] = text.get_bbox_patch()
    for arrow in arrows:
        start, _, end = (word.strip() for word in arrow.partition(">"))
        if start not in parts or end not in parts:
            raise UserError(f"The arrow {arrow!r} should join two of these boxes: {', '.join(parts)}.")
        style = {"arrowstyle": "->", "patchA": drawn[start], "patchB": drawn[end], "color": INK}
        ax.annotate("", parts[end], parts[start], arrowprops=style)
    _head(ax, title)
    return figure


# Images ----------------------------------------------------------------------------------------------


def _finite(values: Array, name: str) -> None:
    if values.size == 0:
        raise UserError(f"{name} of shape {tuple(values.shape)} holds no values; give at least one.")
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise UserError(
            f"{name} holds {bad:,} NaN or infinite values of {values.size:,}: the network that made them has "
            "probably diverged. Use an earlier checkpoint or a smaller learning rate."
        )


def _numbers(values: Any, name: str) -> Array:
    """Return a float64 array of `values` (tensor on any device, array or list); NaN stays."""
    try:
        if isinstance(values, Tensor):
            return values.detach().cpu().to(torch.float64).numpy()  # in this order: MPS has no float64
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} should be numbers, got {type(values).__name__} ({error}).") from None


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
        _finite(batch.to(torch.float32).numpy(), name)
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
    columns = _fit(columns, count)
    rows = math.ceil(count / columns)
    padded = np.full((rows * columns, height + row_gap, width + gap, channels), 255, np.uint8)
    padded[:count, :height, :width] = tiles
    grid = padded.reshape(rows, columns, *padded.shape[1:]).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + row_gap), columns * (width + gap), channels)
    return np.ascontiguousarray(grid[: grid.shape[0] - row_gap, : grid.shape[1] - gap])


def _fit(columns: int, count: int) -> int:
    """Return the columns that `count` things fill."""
    if columns < 1:
        raise UserError(f"Got {columns} columns; a row needs at least 1.")
    return min(columns, count)


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


@_styled
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
    names = None if labels is None else [str(_plain(label)) for label in labels]
    if names is not None and len(names) != len(pixels):
        raise UserError(f"Got {len(names)} labels for {len(pixels)} images; give one for each, or none.")
    if not scale > 0:
        raise UserError(f"Got scale={scale}; it must be positive, 1 being the width of a page.")
    count, tile_height, tile_width, _ = pixels.shape
    columns = _fit(columns, count)
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


def _plain(value: object) -> object:
    """Turn zero-dimensional tensors and arrays into Python numbers."""
    return value.item() if isinstance(value, Tensor | np.generic) else value


def _words(caption: object) -> str:
    """Return a caption as words: an integer n is a step of training."""
    caption = _plain(caption)
    return f"step {caption:,}" if isinstance(caption, int) else str(caption)


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
    words = [_words(caption) for caption in captions]
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
    zoom = max(1, min(2, round(520 / width)))
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


@_styled
def frames_strip(
    frames: Sequence[Images], captions: Sequence[int | str], columns: int | None = None, across: int = 4
) -> Figure:
    """Show the frames of a flip-book side by side, `across` in a row, for paper and pages without scripts.

    Grey frames are rounded to 16 shades, which keeps the picture of a noisy series small.
    Arguments and errors are those of `flip_book`.
    """
    sheets, words, _ = _frames(frames, captions, columns)
    across = _fit(across, len(sheets))
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


# The plane -------------------------------------------------------------------------------------------


def _cloud(values: Any, name: str) -> Array:
    points_ = _numbers(values, name)
    if points_.ndim != 2 or points_.shape[1] != 2:
        raise UserError(f"{name} has shape {points_.shape}; expected points in the plane, (n, 2).")
    _finite(points_, name)
    return points_


def _window(limits: Limits | None, *clouds: Array | None) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top): the limits as given, or a square around the clouds."""
    if limits is None:
        present = [cloud for cloud in clouds if cloud is not None]
        radius = 1.15 * max(float(np.abs(cloud).max()) for cloud in present) or 1.0 if present else 1.5
        return -radius, radius, -radius, radius
    ends = (-limits, limits) if isinstance(limits, int | float) else tuple(map(float, limits))
    window = ends * 2 if len(ends) == 2 else ends
    if len(window) != 4 or not (window[0] < window[1] and window[2] < window[3]):
        raise UserError(f"Got limits={limits!r}; expected a radius r, (low, high) or (left, right, bottom, top).")
    return window[0], window[1], window[2], window[3]


def _scatter(ax: Axes, cloud: Array, colour: str, label: str) -> None:
    x, y = cloud.T
    size = float(np.clip(2500 / len(cloud), 5, 22))
    ax.scatter(x, y, s=size, color=colour, alpha=0.75, linewidths=0.3, edgecolors="white", label=label)


def _modes(mixture: Any) -> Array:
    centres = getattr(mixture, "centres", None)
    if centres is None:
        raise UserError(f"{type(mixture).__name__} has no centres to mark; give a mixture, or only its points as data.")
    return _cloud(centres, "mixture.centres")


def _frame_plane(ax: Axes, window: tuple[float, float, float, float]) -> None:
    ax.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    _dress(ax)


def _head(ax: Axes, title: str | None, *others: Axes) -> None:
    """Put the title and one legend for all given axes above the frame, where they cover no data."""
    pairs = [axes.get_legend_handles_labels() for axes in (ax, *others)]
    handles, names = sum((p[0] for p in pairs), []), sum((p[1] for p in pairs), [])
    width = ax.get_position().width * ax.figure.figure.get_size_inches()[0]
    columns = max(1, min(len(names), int(width / 1.05)))
    if names:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "borderaxespad": 0.1}
        space: dict[str, Any] = {"handlelength": 1.5, "handletextpad": 0.4, "columnspacing": 1.0}
        legend = ax.legend(handles, names, ncols=columns, **place, **space)
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set(sizes=[45], alpha=1.0)
    if title:
        ax.set_title(title, pad=6 + 1.8 * FONT * math.ceil(len(names) / columns))


@_styled
def points(
    samples: Any,
    data: Any = None,
    mixture: Any = None,
    ax: Axes | None = None,
    limits: Limits | None = None,
    title: str | None = None,
) -> Figure:
    """Scatter generated points (orange) over data (blue), with a ring around every mode of a mixture.

    Samples outside the frame are counted in its corner.

    Args:
        samples, data: (n, 2) tensors or arrays.
        mixture: anything with ``centres`` (K, 2), for example ``toy.ring()``.
        limits: a radius, (low, high) or (left, right, bottom, top); by default all points fit.

    Raises:
        UserError: another shape, no points, NaN, or limits in the wrong order.
    """
    cloud = _cloud(samples, "The samples")
    real = None if data is None else _cloud(data, "The data")
    modes = None if mixture is None else _modes(mixture)
    window = _window(limits, cloud, real, modes)
    figure, ax = _canvas(ax, height=4.9, width=4.8)
    if real is not None:
        _scatter(ax, real, DATA, "data")
    _scatter(ax, cloud, GENERATOR, "generated")
    if modes is not None:
        x, y = modes.T
        ax.scatter(x, y, s=130, facecolors="none", edgecolors=INK, linewidths=1.1, label="modes")
    _frame_plane(ax, window)
    low, high = np.array(window[::2]), np.array(window[1::2])
    outside = int(((cloud < low) | (cloud > high)).any(axis=1).sum())
    if outside:
        ax.text(
            0.98,
            0.02,
            f"{outside:,} outside",
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize=FONT - 1,
        )
    _head(ax, title)
    return figure


class Snapshot(NamedTuple):
    """What a discriminator said at one moment; made by `snapshot`, drawn by `landscape_strip`."""

    caption: str
    probability: Array  # (resolution, resolution), rows from bottom to top
    window: tuple[float, float, float, float]
    samples: Array | None


def _logits(discriminator: Judge, inputs: Array) -> Array:
    """Return D's probabilities sigmoid(logit) of `inputs` (n, d), in evaluation mode, leaving D as it was."""
    networks = list(discriminator.modules()) if isinstance(discriminator, torch.nn.Module) else []
    weights = next((p for network in networks for p in network.parameters()), None)
    batch = torch.as_tensor(inputs, dtype=torch.float32 if weights is None else weights.dtype)
    if weights is not None:
        batch = batch.to(weights.device)
    training = [network.training for network in networks]
    for network in networks:
        network.training = False
    try:
        with torch.no_grad():
            logits = discriminator(batch)
    finally:
        for network, mode in zip(networks, training, strict=True):
            network.training = mode
    if not isinstance(logits, Tensor) or logits.shape not in ((len(batch),), (len(batch), 1)):
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(
            f"The discriminator turned {tuple(batch.shape)} points into {given}; expected one logit each, "
            f"({len(batch)},) or ({len(batch)}, 1)."
        )
    probability = torch.sigmoid(logits.reshape(-1).cpu().double()).numpy()
    _finite(probability, "The discriminator's output")
    return probability


def snapshot(
    caption: int | str, discriminator: Judge, samples: Any = None, limits: Limits = 1.5, resolution: int = 80
) -> Snapshot:
    """Ask the discriminator now, on a grid over the plane, and keep its answers for `landscape_strip`.

    The answers are copied: training may go on without changing them.

    Args:
        caption: words, or an integer n for "step n".
        discriminator: maps (n, 2) float points to (n,) or (n, 1) logits.
        samples: generated points (n, 2) of the same moment.
    """
    if resolution < 2:
        raise UserError(f"Got resolution={resolution}; a landscape needs at least 2 points on each side.")
    window = _window(limits)
    grid = np.meshgrid(np.linspace(*window[:2], resolution), np.linspace(*window[2:], resolution))
    probability = _logits(discriminator, np.stack(grid, axis=-1).reshape(-1, 2)).reshape(resolution, resolution)
    cloud = None if samples is None else _cloud(samples, "The samples").copy()
    return Snapshot(_words(caption), probability, window, cloud)


def _draw_landscape(ax: Axes, shot: Snapshot, data: Array | None) -> Any:
    size = len(shot.probability)
    xs, ys = np.linspace(*shot.window[:2], size), np.linspace(*shot.window[2:], size)
    filled = ax.contourf(xs, ys, shot.probability, levels=np.linspace(0, 1, 21), cmap=VERDICT)
    if shot.probability.min() < 0.5 < shot.probability.max():
        ax.contour(xs, ys, shot.probability, levels=[0.5], colors=INK, linewidths=1.2)
    if data is not None:
        _scatter(ax, data, DATA, "data")
    if shot.samples is not None:
        _scatter(ax, shot.samples, GENERATOR, "generated")
    _frame_plane(ax, shot.window)
    return filled


def _verdict_bar(figure: Figure, filled: Any, axes: Sequence[Axes]) -> None:
    bar = figure.colorbar(filled, ax=axes, ticks=[0, 0.5, 1], shrink=0.8, aspect=22, pad=0.02)
    bar.ax.set_yticklabels(["0: generated", "½", "1: data"], fontsize=FONT - 1)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    bar.ax.axhline(0.5, color=INK, linewidth=1.2)


@_styled
def landscape(
    discriminator: Judge,
    limits: Limits | None = None,
    ax: Axes | None = None,
    resolution: int = 120,
    samples: Any = None,
    data: Any = None,
    title: str | None = None,
) -> Figure:
    """Draw D(x) = sigmoid(logit) over the plane: green where it says data, grey where it says generated.

    The dark line is D = 1/2, where the discriminator cannot tell.

    Args:
        discriminator: maps (n, 2) float points to (n,) or (n, 1) logits; a module is asked in evaluation
            mode and left as it was.
        limits: a radius, (low, high) or (left, right, bottom, top); by default around samples and data.
        resolution: points of the grid on each side.
        samples, data: (n, 2) points to draw on top.

    Raises:
        UserError: another shape of points or logits, NaN, limits in the wrong order.
    """
    cloud = None if samples is None else _cloud(samples, "The samples")
    real = None if data is None else _cloud(data, "The data")
    shot = snapshot("", discriminator, cloud, _window(limits, cloud, real), resolution)
    figure, ax = _canvas(ax, height=4.6, width=5.8)
    filled = _draw_landscape(ax, shot, real)
    _verdict_bar(figure, filled, [ax])
    _head(ax, title)
    return figure


@_styled
def landscape_strip(snapshots: Sequence[Snapshot], data: Any = None, columns: int = 3) -> Figure:
    """Draw several moments of one discriminator side by side, `columns` in a row, on one scale.

    Args:
        snapshots: made by `snapshot` in the course of training.
        data: (n, 2) points drawn in every panel.

    Raises:
        UserError: no snapshots, or data of another shape.
    """
    if not snapshots:
        raise UserError("Got no snapshots to draw; plots.snapshot makes one from a discriminator.")
    real = None if data is None else _cloud(data, "The data")
    figure, axes = panels(len(snapshots), columns, width=WIDTH + 0.6, side=1.3)
    for ax, shot in zip(axes, snapshots, strict=True):
        filled = _draw_landscape(ax, shot, real)
        ax.set_title(shot.caption, fontsize=FONT)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    _verdict_bar(figure, filled, axes)
    return figure


# Curves ----------------------------------------------------------------------------------------------

_ROLES = {
    "data": DATA,
    "real": DATA,
    "d_real": DATA,
    "generated": GENERATOR,
    "generator": GENERATOR,
    "fake": GENERATOR,
    "d_fake": GENERATOR,
    "g_loss": GENERATOR,
    "discriminator": DISCRIMINATOR,
    "d_loss": DISCRIMINATOR,
}


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for every name, the player's own where the name tells, none twice if possible."""
    chosen: dict[str, str] = {}
    spare = [*OTHERS, DATA, GENERATOR, DISCRIMINATOR]
    for name in names:
        role = _ROLES.get(name)
        free = [colour for colour in spare if colour not in chosen.values()] or list(OTHERS)
        chosen[name] = role if role and role not in chosen.values() else free[0]
    return chosen


@_styled
def density_1d(
    xs: Any,
    curves: Mapping[str, Any],
    discriminator: Judge | Any = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw densities on a line and, on a second axis from 0 to 1, the discriminator's D(x).

    Args:
        xs: (n,) positions.
        curves: name to (n,) densities; "data" is blue, "generated" orange.
        discriminator: maps (n, 1) float points to (n,) or (n, 1) logits; or the (n,) probabilities.

    Raises:
        UserError: arrays of another length, NaN, or probabilities outside [0, 1].
    """
    line = _numbers(xs, "xs")
    if line.ndim != 1:
        raise UserError(f"xs has shape {line.shape}; expected one dimension, (n,).")
    _finite(line, "xs")
    figure, ax = _canvas(ax, height=3.6)
    for name, colour in _colours(curves).items():
        density = _along(curves[name], line, f"The density {name!r}")
        ax.fill_between(line, density, color=colour, alpha=0.15, linewidth=0)
        ax.plot(line, density, color=colour, label=name)
    ax.set(xlabel="x", ylabel="density", xlim=(line.min(), line.max()))
    ax.set_ylim(bottom=0)
    _dress(ax)
    if discriminator is None:
        _head(ax, title)
    else:
        is_call = callable(discriminator)
        answers = _logits(discriminator, line[:, None]) if is_call else _along(discriminator, line, "D(x)")
        if answers.min() < 0 or answers.max() > 1:
            raise UserError(
                f"D(x) runs from {answers.min():.3g} to {answers.max():.3g}; expected probabilities. "
                "Pass the discriminator itself, or the sigmoid of its logits."
            )
        right = ax.twinx()
        right.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
        right.plot(line, answers, color=DISCRIMINATOR, linestyle="--", label="D(x)")
        right.set(ylim=(0, 1.02), yticks=[0, 0.5, 1])
        right.set_ylabel("D(x)", color=DISCRIMINATOR)
        _dress(right)
        _head(ax, title, right)
    return figure


def _along(values: Any, xs: Array, name: str) -> Array:
    array = _numbers(values, name)
    if array.shape != xs.shape:
        raise UserError(f"{name} has shape {array.shape}; expected {xs.shape}, one value for every x.")
    _finite(array, name)
    return array


def read_metrics(path: str | Path) -> dict[str, Array]:
    """Read a run's metrics.csv as one float array per column; an empty cell becomes NaN.

    A last line that was cut short, as a killed run leaves it, is dropped.

    Raises:
        UserError: no such file, no rows, a row of another length, or a cell that is no number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"Cannot read {path}: {reason}. Give the metrics.csv of a run.") from None
    header, *rows = [row for row in csv.reader(io.StringIO(text)) if row] or [[]]
    if rows and len(rows[-1]) < len(header):
        rows.pop()
    if not rows:
        raise UserError(f"{path} holds no complete row of metrics. Give the metrics.csv of a run that has logged.")
    table = []
    for number, row in enumerate(rows, start=2):
        try:
            table.append([float(cell) if cell.strip() else math.nan for cell in row])
        except ValueError as error:
            raise UserError(f"{path}, row {number}: {error}. Every cell of metrics.csv is a number.") from None
        if len(row) != len(header):
            raise UserError(f"{path}, row {number} has {len(row)} cells; the header names {len(header)} columns.")
    return dict(zip(header, np.array(table).T, strict=True))


def _smoothed(values: Array, window: int) -> Array:
    """Return the centred mean over `window` rows, ignoring NaN; NaN stays where it was."""
    if window <= 1:
        return values
    kernel = np.ones(min(window, len(values)))
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    count = np.convolve(known.astype(float), kernel, mode="same")
    return np.where(known, total / np.maximum(count, 1.0), np.nan)


def _apart(places: Sequence[float], step: float) -> list[float]:
    """Move sorted `places` as little as possible (least squares) so that neighbours are `step` apart."""
    groups: list[list[float]] = []  # places less their index times step, pooled until the means increase
    for index, place in enumerate(places):
        groups.append([place - index * step])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    level = [float(np.mean(group)) for group in groups for _ in group]
    return [value + index * step for index, value in enumerate(level)]


def _label_right(ax: Axes, labels: list[tuple[float, str, str]], height: float) -> None:
    """Write (value, text, colour) beside the right edge of axes `height` inches high, none over another."""
    bottom, top = ax.get_ylim()
    scale = ax.transScale + ax.transLimits
    placed = [(scale.transform((0.0, min(max(v, bottom), top)))[1], text, colour) for v, text, colour in labels]
    placed.sort(key=lambda label: label[0])
    spots = _apart([place for place, _, _ in placed], step=1.25 * FONT / 72 / height)
    style: dict[str, Any] = {"transform": ax.transAxes, "va": "center", "ha": "left", "fontsize": FONT - 0.5}
    for spot, (_, text, colour) in zip(spots, placed, strict=True):
        ax.text(1.015, spot, text, color=colour, **style)


def _log_y(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with ticks at 1, 2, 5 in plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())


@_styled
def curves(
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    ax: Axes | None = None,
    x: str = "step",
    smooth: int = 1,
    band: tuple[float, float] | None = None,
    log_y: bool = False,
    references: Mapping[str, float] | None = None,
    title: str | None = None,
    ylabel: str | None = None,
) -> Figure:
    """Draw columns of a run's log over its steps, each named at its right end.

    Args:
        rows: what `read_metrics` returns, or a list of rows as dictionaries.
        columns: the columns to draw; a mapping gives each the words to show.
        x: the column along the horizontal axis.
        smooth: rows in a centred moving mean; the raw values stay visible as a thin line.
        band: the expected (low, high), shaded.
        log_y: logarithmic vertical axis.
        references: words to heights of horizontal lines, for example ``{"2 log 2": 2 * math.log(2)}``.

    Raises:
        UserError: no rows, an unknown column (the nearest name is suggested), or a column without any number.
    """
    table = _table(rows)
    shown = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    for name in (x, *shown):
        if name not in table:
            raise UserError(f"No column {name!r} in this log.{nearest(name, table)} It has: {', '.join(table)}.")
    if smooth < 1 or not shown:
        raise UserError(f"Got smooth={smooth} and {len(shown)} columns; both must be at least 1.")
    figure, ax = _canvas(ax, height=3.7)
    steps = table[x]
    labels: list[tuple[float, str, str]] = []
    if band is not None:
        ax.axhspan(*band, color="#000000", alpha=0.07, linewidth=0)
        middle = math.sqrt(band[0] * band[1]) if log_y and band[0] > 0 else sum(band) / 2
        labels.append((middle, "expected", MUTED))
    for text, value in (references or {}).items():
        ax.axhline(value, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)))
        labels.append((value, text, MUTED))
    for name, colour in _colours(shown).items():
        values = table[name]
        known = np.isfinite(values)
        if not known.any():
            raise UserError(f"Column {name!r} holds no finite number; the run may have diverged at its start.")
        smoothed = _smoothed(np.where(known, values, np.nan), smooth)
        if smooth > 1:
            ax.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
        ax.plot(steps, smoothed, color=colour)
        labels.append((float(smoothed[known][-1]), shown[name], colour))
    if log_y:
        _log_y(ax)
    ax.margins(x=0.01)
    ax.set(xlabel=x, ylabel=ylabel or "", title=title or "")
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator("auto", steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))
    _dress(ax, grid=True)
    _label_right(ax, labels, height=ax.get_position().height * figure.get_size_inches()[1])
    return figure


def _table(rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    if not isinstance(rows, Mapping):
        names = dict.fromkeys(name for row in rows for name in row)
        rows = {name: [row.get(name, math.nan) for row in rows] for name in names}
    table = {name: _numbers(values, f"Column {name!r}") for name, values in rows.items()}
    if not table or any(len(values) == 0 for values in table.values()):
        raise UserError("This log holds no rows; train for at least one logging step first.")
    if len({values.shape for values in table.values()}) > 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in table.items())
        raise UserError(f"The columns differ in length: {shapes}.")
    return table


@_styled
def histogram(
    values: Mapping[str, Any],
    bins: int | Sequence[float] = 40,
    title: str | None = None,
    log_y: bool = False,
    xlabel: str = "value",
    ax: Axes | None = None,
) -> Figure:
    """Compare the distributions of several sets of numbers in the same bins, as shares of each set.

    Args:
        values: name to numbers of any shape, for example ``{"data": x, "generated": fakes}``.
        bins: how many between the smallest and the largest value of all sets, or the edges themselves.
        log_y: logarithmic vertical axis, for sets with one dominant value such as a black background.

    Raises:
        UserError: nothing given, an empty set, NaN, or fewer than one bin.
    """
    sets = {name: _numbers(numbers, name).ravel() for name, numbers in values.items()}
    if not sets:
        raise UserError("Got no values; give a name and numbers, for example {'data': images}.")
    for name, numbers in sets.items():
        _finite(numbers, name)
    if isinstance(bins, int) and bins < 1:
        raise UserError(f"Got bins={bins}; a histogram needs at least 1.")
    edges = np.histogram_bin_edges(np.concatenate([[n.min(), n.max()] for n in sets.values()]), bins)
    figure, ax = _canvas(ax, height=3.4)
    for name, colour in _colours(sets).items():
        share = np.histogram(sets[name], edges)[0] / sets[name].size * 100
        ax.stairs(share, edges, color=colour, fill=True, alpha=0.18)
        ax.stairs(share, edges, color=colour, linewidth=1.5, label=name)
    if log_y:
        _log_y(ax)
    ax.set(
        xlabel=xlabel,
        ylabel="share of values (%)",
        xlim=np.array([1.01, -0.01]) * edges[0] + np.array([-0.01, 1.01]) * edges[-1],
    )
    _dress(ax, grid=True)
    _head(ax, title)
    return figure
