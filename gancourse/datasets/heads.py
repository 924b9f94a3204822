"""Drawn heads whose every attribute is known: which factors there are, and how a head is drawn from them.

The parts are the SVG drawings that come with the package ``python-avatars`` (designs by Pablo Stanley,
https://avataaars.com/); ``resvg-py`` turns the composed SVG into pixels. Eight factors name a part or a colour, six
are numbers: where the head stands, how large, how much tilted, how its mouth is curved, how high its brows are. No
factor says anything about another.

This module knows nothing of PyTorch: the processes that draw start in a tenth of a second. A head is two rows of
numbers here, its labels and its values; :mod:`gancourse.datasets.faces` holds many of them and the pictures.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from gancourse.errors import UserError

SIZES = (32, 64, 128)
EXTRA = "pip install 'gancourse[faces]'"
PACKAGES = ("python-avatars", "resvg-py")
_SVG = "{http://www.w3.org/2000/svg}"
_NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Part:
    """A factor with names for its values: a label.

    Attributes:
        name: of the factor.
        values: the names, in the order of the labels 0, 1, ….
        parts: what is drawn for each: a file of ``python-avatars``, a colour, or "" for nothing.
        natural: the shares of the values where heads are drawn as one meets them; they sum to 1.
        covers: those values that hide other parts, whose share is capped in balanced sampling too.
    """

    name: str
    values: tuple[str, ...]
    parts: tuple[str, ...]
    natural: tuple[float, ...]
    covers: tuple[str, ...] = ()

    @property
    def balanced(self) -> tuple[float, ...]:
        """The shares where all values are to be met equally often, but for those that cover: these keep their own."""
        kept = sum(share for value, share in zip(self.values, self.natural, strict=True) if value in self.covers)
        rest = (1 - kept) / (len(self.values) - len(self.covers))
        return tuple(
            share if value in self.covers else rest for value, share in zip(self.values, self.natural, strict=True)
        )


@dataclass(frozen=True)
class Range:
    """A factor that is a number from `low` to `high`.

    Attributes:
        name: of the factor.
        low, high: the ends.
        middle: what an unremarkable head has.
        unit: in words.
    """

    name: str
    low: float
    high: float
    middle: float
    unit: str


PARTS = (
    Part(
        "hair",
        ("short", "waved", "tuft", "shaggy", "bun", "bob", "long", "wavy", "curls", "afro", "beanie", "turban"),
        (
            "top/hair/short_flat",
            "top/hair/short_waved",
            "top/hair/frizzle",
            "top/hair/shaggy",
            "top/hair/bun",
            "top/hair/bob",
            "top/hair/straight_strand",
            "top/hair/big_hair",
            "top/hair/curly",
            "top/hair/fro",
            "top/hat/winter_hat_3",
            "top/hat/turban",
        ),
        (0.22, 0.08, 0.03, 0.11, 0.07, 0.12, 0.15, 0.08, 0.05, 0.05, 0.02, 0.02),
        covers=("beanie", "turban"),
    ),
    Part(
        "hair_colour",
        ("black", "brown", "red", "blond", "grey"),
        ("#1e1512", "#55331f", "#c93305", "#e6bb3e", "#e4e4e8"),
        (0.35, 0.30, 0.07, 0.18, 0.10),
    ),
    Part(
        "skin",
        ("palest", "pale", "tan", "brown", "dark"),
        ("#ffdbb4", "#edb98a", "#d08b5b", "#ae5d29", "#7d5240"),
        (0.2, 0.2, 0.2, 0.2, 0.2),
    ),
    Part("eyes", ("open", "wide", "closed"), ("eyes/default", "eyes/surprised", "eyes/closed"), (0.86, 0.06, 0.08)),
    Part(
        "glasses",
        ("none", "round", "square"),
        ("", "accessories/round", "accessories/prescription_02"),
        (0.70, 0.15, 0.15),
    ),
    Part(
        "beard",
        ("none", "moustache", "full"),
        ("", "facial_hair/moustache_magnum", "facial_hair/beard_medium"),
        (0.8, 0.08, 0.12),
        covers=("moustache", "full"),
    ),
    Part(
        "clothes",
        ("shirt", "hoodie", "blazer", "overall"),
        ("clothes/shirt_crew_neck", "clothes/hoodie", "clothes/blazer_shirt", "clothes/overall"),
        (0.45, 0.25, 0.2, 0.1),
    ),
    Part(
        "clothes_colour",
        ("red", "blue", "green", "yellow", "white", "black"),
        ("#ff5c5c", "#25557c", "#3fae72", "#ffd84d", "#ffffff", "#262e33"),
        (0.1, 0.25, 0.1, 0.1, 0.2, 0.25),
    ),
)
"""The factors that are labels, in the order of the columns of `labels`."""

RANGES = (
    Range("right", -8.0, 8.0, 0.0, "pixels of 64"),
    Range("down", -8.0, 8.0, 0.0, "pixels of 64"),
    Range("scale", 0.8, 1.2, 1.0, "times"),
    Range("tilt", -15.0, 15.0, 0.0, "degrees, clockwise"),
    Range("smile", -1.0, 1.0, 0.3, "curve of the mouth, -1 down to 1 up"),
    Range("brows", -1.0, 1.0, 0.0, "height, -1 low to 1 high"),
)
"""The factors that are numbers, in the order of the columns of `values`."""

# ------------------------------------------------------------------------------------------------ the drawing

BACKGROUND = "#b9d3ea"
VIEW = 252
"""How many units of the drawing, which is 264 wide and 280 high, are seen across at scale 1."""
CENTRE = (132, 128)
"""The point of the drawing that scaling and tilting leave in its place, in the middle of the picture."""


def to_svg(labels: Sequence[int], values: Sequence[float]) -> str:
    """Return the SVG of one head.

    Args:
        labels: one whole number for each of :data:`PARTS`.
        values: one number for each of :data:`RANGES`.

    Raises:
        UserError: ``python-avatars`` is not installed, or is another version with other drawings.
    """
    drawn = {part.name: part.parts[label] for part, label in zip(PARTS, labels, strict=True)}
    right, down, scale, tilt, smile, brows = (float(value) for value in values)
    unit = VIEW / 64
    colours = {"hair": drawn["hair_colour"], "fabric": drawn["clothes_colour"]}
    trunk = _part("styles/transparent").replace("@skin", drawn["skin"]) + _placed(drawn["clothes"], (0, 170), colours)
    x, y = CENTRE
    move = f"translate({x + right * unit:.3f} {y + down * unit:.3f}) rotate({tilt:.3f}) scale({scale:.4f})"
    return (
        f'<svg {_NAMES} viewBox="{x - VIEW / 2:g} {y - VIEW / 2:g} {VIEW} {VIEW}">'
        f'<g transform="{move} translate({-x} {-y})">'
        + trunk
        + _below(trunk)
        + _mouth(smile)
        + _placed("nose/default", (104, 122), colours)
        + _placed(drawn["eyes"], (76, 90), colours)
        + _brows(brows)
        + _placed(drawn["hair"], (0, 0), colours)
        + _placed(drawn["beard"], (49, 72), colours)
        + _placed(drawn["glasses"], (62, 85), colours)
        + "</g></svg>"
    )


def _placed(name: str, at: tuple[float, float], colours: dict[str, str]) -> str:
    if not name:
        return ""
    text = _part(name)
    for what, colour in colours.items():
        text = text.replace(f"@{what}", colour)
    return f'<g transform="translate({at[0]} {at[1]})">{text}</g>'


@functools.lru_cache(maxsize=256)
def _below(trunk: str) -> str:
    """Return what goes on below the drawing, which ends at its lower edge, where a head is moved up or tilted.

    Every column of one of its last rows is drawn on downwards, from six units above the edge: were the two edges within
    one pixel, the background would shine through.
    """
    row = _pixels(f'<svg {_NAMES} viewBox="0 276 264 1">{trunk}</svg>', 264, 1)[0]
    ends = [0, *(1 + np.flatnonzero((row[1:] != row[:-1]).any(axis=1))), len(row)]
    return "".join(
        f'<rect x="{start}" y="274" width="{end - start}" height="245" fill="#{bytes(row[start, :3]).hex()}"/>'
        for start, end in pairwise(ends)
        if row[start, 3] == 255
    )


def _mouth(smile: float) -> str:
    """Return a mouth whose corners rise and whose middle sinks as `smile` goes from -1 to 1: a crescent.

    Its two edges are quadratic Bézier curves; at 0 they meet in a straight line.
    """
    corner = 154 - 6 * smile
    upper, lower = 154 + 8 * smile, 154 + 26 * smile
    return (
        f'<path d="M110 {corner:.3f} Q132 {upper:.3f} 154 {corner:.3f} Q132 {lower:.3f} 110 {corner:.3f} Z" '
        'fill="#8a2433" stroke="#3a2024" stroke-width="5" stroke-linejoin="round"/>'
    )


def _brows(height: float) -> str:
    """Return two brows, six units of the drawing lower or higher."""
    return (
        f'<path transform="translate(76 {82 - 7 * height:.3f})" d="M15 15 Q26 6 41 11 M71 11 Q86 6 97 15" '
        'fill="none" stroke="#2a1c18" stroke-opacity="0.75" stroke-width="5" stroke-linecap="round"/>'
    )


@functools.cache
def _drawings() -> Path:
    """Return the folder of the parts. The package is found and not imported: its import draws random numbers."""
    found = importlib.util.find_spec("python_avatars")
    if found is None or not found.submodule_search_locations:
        raise missing(("python-avatars",))
    return Path(found.submodule_search_locations[0]) / "avatar_parts"


@functools.cache
def _part(name: str) -> str:
    """Return a part of the drawing as SVG, with ``@hair``, ``@fabric`` or ``@skin`` where its colour goes.

    Every identifier gets the part's name in front, so that parts do not meet in one document. A mask that is white in
    one shape becomes that shape as a clip path, and a coloured rectangle behind such a mask the shape itself: the same
    picture in half the time.
    """
    path = _drawings() / f"{name}.svg"
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(
            f"The drawing {path} cannot be read ({error}). Install the drawings again: {EXTRA} --force-reinstall."
        ) from None
    prefix = re.sub(r"\W", "-", name) + "-"
    shapes: dict[str, str] = {}
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, prefix + value)
            elif key == _HREF:
                element.set(key, "#" + prefix + value.removeprefix("#"))
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}"))
    for element in list(root.iter(f"{_SVG}mask")):
        if len(element) == 1 and element[0].tag == f"{_SVG}use":
            shapes[element.get("id", "")] = element[0].get(_HREF, "")
            element.tag = f"{_SVG}clipPath"
    for element in list(root.iter()):
        for inner in [inner for inner in element if inner.tag == f"{_SVG}use" and "filter" in inner.attrib]:
            element.remove(inner)  # the shadow of what stands beside it
        element.attrib.pop("filter", None)
        for inner in list(element):
            colour = _COLOURS.get(inner.get("id", "").removeprefix(prefix))
            if colour is None:
                continue
            for within in inner.iter():
                within.attrib.pop("fill", None)
            inner.set("fill", colour)
            shape = shapes.get(inner.get("mask", "")[5:-1])
            if shape is None:
                continue
            del inner.attrib["mask"]
            inner[:] = [ElementTree.Element(f"{_SVG}use", {_HREF: shape})]
            for base in [base for base in element if base.get(_HREF) == shape]:
                element.remove(base)  # it would shine through at the edge
    for element in root.iter():
        if element.get("mask", "")[5:-1] in shapes:
            element.set("clip-path", element.attrib.pop("mask"))
    wanted = [child for child in root if child.tag in (f"{_SVG}defs", f"{_SVG}g")]
    return "".join(ElementTree.tostring(child, encoding="unicode") for child in wanted)


_COLOURS = {"Hair-Color": "@hair", "Facial-Hair-Color": "@hair", "Fabric-Color": "@fabric", "Skin-Color": "@skin"}

ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

# ------------------------------------------------------------------------------------------------- the pixels


def missing(packages: Sequence[str]) -> UserError:
    """Return the error for packages that drawing needs and that are not installed."""
    return UserError(
        f"Drawing faces needs {' and '.join(packages)}, which {'is' if len(packages) == 1 else 'are'} not installed. "
        f"Install the extra `faces`: {EXTRA} (or only: pip install {' '.join(packages)})."
    )


def absent() -> list[str]:
    """Return which of the packages that drawing needs are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name.replace("-", "_")) is None]


