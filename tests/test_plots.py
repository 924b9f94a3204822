"""The pictures: fixed value range, readable errors, a flip-book that needs nothing from outside."""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from html.parser import HTMLParser
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from gancourse import plots
from gancourse.errors import UserError
from gancourse.plots.charts import _apart
from gancourse.plots.sheets import _png

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def rendered(figure: Figure) -> np.ndarray:
    """Return the figure's pixels as uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    buffer.seek(0)
    return np.rint(imread(buffer, format="png")[..., :3] * 255).astype(np.uint8)


def words(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(Text) if text.get_visible()}


def digits(n: int, seed: int = 0) -> np.ndarray:
    """Return uint8 (n, 28, 28, 1) blobs on black: as much ink as a digit, without a data set."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    centres = rng.uniform(8, 20, (n, 3, 2))
    ink = sum(np.exp(-((x - c[:, :1, None]) ** 2 + (y - c[:, 1:, None]) ** 2) / 6) for c in centres.transpose(1, 0, 2))
    return np.clip(255 * ink, 0, 255).astype(np.uint8)[..., None]


# Sheets ----------------------------------------------------------------------------------------------


def test_sheet_lays_out_row_by_row_with_one_white_pixel_between():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    page = plots.sheet(images, columns=3)
    assert page.shape == (5, 11, 1) and page.dtype == np.uint8
    assert page[:2, :, 0].tolist() == [[0, 0, 0, 255, 1, 1, 1, 255, 2, 2, 2]] * 2
    assert (page[2] == 255).all()
    assert page[3, :, 0].tolist() == [3, 3, 3, 255, 4, 4, 4, 255, 255, 255, 255]


def test_sheet_takes_float_nchw_and_colour():
    colour = torch.zeros(4, 3, 5, 5)
    colour[:, 0], colour[:, 2] = 1, -1
    assert plots.sheet(colour, 2).shape == (11, 11, 3)
    assert plots.sheet(colour, 2)[0, 0].tolist() == [255, 128, 0]
    assert plots.sheet(colour[:1], 8).shape == (5, 5, 3)
    assert (plots.sheet(torch.full((1, 1, 2, 2), 7.0)) == 255).all()


@pytest.mark.parametrize("company", [(-0.2, 0.2), (-1.0, -0.2, 0.2, 1.0)])
def test_value_range_is_fixed_whatever_else_is_on_the_sheet(company):
    images = torch.tensor(company)[:, None, None, None].expand(-1, 1, 8, 8)
    shades = set(np.unique(plots.sheet(images, gap=0)))
    expected = {102, 153}
    assert expected <= shades and shades <= expected | {0, 255}
    figure = rendered(plots.sample_grid(images, columns=len(company)))
    assert {tuple(p) for p in figure.reshape(-1, 3)} == {(s,) * 3 for s in shades | {255}}


def test_sample_grid_shows_each_pixel_as_a_whole_block():
    images = digits(6)
    figure = plots.sample_grid(images, columns=3)
    pixels = rendered(figure)
    page = plots.sheet(images, 3)
    zoom = pixels.shape[0] // page.shape[0]
    assert zoom > 1
    assert np.array_equal(pixels, page.repeat(3, 2).repeat(zoom, 0).repeat(zoom, 1))
    assert figure.get_size_inches()[0] <= plots.WIDTH
    assert plots.sample_grid(images, scale=0.3).get_size_inches()[0] < figure.get_size_inches()[0]


def test_sample_grid_labels_and_title():
    figure = plots.sample_grid(digits(3), title="Three", labels=torch.tensor([7, 1, 0]))
    assert {"Three", "7", "1", "0"} <= words(figure)
    wide = plots.sample_grid(digits(1), scale=0.1, title="A title wider than its only image")
    box = next(t for t in wide.texts).get_window_extent()
    assert box.x1 <= wide.bbox.x1


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(0, 1, 28, 28), "empty"),
        (torch.zeros(1, 28, 28), r"float32 \(1, 28, 28\)"),
        (torch.zeros(2, 28, 28, 1), r"\(2, 28, 28, 1\)"),
        (np.zeros((2, 1, 28, 28), np.uint8), r"uint8 \(2, 1, 28, 28\)"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.int64), "int64"),
        (torch.tensor([0.0, math.nan]).expand(3, 1, 2, 2), "6 NaN or infinite values of 12"),
        (np.array(["a"]), "numbers"),
    ],
)
def test_bad_images_are_named(images, message):
    for draw in (plots.sheet, plots.sample_grid):
        with pytest.raises(UserError, match=message):
            draw(images)


