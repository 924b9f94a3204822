"""Drawings, hints and tables: words stay in their boxes, arrows tell the slope, and no two colours look alike."""

from __future__ import annotations

import itertools
import math

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.quiver import Quiver
from torch import nn

from gancourse import networks, plots
from gancourse.errors import UserError
from gancourse.plots.layers import read

matplotlib.use("Agg")

CONDITIONS = list(itertools.product(networks.G_CONDITIONS, networks.D_CONDITIONS))


def pair(spec: networks.Networks) -> tuple[nn.Module, nn.Module]:
    return spec.generator(), spec.discriminator()


def boxes_and_words(figure: Figure) -> tuple[list, list]:
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    return boxes, [(text.get_text(), text.get_window_extent()) for text in ax.texts]


def check_drawing(figure: Figure) -> None:
    """Words are inside their box or outside all, on the page, and over no other words; boxes touch no other."""
    boxes, words = boxes_and_words(figure)
    assert figure.get_size_inches()[0] <= plots.WIDTH + 1e-6
    for text, extent in words:
        inside = [box for box in boxes if box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0]
        inside = [box for box in inside if extent.y1 <= box.y1]
        assert inside or not any(box.overlaps(extent) for box in boxes), f"{text!r} runs over its box"
        assert figure.bbox.x0 <= extent.x0 and extent.x1 <= figure.bbox.x1, f"{text!r} runs off the page"
        assert figure.bbox.y0 <= extent.y0 and extent.y1 <= figure.bbox.y1, f"{text!r} runs off the page"
    for (one, a), (other, b) in itertools.combinations(words, 2):
        assert not a.overlaps(b), f"{one!r} lies over {other!r}"
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)


def letters_on_a_phone(figure: Figure) -> float:
    """Return the height in pixels of the smallest words where the picture has 350 pixels of 390."""
    scale = min(1.0, 350 / (figure.get_size_inches()[0] * figure.dpi))
    sizes = [text.get_fontsize() for text in figure.axes[0].texts]
    return min(sizes) / 72 * figure.dpi * scale