def versions() -> str:
    """Return the versions of the packages that draw: pictures are the same bytes on the same versions alone."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def render(labels: Sequence[int], values: Sequence[float], size: int) -> np.ndarray:
    """Return the picture of one head, uint8 (size, size, 3)."""
    return _pixels(to_svg(labels, values), size, size, BACKGROUND)


def _pixels(svg: str, width: int, height: int, background: str | None = None) -> np.ndarray:
    """Return an SVG as pixels: uint8 (height, width, 3), or, without a background, (height, width, 4)."""
    from PIL import Image

    try:
        resvg: Any = importlib.import_module("resvg_py")
    except ImportError:
        raise missing(("resvg-py",)) from None
    png = resvg.svg_to_bytes(svg_string=svg, width=width, height=height, background=background, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB" if background else "RGBA"))


def draw_line(line: str, size: int) -> np.ndarray:
    """Return the picture of the head that stands in a line: its labels, then its values, with blanks between."""
    numbers = line.split()
    labels, values = numbers[: len(PARTS)], numbers[len(PARTS) :]
    return render([int(label) for label in labels], [float(value) for value in values], size)


def serve() -> None:
    """Draw the heads that stand in standard input, one a line, and write their pixels to standard output.

    The first line is the size. This is what the processes run that draw side by side.
    """
    size = int(sys.stdin.readline())
    for line in sys.stdin:
        sys.stdout.buffer.write(draw_line(line, size).tobytes())
    sys.stdout.buffer.flush()
