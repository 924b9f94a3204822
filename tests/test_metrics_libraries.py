"""Our metrics against torchmetrics and prdc, on shared features that need no downloaded network."""

import pytest
import torch

from gancourse import metrics

SHAPE = (300, 12)


class Identity(torch.nn.Module):
    """Features that are handed over as they are."""

    num_features = SHAPE[1]

    def forward(self, x):
        return x


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")


@pytest.fixture(scope="module")
def samples():
    """Two samples that overlap in part, skewed so that third moments matter."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    return x.exp() / 2, (0.8 * y).exp() / 2 + 0.3


def test_the_frechet_distance_is_torchmetrics(samples):
    fid = pytest.importorskip("torchmetrics.image.fid")
    real, fake = samples
    metric = fid.FrechetInceptionDistance(feature=Identity())
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert metrics.feature_frechet(real, fake) == pytest.approx(float(metric.compute()), rel=1e-6)


def test_the_kernel_distance_is_torchmetrics(samples):
    kid = pytest.importorskip("torchmetrics.image.kid")
    real, fake = samples
    torch.manual_seed(0)
    for subsets, size, tolerance in ((1, SHAPE[0], 1e-6), (400, 100, 0.1)):
        metric = kid.KernelInceptionDistance(feature=Identity(), subsets=subsets, subset_size=size)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        mean, std = (float(value) for value in metric.compute())
        ours = metrics.kid(real, fake, subsets=subsets, subset_size=size)
        assert ours.mean == pytest.approx(mean, rel=tolerance)
        if subsets > 1:  # other subsets are drawn
            assert ours.std == pytest.approx(std, rel=tolerance)
        else:
            assert metrics.kid_full(real, fake) == pytest.approx(mean, rel=tolerance)


def test_the_inception_score_is_torchmetrics():
    inception = pytest.importorskip("torchmetrics.image.inception")
    logits = 3 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    metric = inception.InceptionScore(feature=Identity(), splits=1)
    metric.update(logits)
    ours = metrics.inception_score(logits.softmax(dim=1))
    assert ours.mean == pytest.approx(float(metric.compute()[0]), rel=1e-6)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_and_coverage_are_prdc(samples, k):
    prdc = pytest.importorskip("prdc")
    real, fake = samples
    theirs = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    precision, recall = metrics.precision_recall(real, fake, k)
    density, coverage = metrics.density_coverage(real, fake, k)
    ours = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    assert 0 < theirs["coverage"] < 1 and 0 < theirs["precision"] < 1
    assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-3)