def test_the_penalty_is_drawn_and_readable():
    figure = plots.penalty_diagram("The penalty")
    check_drawing(figure)
    assert letters_on_a_phone(figure) >= 8
    assert {"critic D", "∇D(x̂)"} <= {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize("player", ["both", "generator", "discriminator"])
@pytest.mark.parametrize("condition", [False, True])
def test_the_game_is_drawn_and_readable(player, condition):
    figure = plots.gan_diagram(condition, player, title="The game")
    check_drawing(figure)
    assert letters_on_a_phone(figure) >= 8
    words = {text.get_text() for text in figure.axes[0].texts}
    assert ("detach" in words) == (player != "generator") and ("class c" in words) == condition
    assert ("D's loss" in words) == (player != "generator") and ("G's loss" in words) == (player != "discriminator")
    with pytest.raises(UserError, match="player"):
        plots.gan_diagram(player="G")


def test_a_network_is_read_in_the_order_in_which_it_runs():
    G, D = pair(networks.MLP(g_widths=(8, 16), d_widths=(32,), d_norm="spectral", d_dropout=0.3, latent_dim=4))
    G.train()
    state = torch.get_rng_state()
    running = {name: value.clone() for name, value in G.state_dict().items()}
    assert [stage.name for stage in read(G)] == ["", "Linear 4 → 8", "Linear 8 → 16", "Linear 16 → 784", ""]
    assert read(G)[1].shape == "BatchNorm, ReLU" and read(G)[-1].shape == "1 × 28 × 28"
    stage = read(D)[1]
    assert stage.name == "Linear 784 → 32" and stage.shape == "spectral norm,\nLeakyReLU, Dropout"
    assert all(module.training for module in G.modules())
    assert all(torch.equal(value, running[name]) for name, value in G.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    figure = plots.architecture(G, D)
    check_drawing(figure)
    assert letters_on_a_phone(figure) >= 8
    count = sum(weight.numel() for weight in G.parameters())
    assert f"{count:,} weights" in {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(("g_condition", "d_condition"), CONDITIONS)
def test_the_condition_is_drawn_where_it_enters(g_condition, d_condition):
    G, D = pair(networks.ConditionalMLP(g_condition=g_condition, d_condition=d_condition))
    check_drawing(plots.architecture(G, D))
    in_g = [k for k, stage in enumerate(read(G)) if stage.condition]
    assert in_g == ([1, 2, 3] if g_condition == "batchnorm" else [1])
    stages = read(D)
    in_d = [k for k, stage in enumerate(stages) if stage.condition]
    wanted = {"projection": [len(stages) - 1], "concat": [1], "auxiliary": [], "two-scores": [3]}[d_condition]
    assert in_d == wanted


def test_convolutions_are_drawn_from_an_example():
    net = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(6272, 1))
    with pytest.raises(UserError, match="inputs="):
        plots.architecture(net)
    figure = plots.architecture(net, names=["D"], inputs=[torch.zeros(2, 1, 28, 28)])
    check_drawing(figure)
    with pytest.raises(UserError, match=r"\(2, 3\)"):
        plots.architecture(net, inputs=[torch.zeros(2, 3)])


def test_what_d_gives_is_named():
    linear = nn.Linear(4, 1)
    for net, words in (
        (linear, "score a(x)"),
        (nn.Sequential(linear, nn.Sigmoid()), "probability D(x)"),
        (nn.Linear(4, 3), "output"),
        (pair(networks.ConditionalMLP(d_condition="auxiliary"))[1], "outputs"),
    ):
        figure = plots.architecture(net, names=["D"])
        assert words in {text.get_text() for text in figure.axes[0].texts}


def test_diagram_errors():
    boxes = {"a": plots.Box((0, 0), "a"), "b": plots.Box((0, 1), "b")}
    for arguments, message in (
        (({}, []), "no boxes"),
        ((boxes, [plots.Arrow("a", "c")]), "'a' → 'c'.*a, b"),
        ((boxes, [plots.Arrow("a", "b", "dotted")]), "dotted"),
        (({"a": plots.Box((0, 0), "a", role="king")}, []), "king"),
        (({"a": plots.Box((0, 0), "very long words " * 9)}, []), "Break the longest"),
    ):
        with pytest.raises(UserError, match=message):
            plots.diagram(*arguments)
    with pytest.raises(UserError, match="0 networks"):
        plots.architecture()
    with pytest.raises(UserError, match="one name"):
        plots.architecture(nn.Linear(2, 1), names=["G", "D"])


# Hints -----------------------------------------------------------------------------------------------


def bowl(x: torch.Tensor) -> torch.Tensor:
    return -(x**2).sum(dim=1)


@pytest.mark.parametrize("weight", [None, "D", "1-D"])
@pytest.mark.parametrize("d", [1, 2])
def test_hints_are_the_slope_of_the_logit(weight, d):
    x = torch.randn(20, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    D = bowl(x).sigmoid()[:, None]
    expected = -2 * x * {None: 1.0, "D": D, "1-D": 1 - D}[weight]
    np.testing.assert_allclose(plots.hint(bowl, x, weight), expected, atol=1e-5)


def test_arrows_point_along_the_hint_and_share_a_scale():
    x = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]])
    (arrows,) = [c for c in plots.arrows(bowl, x, limits=1.5).axes[0].collections if isinstance(c, Quiver)]
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], 1), [[-0.5, 0], [0, -0.25], [0, 0]], atol=1e-6)
    half = plots.arrows(bowl, x, limits=1.5, scale=4.0).axes[0].collections
    (arrows,) = [c for c in half if isinstance(c, Quiver)]
    np.testing.assert_allclose(arrows.U[0], -0.25, atol=1e-6)
    figure = plots.arrows(bowl, x[:, :1], data=x[:, :1])
    shown = [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None) is not None]
    assert len(shown) == 1 and shown[0].xy[0] < shown[0].xyann[0] == 1.0  # the two at 0 feel nothing


def test_arrows_leave_the_network_as_it_was():
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plots.arrows(network, torch.randn(10, 2))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(weight.grad is None for weight in network.parameters())


def test_arrow_errors():
    x = torch.randn(5, 2)
    for arguments, message in (
        ((bowl, torch.randn(5, 3)), r"\(5, 3\)"),
        ((bowl, x, "2D"), "weight"),
        ((bowl, x * math.nan), "NaN"),
        ((lambda x: bowl(x).detach(), x), "detach"),
        ((lambda x: x, x), "one logit each"),
    ):
        with pytest.raises(UserError, match=message):
            plots.arrows(*arguments)
    for bad in ({"scale": 0.0}, {"most": 0}, {"data": torch.zeros(3, 1)}):
        with pytest.raises(UserError):
            plots.arrows(bowl, x, **bad)


