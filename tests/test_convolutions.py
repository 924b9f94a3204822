"""Convolutions as drawings, and the walk between two noise vectors."""

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from torch import nn
from torch.nn import functional as F

from gancourse import hub, plots
from gancourse.errors import UserError
from gancourse.plots.convolutions import _shape
from gancourse.plots.layers import read
from gancourse.widgets.walk import between


@pytest.mark.parametrize(("count", "kernel", "stride", "padding"), [(2, 3, 1, 0), (3, 3, 2, 1), (4, 4, 2, 1)])
def test_a_drawing_has_the_cells_of_torch(count, kernel, stride, padding):
    figure = plots.transposed({"words": (count, kernel, stride, padding)})
    padded, output = _shape(count, kernel, stride, padding)
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
    assert layer(torch.zeros(1, 1, count, count)).shape[-1] == output
    (ax,) = figure.axes
    cells = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() == 1 and p.get_fill()]
    assert len(cells) == padded**2 + output**2
    shown = [text.get_text() for text in ax.texts]
    assert "words" in shown and [str(k + 1) for k in range(count**2)] == [t for t in shown if t.isdigit() and t != "0"]


@pytest.mark.parametrize("setting", [(2, 3, 1, 3), (0, 3, 1, 0), (1, 1, 0, 0), (1, 3, 1, 2)])
def test_a_convolution_without_output_is_refused(setting):
    with pytest.raises(UserError):
        plots.transposed({"words": setting})


def test_nothing_to_draw_is_refused():
    for draw in (plots.transposed, plots.numbers):
        with pytest.raises(UserError, match="at least one"):
            draw({})
    with pytest.raises(UserError, match="16 × 16"):
        plots.numbers({"large": torch.zeros(17, 17)})
    with pytest.raises(UserError, match="16 × 16"):
        plots.numbers({"flat": torch.zeros(4)})


def test_numbers_are_written_where_they_stand_on_one_scale():
    counts = F.conv_transpose2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3), None, 2)[0, 0, 2:6, 2:6]
    figure = plots.numbers({"one": counts, "two": 2 * counts.numpy()})
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == [f"{value:g}" for value in counts.flatten().tolist()]
    assert first.images[0].get_clim() == second.images[0].get_clim()
    assert np.array_equal(first.images[0].get_array(), counts.numpy())
    assert not plots.numbers({"one": counts}, form="").axes[0].texts


def test_maps_stand_on_a_line_of_their_own():
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 2))
    names = [stage.name for stage in read(net, torch.zeros(2, 3, 32, 32))]
    assert names[1:3] == ["Conv\n3 × 32 × 32 → 8 × 16 × 16", "Linear 2048 → 2"]


def test_a_walk_keeps_its_ends_and_along_the_sphere_its_length():
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    b = b * a.norm() / b.norm()
    shares = torch.linspace(0, 1, 5)
    for way in ("straight", "along the sphere"):
        walked = between(a, b, shares, way)
        torch.testing.assert_close(walked[[0, -1]], torch.stack([a, b]))
    torch.testing.assert_close(walked.norm(dim=1), a.norm().expand(5))
    angles = torch.acos((walked[1:] * walked[:-1]).sum(dim=1) / a.norm() ** 2)
    torch.testing.assert_close(angles, angles[:1].expand(4), atol=1e-3, rtol=1e-3)


def test_a_run_says_what_its_card_measured():
    run = hub.load("digits-mlp", torch.device("cpu"))
    assert run.measured("digit_fid").startswith("112.4 ±")
    assert run.measured("nothing of that name") is None
