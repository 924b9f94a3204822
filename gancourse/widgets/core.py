"""What every widget shares: sliders, the still picture, and the sliders on ipywidgets 7.7 and 8."""

from __future__ import annotations

import base64
import gc
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gancourse.errors import UserError, unknown
from gancourse.plots.style import styled

__all__ = ["Slider", "Still", "Widget", "live", "shipped"]


@dataclass(frozen=True)
class Slider:
    """One value of a widget that the reader moves.

    Attributes:
        name: the keyword of the widget's function.
        label: words beside it.
        values: what it can be, in order; words become a menu.
        default: the value of the still picture.
        form: how a number is written, for example "{:,}".
    """

    name: str
    label: str
    values: tuple[Any, ...]
    default: Any
    form: str = "{}"

    def __post_init__(self) -> None:
        if len(self.values) < 2 or self.default not in self.values:
            raise ValueError(f"{self.name}: {self.default!r} must be one of at least two values, {self.values!r}")

    def words(self, value: Any) -> str:
        """Return a value as the reader sees it."""
        words = self.form.format(value)
        return words if isinstance(value, str) else words.replace("-", "−")


def steps(low: float, high: float, step: float) -> tuple[float, ...]:
    """Return low, low + step, … high, free of rounding noise."""
    return tuple(round(low + k * step, 10) for k in range(round((high - low) / step) + 1))


@dataclass(frozen=True)
class Widget:
    """A picture with sliders.

    Attributes:
        name: what `gancourse.widgets` calls it.
        chapter: where it belongs.
        about: one sentence: what to move, and what to look at.
        draw: the values of all sliders, by keyword → a figure; the same values give the same figure.
        sliders: the table of its sliders.
        ready: raises a UserError if something that other values than the first need is missing.
    """

    name: str
    chapter: int
    about: str
    draw: Callable[..., Figure]
    sliders: tuple[Slider, ...]
    ready: Callable[[], object] = lambda: None

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the still picture."""
        return {slider.name: slider.default for slider in self.sliders}

    def still(self, **values: Any) -> Figure:
        """Return the still picture, or the picture at other values.

        Raises:
            UserError: no such slider, or a value that it does not have.
        """
        known = {slider.name: slider for slider in self.sliders}
        for name, value in values.items():
            if name not in known:
                raise unknown(f"slider of {self.name}", name, known)
            if value not in known[name].values:
                listed = known[name].values
                told = ", ".join(map(str, listed)) if len(listed) < 12 else f"{listed[0]}, {listed[1]}, … {listed[-1]}"
                raise UserError(f"Got {name}={value!r}; the slider has {told}.")
        return self.drawn(self.defaults | values)

    def drawn(self, values: dict[str, Any]) -> Figure:
        """Return the picture at the values of all sliders, in the style of the course."""
        return styled(self.draw)(**values)


class Still:
    """A still picture where sliders cannot work, with the reason in words.

    Attributes:
        figure: the picture.
        reason: why it is still.
    """

    def __init__(self, widget: Widget, reason: str) -> None:
        self.figure, self.reason, self._about = widget.still(), reason, widget.about

    def _repr_html_(self) -> str:
        picture = base64.b64encode(_png(self.figure)).decode()
        return (
            f"<p><em>{html.escape(self.reason)}</em></p>"
            f'<img alt="{html.escape(self._about)}" src="data:image/png;base64,{picture}">'
        )

    def __repr__(self) -> str:
        return self.reason


def _png(figure: Figure, places: Sequence[Bbox] = ()) -> bytes:
    """Return a figure as PNG; with the places of its axes, known from another one, no layout has to be found."""
    if len(places) == len(figure.axes):
        figure.set_layout_engine("none")
        for ax, place in zip(figure.axes, places, strict=True):
            ax.set_position(place)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    return buffer.getvalue()


@lru_cache
def shipped(name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of ``data/NAME.npz``, made by ``book/tools/make_widgets.py``."""
    with (resources.files("gancourse.widgets") / "data" / f"{name}.npz").open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


# Sliders ---------------------------------------------------------------------------------------------


def _kernel() -> bool:
    """Whether this code runs in a kernel, which can hear a slider move."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def live(widget: Widget, kernel: bool | None = None) -> Any:
    """Return a widget's picture with its sliders, or a `Still`.

    Args:
        kernel: whether a kernel listens; None asks.
    """
    try:
        import ipywidgets
    except ImportError:
        return Still(widget, "The sliders need ipywidgets, which is not installed: pip install ipywidgets.")
    if not (_kernel() if kernel is None else kernel):
        return Still(widget, "The sliders need a running kernel: open this page as a notebook, on Colab or in Jupyter.")
    try:
        widget.ready()
    except UserError as error:
        return Still(widget, f"The sliders cannot be moved here. {error}")
    return _build(widget, ipywidgets)


def _build(widget: Widget, ipywidgets: Any) -> Any:
    controls = {slider.name: _control(slider, ipywidgets) for slider in widget.sliders}
    first = widget.still()
    own_size = {"max_width": "100%", "align_self": "flex-start"}  # a box would stretch it, and blur it
    picture = ipywidgets.Image(value=_png(first), format="png", layout=own_size)
    places = [ax.get_position(original=True) for ax in first.axes]  # half of the time to draw is to find these
    message = ipywidgets.HTML(value=html.escape(widget.about))

    def redraw(_: object = None) -> None:
        collecting = gc.isenabled()
        gc.disable()  # tidying up takes longer than the drawing; it can wait until the picture is there
        try:
            values = {name: control.value for name, control in controls.items()}
            picture.value = _png(widget.drawn(values), places)
            message.value = html.escape(widget.about)
        except UserError as error:  # a value that cannot be drawn is told, and the last picture stays
            message.value = f"<strong>{html.escape(str(error))}</strong>"
        finally:
            if collecting:
                gc.enable()

    def reset(_: object = None) -> None:
        for slider in widget.sliders:
            controls[slider.name].value = slider.default

    for control in controls.values():
        control.observe(redraw, names="value")
    back = ipywidgets.Button(description="Back to the start", tooltip="Set every slider to its first value")
    back.on_click(reset)
    return ipywidgets.VBox([message, *controls.values(), back, picture])


def _control(slider: Slider, ipywidgets: Any) -> Any:
    options = [(slider.words(value), value) for value in slider.values]
    words = any(isinstance(value, str) for value in slider.values)
    kind = ipywidgets.Dropdown if words else ipywidgets.SelectionSlider
    return kind(
        options=options,
        value=slider.default,
        description=slider.label,
        style={"description_width": "10em"},
        layout={"width": "32em", "max_width": "98%"},
    )


def index(values: Sequence[Any], value: Any) -> int:
    """Return where a value stands among the values that were computed before."""
    return list(values).index(value)
