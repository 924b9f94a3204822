"""Pictures of the chapters with sliders. Each is a still picture as well, for pages, paper and kernels without widgets.

    widgets.still("shift")                  # the picture as the chapter shows it, a Matplotlib figure
    widgets.still("shift", shift=4.0)       # and with one slider moved
    widgets.live("shift")                   # with sliders, in Colab, JupyterLab and VS Code

A widget is a pure function from the values of its sliders to a figure. What takes longer than a fifth of a second was
computed before, by ``book/tools/make_widgets.py``, and lies in ``widgets/data``. Nothing heavy is loaded until a name
is asked for; ipywidgets only by `live`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gancourse.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gancourse.widgets.core import Widget

__all__ = ["get", "live", "names", "still"]

PLACES = {
    "five-parameters": ("game", 1),
    "ring": ("game", 1),
    "fixed-noise": ("noise", 2),
    "shift": ("shift", 3),
    "kl-fits": ("modes", 4),
    "slopes": ("modes", 4),
    "sample-size": ("counts", 5),
    "classes": ("classes", 6),
    "least-squares": ("coding", 7),
    "transport": ("transport", 8),
    "cone": ("transport", 8),
    "price": ("dirac", 9),
    "dirac": ("dirac", 9),
    "power-iteration": ("spectral", 10),
    "latent-walk": ("walk", 11),
}
"""Name → the module that holds it, and its chapter."""


def names(chapter: int | None = None) -> list[str]:
    """Return the names of the widgets, of one chapter or of all."""
    return [name for name, (_, number) in PLACES.items() if chapter in (None, number)]


def get(name: str) -> Widget:
    """Return a widget: its sliders, and the function that draws it.

    Raises:
        UserError: there is none of that name; the nearest is suggested.
    """
    if name not in PLACES:
        raise unknown("widget", name, PLACES)
    return import_module(f"gancourse.widgets.{PLACES[name][0]}").WIDGETS[name]


def still(name: str, **values: Any) -> Figure:
    """Return the picture as the chapter shows it, or with sliders at other `values`.

    Raises:
        UserError: no such widget or slider, a value that the slider does not have, or a reference run that is missing
            where other values than the first are asked for.
    """
    return get(name).still(**values)


def live(name: str) -> Any:
    """Return the picture with its sliders; make it the last expression of a cell.

    Where sliders cannot work (no ipywidgets, no kernel, a reference run that is missing) it is the still picture with a
    sentence that says why.

    Raises:
        UserError: there is no widget of that name.
    """
    from gancourse.widgets.core import live as build

    return build(get(name))
