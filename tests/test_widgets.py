"""Sliders: each moves its picture, the first values are the still one, and where none can work the reason stands."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import chapters
import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from gancourse import theory, widgets
from gancourse.errors import UserError
from gancourse.widgets import core, modes

matplotlib.use("Agg")

NAMES = widgets.names()
SLIDERS = [(name, slider.name) for name in NAMES for slider in widgets.get(name).sliders]
DATA = Path(widgets.__file__).with_name("data")
LARGEST = 200_000


def drawn(figure: Figure) -> list[np.ndarray]:
    """Return the data that a figure draws: lines, points, patches, pictures, contours; no words."""
    found: list[np.ndarray] = []
    for artist in figure.findobj(Artist):
        for name in ("get_xydata", "get_offsets", "get_array", "get_verts"):
            method = getattr(artist, name, None)
            if method and (values := method()) is not None:
                found.append(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan))
        if hasattr(artist, "get_paths"):
            found += [path.vertices for path in artist.get_paths()]
    return found


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def test_every_chapter_has_one():
    numbers = [chapters.number(path) for path in chapters.chapters()]
    assert {widgets.get(name).chapter for name in NAMES} == set(numbers)
    assert [name for chapter in sorted(numbers) for name in widgets.names(chapter)] == NAMES
    for name in NAMES:
        widget = widgets.get(name)
        assert widget.name == name and widget.about.endswith(".") and len(widget.about) < 200
        assert len({slider.name for slider in widget.sliders}) == len(widget.sliders)
        assert widget.chapter == widgets.PLACES[name][1]


@pytest.mark.parametrize(("name", "slider"), SLIDERS)
def test_a_moved_slider_changes_what_is_drawn(name, slider):
    widget = widgets.get(name)
    (moved,) = [s for s in widget.sliders if s.name == slider]
    still = drawn(widget.still())
    for value in {moved.values[0], moved.values[-1]} - {moved.default}:
        assert not same(drawn(widget.still(**{slider: value})), still), f"{slider}={value} draws the still picture"
    assert same(drawn(widget.still(**{slider: moved.default})), still)


@pytest.mark.parametrize("name", NAMES)
def test_the_sliders_start_at_the_still_picture(name):
    widget = widgets.get(name)
    built = core.live(widget, kernel=True)
    message, *controls, back, picture = built.children
    assert picture.value == core._png(widgets.still(name)) and message.value
    assert [control.value for control in controls] == list(widget.defaults.values())
    control, slider = controls[0], widget.sliders[0]
    other = slider.values[0] if slider.default != slider.values[0] else slider.values[1]
    before, control.value = picture.value, other
    assert picture.value != before and picture.value[:4] == b"\x89PNG"
    back.click()
    assert control.value == slider.default
    assert {"VBox", "Image", "HTML", "Button"} <= {type(w).__name__ for w in (built, picture, message, back)}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_a_move_has_the_size_of_the_still_one(name):
    """So that the page does not jump, and words stay on it."""
    widget = widgets.get(name)
    size = tuple(widget.still().get_size_inches())
    for slider in widget.sliders:
        for value in (slider.values[0], slider.values[-1]):
            figure = widget.still(**{slider.name: value})
            assert tuple(figure.get_size_inches()) == size
            figure.draw_without_rendering()  # finds the layout
            page, ink = figure.get_size_inches(), figure.get_tightbbox()
            assert ink.x0 >= -0.02 and ink.y0 >= -0.02, "something runs off the page"
            assert ink.x1 <= page[0] + 0.02 and ink.y1 <= page[1] + 0.02, "something runs off the page"


def test_a_value_that_cannot_be_drawn_is_told_and_the_picture_stays():
    def draw(x: int) -> Figure:
        if x == 2:
            raise UserError("2 < 3 is too much.")
        return widgets.still("shift", shift=float(x))

    widget = core.Widget("odd", 1, "Move it.", draw, (core.Slider("x", "x", (0, 1, 2), 0),))
    message, control, _, picture = core.live(widget, kernel=True).children
    before, control.value = picture.value, 2
    assert picture.value == before and "2 &lt; 3 is too much" in message.value
    control.value = 1
    assert picture.value != before and message.value == "Move it."


def test_where_sliders_cannot_work_the_still_picture_stands_with_the_reason(monkeypatch):
    widget = widgets.get("shift")
    alone = widgets.live("shift")  # no kernel
    assert isinstance(alone, core.Still) and "running kernel" in alone.reason and repr(alone) == alone.reason
    assert same(drawn(alone.figure), drawn(widget.still()))
    page = alone._repr_html_()
    assert "running kernel" in page and 'alt="Move' in page and "data:image/png;base64," in page
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ipywidgets", None)
        assert "pip install ipywidgets" in core.live(widget, kernel=True).reason


def test_without_the_reference_run_the_shipped_digits_are_shown(monkeypatch):
    from gancourse import hub
    from gancourse.widgets import classes

    with_run = drawn(widgets.still("classes"))

    def missing(*_: object) -> None:
        raise UserError("The reference run 'digits-cgan' could not be fetched.")

    monkeypatch.setattr(hub, "load", missing)
    classes._system.cache_clear()
    try:
        without = core.live(widgets.get("classes"), kernel=True)
        assert isinstance(without, core.Still) and "could not be fetched" in without.reason
        shipped = drawn(without.figure)
        assert [a.shape for a in shipped] == [a.shape for a in with_run]
        assert max(np.abs(a - b).max(initial=0) for a, b in zip(shipped, with_run, strict=True)) <= 2 / 255
        with pytest.raises(UserError, match="could not be fetched"):
            widgets.still("classes", start=4)
    finally:
        classes._system.cache_clear()


def test_errors_suggest():
    for call, message in (
        (lambda: widgets.still("shfit"), "Did you mean 'shift'"),
        (lambda: widgets.live("x"), "widget"),
        (lambda: widgets.still("shift", shfit=1.0), "Did you mean 'shift'"),
        (lambda: widgets.still("shift", shift=0.1), "-8.0, -7.75"),
    ):
        with pytest.raises(UserError, match=message):
            call()
    with pytest.raises(ValueError, match="two values"):
        core.Slider("x", "x", (1,), 1)


# What is drawn ---------------------------------------------------------------------------------------


def test_the_slopes_are_those_of_the_theory():
    standard = theory.Gaussian(0.0, 1.0)
    rows = modes._slopes()
    for theta in (1.0, 4.0):
        for name, loss in (("minimax", "minimax"), ("non-saturating", "nonsaturating")):
            expected = theory.generator_gradient(
                standard, lambda t: theory.Gaussian(t, 1.0), theta, loss, frozen=True, grid=theory.line(-12, 18, 4001)
            )
            assert rows[name][modes.THETAS.index(theta)] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("distance", [0.4, 1.0, 1.4, 2.0])
def test_the_shipped_fits_are_optima(distance):
    data = modes.mixture(distance).log_prob(modes.PLANE)
    found, at = core.shipped("kl_fits"), modes.DISTANCES.index(distance)
    for j, (_, reverse) in enumerate(modes.STARTS.values()):
        mean, root = (torch.from_numpy(found[key][at, j]).requires_grad_() for key in ("means", "roots"))
        q = modes.gaussian(mean, root)
        cost = modes.divergence(q, data) if reverse else modes.divergence(data, q)
        slopes = torch.autograd.grad(cost, [mean, root])
        assert max(float(slope.abs().max()) for slope in slopes) < 2e-3
        assert float(cost.detach()) == pytest.approx(found["costs"][at, j, int(reverse)], abs=1e-6)


def test_files_are_small_and_read_without_pickle():
    files = sorted(DATA.glob("*.npz"))
    assert {file.stem for file in files} == {
        "five_parameters",
        "ring",
        "fixed_noise",
        "kl_fits",
        "sample_size",
        "walk",
        "classes",
    }
    for file in files:
        assert file.stat().st_size <= LARGEST
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            assert all(np.isfinite(arrays[key]).all() for key in arrays)


def test_the_data_is_in_the_package():
    import tomllib

    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["gancourse"]
    shipped = {file for pattern in patterns for file in DATA.parents[1].glob(pattern)}
    assert set(DATA.glob("*.npz")) <= shipped


@pytest.mark.parametrize(
    ("code", "free"),
    [
        ("import gancourse", "torch matplotlib ipywidgets numpy"),
        ("from gancourse import widgets; widgets.names()", "torch matplotlib ipywidgets numpy"),
        ("from gancourse import widgets; widgets.still('least-squares')", "ipywidgets torchvision IPython"),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code, free):
    probe = f"import sys; {code}; print([name for name in {free.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ipywidgets_is_one_of_the_supported_versions():
    assert int(ipywidgets.__version__.split(".")[0]) in (7, 8)