def test_bad_options_of_grids():
    for arguments in ({"columns": 0}, {"scale": 0.0}, {"labels": [1]}):
        with pytest.raises(UserError):
            plots.sample_grid(digits(2), **arguments)
    with pytest.raises(UserError):
        plots.sheet(digits(2), gap=-1)


def test_read_only_and_flipped_arrays_are_taken():
    images = digits(4)
    images.setflags(write=False)
    assert np.array_equal(plots.sheet(images[::-1], 1, gap=0)[:28], images[3])


# PNG -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 3), (1, 1), (64, 33, 3)])
@pytest.mark.parametrize("smooth", [False, True])
def test_png_round_trip(tmp_path, shape, smooth):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    if smooth:  # makes the encoder take differences to the row above
        pixels = (np.zeros(shape) + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))).astype(np.uint8)
    path = tmp_path / "a.png"
    plots.save_png(path, pixels)
    first = path.read_bytes()
    back = np.rint(imread(path) * 255).astype(np.uint8)
    assert np.array_equal(back, pixels.reshape(back.shape))
    plots.save_png(path, pixels)
    assert path.read_bytes() == first


def test_png_in_few_shades_is_the_nearest_grey_and_smaller():
    page = plots.sheet(digits(9), 3)
    small = _png(page, shades=9)
    back = np.rint(imread(io.BytesIO(small), format="png")[..., 0] * 255)
    assert np.abs(back - page[..., 0]).max() <= 255 / 16 + 0.5
    assert {0, 128, 255} <= set(np.unique(np.rint(np.linspace(0, 255, 9))))
    assert len(small) < len(_png(page))