def test_the_grid_is_pushed_forward():
    figure = plots.push_forward(lambda z: 2 * z + 1, lines=5, samples=0)
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == 10
    for line, image in zip(left.lines, right.lines, strict=True):
        np.testing.assert_allclose(image.get_xydata(), 2 * line.get_xydata() + 1, atol=1e-5)
    strings = plots.push_forward(lambda z: z**3, latent_dim=1, lines=7)
    line = strings.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), [-8, -2], atol=1e-5)
    plots.push_forward(lambda z: torch.cat([z, z**2], 1), latent_dim=1)
    for generator, arguments, message in (
        (lambda z: z, {"latent_dim": 3}, "latent_dim=3"),
        (lambda z: z[:, :1], {}, "latent_dim=1"),
        (lambda z: torch.zeros(len(z), 1, 28, 28), {}, "generator of points"),
        (lambda z: z * math.nan, {}, "NaN"),
    ):
        with pytest.raises(UserError, match=message):
            plots.push_forward(generator, **arguments)


# Tables ----------------------------------------------------------------------------------------------

ROWS = [{"name": "a | b", "x": 0.12345, "n": 12345}, {"name": "*c*", "x": None, "n": torch.tensor(3)}]


def test_one_table_in_three_forms():
    table = plots.table(ROWS, formats=".2f", caption="Two rows")
    assert repr(table).splitlines() == ["Two rows", "name      x       n", "a | b  0.12  12,345", "c                 3"]
    assert table.markdown().splitlines()[2:] == [
        "| name | x | n |",
        "| :-- | --: | --: |",
        r"| a \| b | 0.12 | 12,345 |",
        "| *c* |  | 3 |",
    ]
    page = table._repr_html_()
    assert "<em>c</em>" in page and "text-align: right" in page and "<caption>Two rows</caption>" in page
    columns = {key: [row[key] for row in ROWS] for key in ROWS[0]}
    cells = [[row[key] for key in columns] for row in ROWS]
    for same in (plots.table(columns, formats=".2f"), plots.table(cells, list(columns), [None, ".2f", None])):
        assert same.rows == table.rows and same.align == "lrr"
    assert "&lt;script" in plots.table([["<script>"]], ["<b>"])._repr_html_()
    assert plots.table([["0.3 ± 0.1"], ["-2"]], ["x"]).align == "r"
    assert plots.table([["3×3, constant", 12], ["64×64", 3]], ["kernel", "n"]).align == "lr"


def test_table_errors():
    for arguments, message in (
        (([[1]],), "need a header"),
        (([[1, 2]], ["a"]), "Row 0 has 2 cells"),
        (([], []), "no columns"),
        ((ROWS, None, {"y": ".2f"}), "No column y"),
        ((ROWS, None, [".2f"]), "1 formats for 3"),
        ((ROWS, None, None, "lx"), "align='lx'"),
        (([[0.5]], ["a"], ".2q"), "does not fit"),
        (({"a": [1], "b": []},), "differ in length"),
    ):
        with pytest.raises(UserError, match=message):
            plots.table(*arguments)


def test_a_card_is_shown_as_a_table(tmp_path):
    text = "# A run\n\n- **Seeds**: 0, 1\n\n| measure | value |\n|---|---|\n| fid | 3.5 |\n"
    text += "\nHyper-parameters:\n\n```json\n{}\n```\n"
    (tmp_path / "card.md").write_text(text)
    for source in (text, tmp_path, tmp_path / "card.md", str(tmp_path)):
        card = plots.card(source)
        assert "Hyper" not in card.text and card.text.startswith("# A run")
        assert card._repr_markdown_() == card.text.replace("# A run", "**A run**")
        assert "|" not in repr(card) and "fid      3.5" in repr(card)
    assert "json" in plots.card(text, settings=True).text
    with pytest.raises(UserError, match="No card in"):
        plots.card(tmp_path / "missing")


# Colours ---------------------------------------------------------------------------------------------


def lab(colour: str) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_no_two_colours_of_a_figure_look_alike():
    """Of CIELAB's differences, 2 is just seen side by side; thin lines far apart want ten times that."""
    palette = [plots.DATA, plots.GENERATOR, plots.DISCRIMINATOR, *plots.OTHERS]
    for one, other in itertools.combinations(palette, 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 20, f"{one} and {other} look alike"
    names = [f"curve {k}" for k in range(7)]
    assert len(set(plots.style.colours(names).values())) == 7


def test_a_star_that_marks_nothing_stays():
    shown = plots.table([["*italic* **bold** `code`", "D*"]], header=["words", "D* and a*"])
    assert "italic bold code" in repr(shown) and repr(shown).count("D*") == 2 and "a*" in repr(shown)
    assert "<em>italic</em>" in shown._repr_html_() and "D*" in shown._repr_html_()