def test_png_refuses_what_is_not_pixels(tmp_path):
    for array in (np.zeros((3, 3)), np.zeros((2, 3, 3, 3), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(UserError, match="uint8 pixels"):
            plots.save_png(tmp_path / "a.png", array)
    with pytest.raises(UserError):
        plots.save_png(tmp_path / "missing" / "a.png", np.zeros((3, 3), np.uint8))
    assert not list(tmp_path.iterdir())


# Frames over time ------------------------------------------------------------------------------------


def noise_to_digits(frames: int = 12, n: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    target = digits(n).astype(float)
    shares = np.linspace(0, 1, frames)
    noise = [rng.normal(128, 40, target.shape) for _ in shares]
    return [np.clip(s * target + (1 - s) * z, 0, 255).astype(np.uint8) for s, z in zip(shares, noise, strict=True)]


class Tags(HTMLParser):
    """Collects (tag, attributes) and checks that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


STEPS = [0, 25, 50, 100, 200, 400, 600, 800, 1200, 1600, 2000, 2400]


def test_flip_book_is_complete_small_and_alone():
    page = plots.flip_book(noise_to_digits(), STEPS).data
    assert len(page) < 260_000
    tags = Tags(page)
    pictures = tags.all("img")
    assert len(pictures) == 12
    assert pictures[8]["alt"] == "Samples of the generator from fixed noise, step 1,200"
    for picture in pictures:
        data = base64.b64decode(picture["src"].removeprefix("data:image/png;base64,"), validate=True)
        height, width = imread(io.BytesIO(data), format="png").shape[:2]
        assert (height, width) == (8 * 28 + 7, 8 * 28 + 7)
        assert int(picture["width"]) % width == 0 and int(picture["height"]) % height == 0
    (slider,) = tags.all("input")
    assert slider["type"] == "range" and slider["value"] == slider["max"] == "11" and slider["aria-label"]
    assert tags.all("button") == [{"type": "button"}]
    assert ">step 1,200<" in page
    plain = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|require\(|\bimport\b", plain)
    assert not any("id" in attributes for _, attributes in tags.found)  # nothing on a page can clash


def test_flip_book_is_the_same_each_time_and_its_own():
    frames = noise_to_digits(3, 4)
    book = plots.flip_book(frames, [0, 1, 2]).data
    assert book == plots.flip_book([torch.from_numpy(f) for f in frames], torch.arange(3)).data
    others = [
        plots.flip_book(frames, [0, 1, 3]).data,
        plots.flip_book(frames[::-1], [0, 1, 2]).data,
        plots.flip_book(frames, [0, 1, 2], fps=3).data,
        plots.flip_book(frames, [0, 1, 2], columns=4).data,
    ]
    keys = [re.search(r'data-gc-book="(\w+)"', text)[1] for text in [book, *others]]
    assert len(set(keys)) == 5
    for key, text in zip(keys, [book, *others], strict=True):
        assert f"""[data-gc-book="{key}"]:not(.gc-live)""" in text


def test_flip_book_escapes_and_takes_colour():
    book = plots.flip_book([torch.zeros(2, 3, 8, 8)] * 2, ["a < b", '"</script>'], alt='x" onload="y').data
    tags = Tags(book)
    assert [t["alt"] for t in tags.all("img")] == ['x" onload="y, a < b', 'x" onload="y, "</script>']
    assert book.count("</script>") == 1


@pytest.mark.parametrize(("side", "columns", "width"), [(32, 1, 256), (8, 1, 256), (28, 8, 462), (32, 4, 262)])
def test_flip_book_leaves_room_for_its_slider(side, columns, width):
    tags = Tags(plots.flip_book([torch.zeros(columns, 1, side, side)] * 2, [0, 1], columns).data)
    assert all(width <= int(image["width"]) <= 1.05 * width for image in tags.all("img"))


def test_flip_book_refuses_politely():
    frames = noise_to_digits(3, 4)
    for arguments, message in (
        ((frames[:1], [0]), "at least 2"),
        ((frames, [0, 1]), "2 captions for 3 frames"),
        (([frames[0], frames[1][:2]], [0, 1]), "differ in shape"),
        ((frames, [0, 1, 2], 0, 99.0), "fps=99"),
        ((frames, [0, 1, 2], 2, 2.0, "", 17), "shades=17"),
        (([frames[0], torch.full((4, 1, 28, 28), math.nan)], [0, 1]), "Frame 1 holds .* NaN"),
        (([torch.rand(9, 3, 256, 256)] * 2, [0, 1]), "more than 2 MB"),
    ):
        with pytest.raises(UserError, match=message):
            plots.flip_book(*arguments)


def test_frames_strip_keeps_whole_pixels():
    frames = noise_to_digits(5, 4)
    figure = plots.frames_strip(frames, [0, 10, 200, 3000, "end"], across=3)
    assert {"step 0", "step 3,000", "end"} <= words(figure)
    assert 0.6 * plots.WIDTH < figure.get_size_inches()[0] <= plots.WIDTH
    pixels = rendered(figure)[..., 0]
    assert set(np.unique(pixels[-57:, :57] % 17)) == {0}  # sixteen shades, nothing blended


# The plane -------------------------------------------------------------------------------------------


class Ring:
    angles = torch.arange(8) * math.pi / 4
    centres = torch.stack([angles.cos(), angles.sin()], dim=1)


def test_points_marks_modes_and_counts_what_is_outside():
    samples = Ring.centres.repeat(10, 1)
    samples[:3] = 9.0
    figure = plots.points(samples, data=Ring.centres, mixture=Ring(), limits=1.5, title="T")
    ax = figure.axes[0]
    assert [len(c.get_offsets()) for c in ax.collections] == [8, 80, 8]
    assert {"3 outside", "data", "generated", "modes", "T"} <= words(figure)
    assert ax.get_xlim() == (-1.5, 1.5) and ax.get_aspect() == 1
    assert "outside" not in " ".join(words(plots.points(samples)))


def test_points_errors():
    good = torch.randn(5, 2)
    for arguments, message in (
        ({"samples": torch.zeros(5, 3)}, r"\(5, 3\)"),
        ({"samples": torch.zeros(0, 2)}, "no values"),
        ({"samples": good * math.nan}, "10 NaN"),
        ({"samples": good, "limits": (1, -1)}, "limits"),
        ({"samples": good, "mixture": object()}, "no centres"),
    ):
        with pytest.raises(UserError, match=message):
            plots.points(**arguments)


def half_line(figure: Figure) -> np.ndarray:
    """Return the vertices of the contour D = 1/2."""
    sets = [c for c in figure.axes[0].collections if isinstance(c, ContourSet)]
    (line,) = [c for c in sets if np.array_equal(c.levels, [0.5])]
    return np.concatenate([path.vertices for path in line.get_paths()])


def test_landscape_draws_the_half_line_where_the_logit_is_zero():
    circle = half_line(plots.landscape(lambda x: 3 * (1 - x.norm(dim=1)), limits=2, samples=Ring.centres))
    assert np.abs(np.linalg.norm(circle, axis=1) - 1).max() < 2e-3
    upright = half_line(plots.landscape(lambda x: x[:, :1] - 0.25, limits=(-1, 1, -2, 2)))
    assert np.allclose(upright[:, 0], 0.25, atol=1e-6) and np.ptp(upright[:, 1]) > 3.9
    flat = plots.landscape(lambda x: torch.zeros(len(x)), limits=1)
    assert not any(np.array_equal(c.levels, [0.5]) for c in flat.axes[0].collections)


def test_level_lines_have_one_score_each():
    figure = plots.level_lines(lambda x: 5 * x.norm(dim=1), limits=1, levels=6, title="heights")
    lines = next(c for c in figure.axes[0].collections if not c.get_facecolor().size)
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        if len(path.vertices):
            assert np.abs(np.linalg.norm(path.vertices, axis=1) - level / 5).max() < 0.02
    with pytest.raises(UserError, match="NaN"):
        plots.level_lines(lambda x: x[:, 0] * math.nan)


def test_landscape_colours_say_data_green_and_generated_grey():
    figure = plots.landscape(lambda x: 50 * x[:, 0], limits=1)
    pixels = rendered(figure)
    box = figure.axes[0].get_window_extent()
    row = pixels[pixels.shape[0] - int((box.y0 + box.y1) / 2)].astype(int)
    left, right = row[int(box.x0) + 20], row[int(box.x1) - 20]
    assert np.ptp(left) == 0 and right[1] - right[0] > 50


def test_landscape_leaves_the_network_as_it_was():
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 1)
    )
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    plots.landscape(network, limits=1, resolution=10)
    assert [m.training for m in network] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in network.parameters())


def test_landscape_errors():
    for judge, message in (
        (lambda x: x, r"\(14400, 2\); expected one logit each"),
        (lambda x: x[:, 0] * math.nan, "NaN"),
        (lambda x: 1.0, "float"),
    ):
        with pytest.raises(UserError, match=message):
            plots.landscape(judge, limits=1)
    with pytest.raises(UserError, match="resolution"):
        plots.snapshot(0, lambda x: x[:, 0], resolution=1)
    with pytest.raises(UserError, match="no snapshots"):
        plots.landscape_strip([])


def test_snapshots_keep_the_moment():
    network, samples = torch.nn.Linear(2, 1), torch.zeros(4, 2)
    shots = []
    for step in (0, 1000):
        with torch.no_grad():
            network.weight.fill_(step + 1.0)
            samples.fill_(step / 1000)
        shots.append(plots.snapshot(step, network, samples, limits=1))
    assert not np.array_equal(shots[0].probability, shots[1].probability)
    assert shots[0].samples.max() == 0 and shots[1].samples.max() == 1
    figure = plots.landscape_strip(shots * 2, data=Ring.centres)
    assert len(figure.axes) == 5  # four panels and one scale for all
    assert {"step 0", "step 1,000"} <= words(figure)


# Curves ----------------------------------------------------------------------------------------------


def test_density_with_the_optimal_discriminator():
    xs = torch.linspace(-3, 3, 101)
    p, q = (torch.exp(-((xs - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (-1.0, 1.0))
    curves = {"data": p, "generated": q}
    given = plots.density_1d(xs, curves, discriminator=p / (p + q))
    asked = plots.density_1d(xs, curves, discriminator=lambda x: -2 * x)  # the same D, by its logit
    lines = [figure.axes[1].lines[-1].get_ydata() for figure in (given, asked)]
    assert np.allclose(*lines, atol=1e-6)
    assert [line.get_color() for line in given.axes[0].lines] == [plots.DATA, plots.GENERATOR]
    assert {"data", "generated", "D(x)"} <= words(given)
    for bad, message in ((p[:5], r"\(5,\)"), (p * 9, "expected probabilities"), (p * math.nan, "NaN")):
        with pytest.raises(UserError, match=message):
            plots.density_1d(xs, curves, discriminator=bad)


def log(n: int = 50) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"step": np.arange(n) * 25, "d_loss": 1.4 + 0.1 * rng.normal(size=n), "g_loss": np.full(n, 0.7)}


def test_curves_name_lines_and_references_without_overlap():
    references = {"2 log 2": 2 * math.log(2), "log 2": math.log(2)}
    figure = plots.curves(
        log(),
        {"d_loss": "discriminator", "g_loss": "generator"},
        smooth=5,
        references=references,
        band=(0.6, 0.8),
    )
    ax = figure.axes[0]
    figure.draw_without_rendering()
    labels = sorted((t for t in ax.texts), key=lambda t: t.get_window_extent().y0)
    assert {t.get_text() for t in labels} == {"discriminator", "generator", "expected", *references}
    boxes = [t.get_window_extent() for t in labels]
    assert all(a.y1 <= b.y0 + 1.5 for a, b in zip(boxes, boxes[1:], strict=False))
    assert all(box.x0 >= ax.get_window_extent().x1 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert any(np.allclose(line.get_ydata(), math.log(2)) for line in ax.lines)
    colours = {t.get_text(): t.get_color() for t in labels}
    assert colours["generator"] == plots.GENERATOR and colours["discriminator"] == plots.DISCRIMINATOR


def test_curves_take_rows_nan_and_log_axes():
    table = log()
    table["g_loss"][10:20] = math.nan
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    first, second = (plots.curves(t, ["g_loss"], smooth=3, log_y=True) for t in (table, rows))
    for a, b in zip(first.axes[0].lines, second.axes[0].lines, strict=True):
        assert np.array_equal(a.get_ydata(), b.get_ydata(), equal_nan=True)
    steps, smoothed = first.axes[0].lines[-1].get_data()
    assert np.array_equal(steps, np.delete(table["step"], np.s_[10:20])) and np.allclose(smoothed, 0.7)
    assert first.axes[0].get_yscale() == "log"


@pytest.mark.parametrize("smooth", [1, 3])
def test_curves_lead_across_blanks(smooth):
    table = log(200)
    seldom = np.arange(200) % 4 == 0
    blanks = {"step": table["step"], "fid": np.where(seldom, 5 + table["d_loss"], math.nan)}
    alone = {name: values[seldom] for name, values in blanks.items()}
    first, second = (plots.curves(t, ["fid"], smooth=smooth) for t in (blanks, alone))
    assert len(first.axes[0].lines) == (1 if smooth == 1 else 2)
    for line in first.axes[0].lines:
        assert np.array_equal(line.get_xdata(), table["step"][seldom]) and np.isfinite(line.get_ydata()).all()
    assert np.array_equal(rendered(first), rendered(second))
    by_fid = plots.curves(blanks | {"d_loss": table["d_loss"]}, ["d_loss"], x="fid")
    assert np.array_equal(by_fid.axes[0].lines[0].get_xdata(), alone["fid"])


def test_curves_keep_the_gap_of_an_infinite_value():
    table = log() | {"fid": np.full(50, 3.0)}
    table["fid"][20] = math.inf
    smoothed = plots.curves(table, ["fid"], smooth=5).axes[0].lines[-1].get_ydata()
    assert np.isnan(smoothed[20]) and np.allclose(np.delete(smoothed, 20), 3)


@pytest.mark.parametrize("smooth", [1, 3])
def test_curves_show_a_single_number_as_a_dot(smooth):
    table = log()
    single = np.full(50, math.nan)
    single[30] = 1.4
    figure = plots.curves(table | {"d_fake": single}, ["d_loss", "d_fake"], smooth=smooth)
    colour = np.rint(255 * np.array(matplotlib.colors.to_rgb(plots.GENERATOR)))
    box = figure.axes[0].get_window_extent()
    inside = rendered(figure)[:, int(box.x0) : int(box.x1)]
    assert (inside == colour).all(axis=-1).sum() > 20
    assert [line.get_marker() for line in plots.curves(table, ["d_loss"]).axes[0].lines] == ["None"]


def test_curves_errors():
    for rows, columns, message in (
        (log(), ["d_los"], "Did you mean 'd_loss'"),
        ([], ["d_loss"], "no rows"),
        ({"step": [], "d_loss": []}, ["d_loss"], "no rows"),
        ({"step": [1, 2], "d_loss": [1]}, ["d_loss"], "differ in length"),
        ({"step": [1, 2], "d_loss": [math.nan] * 2}, ["d_loss"], "no finite number"),
        ({"step": [1, math.nan], "d_loss": [math.nan, 2]}, ["d_loss"], "No row has a number in both 'step' and"),
        ({"step": [1, 2], "d_loss": ["a", "b"]}, ["d_loss"], "should be numbers"),
        (log(), [], "0 columns"),
    ):
        with pytest.raises(UserError, match=message):
            plots.curves(rows, columns)


def test_labels_move_as_little_as_possible():
    assert _apart([0.1, 0.5, 0.9], 0.2) == pytest.approx([0.1, 0.5, 0.9])
    assert _apart([0.5, 0.5, 0.9], 0.2) == pytest.approx([0.4, 0.6, 0.9])
    assert _apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])


def test_histogram_shares_bins_and_adds_up():
    rng = np.random.default_rng(0)
    sets = {"data": torch.rand(10, 1, 4, 4), "generated": rng.uniform(-1, 1, (50, 7))}
    figure = plots.histogram(sets, bins=20, log_y=True)
    steps = [patch.get_data() for patch in figure.axes[0].patches]
    assert len(steps) == 4  # one area and one outline each
    assert all(np.array_equal(s.edges, steps[0].edges) and len(s.values) == 20 for s in steps)
    assert [s.values.sum() for s in steps] == pytest.approx([100.0] * 4)
    plots.histogram({"constant": np.zeros(5)})
    for bad in ({}, {"data": []}, {"data": [math.nan]}):
        with pytest.raises(UserError):
            plots.histogram(bad)
    with pytest.raises(UserError, match="bins=0"):
        plots.histogram(sets, bins=0)


def test_read_metrics(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,d_loss,fid\n0,1.5,\n25,1.25,3\n50,1.")
    table = plots.read_metrics(path)
    assert list(table) == ["step", "d_loss", "fid"]
    assert table["d_loss"].tolist() == [1.5, 1.25]
    assert math.isnan(table["fid"][0]) and table["fid"][1] == 3
    plots.curves(table, ["d_loss", "fid"])
    for text, message in (
        ("", "no complete row"),
        ("step,d_loss\n", "no complete row"),
        ("step,d_loss\n0,x\n1,2\n", "row 2: could not convert"),
        ("step,d_loss\n0,1,2\n1,2\n", "3 cells"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            plots.read_metrics(path)
    with pytest.raises(UserError, match="Cannot read .*No such file"):
        plots.read_metrics(tmp_path / "missing.csv")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not text"):
        plots.read_metrics(path)


def test_read_metrics_drops_a_last_line_without_its_newline(tmp_path):
    path = tmp_path / "metrics.csv"
    for torn in ("50,0.69", "50,0.6931", "50,", "50", "50,0.69x", '50,"'):  # the cell was to be 0.6931
        for end in ("\n", "\r\n"):
            path.write_bytes(end.join(("step,d_loss", "0,1.5", "25,", torn)).encode())
            table = plots.read_metrics(path)
            assert table["step"].tolist() == [0, 25] and table["d_loss"][0] == 1.5 and math.isnan(table["d_loss"][1])
    path.write_bytes(b"step,d_loss\r\n0,1.5\r\n25,0.6931\r\n")
    assert plots.read_metrics(path)["d_loss"].tolist() == [1.5, 0.6931]
    for text in ("step,d_loss\n0,0.69", "step,d_loss", "step,d_l"):
        path.write_text(text)
        with pytest.raises(UserError, match="no complete row"):
            plots.read_metrics(path)


# All of them -----------------------------------------------------------------------------------------


def test_every_function_returns_a_figure_outside_pyplot_and_keeps_the_readers_style():
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    frames = noise_to_digits(2, 4)
    shot = plots.snapshot(0, lambda x: x[:, 0])
    figures = [
        plots.sample_grid(digits(4)),
        plots.frames_strip(frames, [0, 1]),
        plots.points(Ring.centres),
        plots.landscape(lambda x: x[:, 0]),
        plots.landscape_strip([shot]),
        plots.density_1d([0, 1, 2], {"data": [0, 1, 0]}),
        plots.curves(log(), ["d_loss"]),
        plots.histogram({"data": [1, 2]}),
        plots.panels(2)[0],
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")
        assert figure.get_facecolor() == (1, 1, 1, 1)
        assert figure.dpi >= 110
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text()]
        assert min(sizes, default=9) >= 9
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_panels_take_the_other_pictures():
    figure, axes = plots.panels(5, columns=2)
    assert plots.points(Ring.centres, ax=axes[0]) is figure
    assert plots.landscape(lambda x: x[:, 0], ax=axes[1]) is figure
    assert plots.density_1d([0, 1, 2], {"data": [0, 1, 0]}, ax=axes[2]) is figure
    assert plots.curves(log(), ["d_loss"], ax=axes[3]) is figure
    assert plots.histogram({"data": [1, 2]}, ax=axes[4]) is figure
    rendered(figure)
    for arguments in ((0, 1), (1, 0)):
        with pytest.raises(UserError):
            plots.panels(*arguments)


def legends(axes: Any) -> list[list[str] | None]:
    """The names in each picture's legend."""
    return [one and [text.get_text() for text in one.get_texts()] for one in (ax.get_legend() for ax in axes)]


def test_a_legend_stands_once_in_a_row() -> None:
    groups = {"data": torch.randn(50), "generated": torch.randn(50)}
    told = list(groups)

    def row(columns: int, second: dict[str, Any] = groups) -> Any:
        figure, axes = plots.panels(2, columns=columns)
        for ax, shown in zip(axes, (groups, second), strict=True):
            plots.histogram(shown, ax=ax, title="t")
        return axes

    assert legends(row(2)) == [told, None]
    assert legends(row(1)) == [told, told], "one below the other, each has its own"
    assert legends(row(2, {"x": torch.randn(50)})) == [told, ["x"]], "other names"
    figure, axes = plots.panels(2, columns=2)
    axes[0].plot([0, 1], color="black", label="data")
    plots.histogram({"generated": groups["generated"]}, ax=axes[0])
    plots.histogram(groups, ax=axes[1])
    assert legends(axes)[1] == told, "the same names in other colours"
    figure, axes = plots.panels(2, columns=2)
    plots.histogram(groups, ax=axes[0])
    axes[0].set_visible(False)
    plots.histogram(groups, ax=axes[1])
    assert legends(axes)[1] == told, "what is hidden tells nothing"
    outer = figure.add_gridspec(2, 1)
    nested = [figure.add_subplot(outer[k].subgridspec(1, 1)[0]) for k in range(2)]
    for ax in nested:
        plots.histogram(groups, ax=ax)
    assert legends(nested) == [told, told], "each in a grid of its own"


def test_arrows_do_not_tell_twice_of_the_generated() -> None:
    groups = {"data": torch.randn(50), "generated": torch.randn(50)}
    figure, axes = plots.panels(2, columns=2)
    for ax in axes:
        plots.histogram(groups, ax=ax)
        plots.arrows(lambda x: x[:, 0], torch.randn(5, 1), ax=ax, background=False, title="t")
    assert legends(axes) == [["data", "generated"], None]
