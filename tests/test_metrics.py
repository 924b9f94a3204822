"""Metrics against closed forms, invariances, and samplers whose quality is known."""

import math

import pytest
import torch

from gancourse import images, metrics
from gancourse.datasets import digits, toy
from gancourse.errors import UserError

KEYS = {
    "data",
    "reference",
    "judge",
    "n",
    "digit_fid",
    "digit_fid_floor",
    "digit_fid_uniform",
    "digit_fid_percent",
    "label_kl",
    "classes",
    "confidence",
    "label_accuracy",
}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(size, seed):
    """Return a random mean and a random covariance of full rank."""
    g = generator(seed)
    factor = torch.randn(size, size + 3, generator=g, dtype=torch.float64)
    return torch.randn(size, generator=g, dtype=torch.float64), factor @ factor.T / size


# ----------------------------------------------------------------------------------------------- 2-D mixtures


@pytest.mark.parametrize(("mixture", "modes"), [(toy.ring(), 8), (toy.grid(), 25)])
def test_a_perfect_sampler_scores_as_theory_says(mixture, modes):
    reports = [metrics.mode_report(mixture.sample(2500, generator(s)), mixture) for s in range(40)]
    assert all(r["modes"] == r["modes_of"] == modes for r in reports)
    quality = sum(r["high_quality"] for r in reports) / 40
    assert abs(quality - (1 - math.exp(-4.5))) < 4 * 0.0021 / math.sqrt(40)
    kl = sum(r["reverse_kl"] for r in reports) / 40
    floor = reports[0]["reverse_kl_floor"]
    assert floor == pytest.approx((modes - 1) / 5000)
    assert 0.8 * floor < kl < 1.25 * floor


def test_a_collapsed_sampler():
    ring = toy.ring()
    points = ring.centres[3] + 0.01 * torch.randn(2500, 2, generator=generator(0))
    report = metrics.mode_report(points, ring)
    assert report["modes"] == 1
    assert report["high_quality"] == pytest.approx(0.989, abs=0.008)
    assert report["reverse_kl"] == pytest.approx(math.log(8))


def test_two_of_eight_modes_with_unequal_shares():
    ring = toy.ring()
    points = torch.cat([ring.centres[:1].repeat(300, 1), ring.centres[5:6].repeat(100, 1)])
    report = metrics.mode_report(points, ring)
    expected = 0.75 * math.log(0.75 * 8) + 0.25 * math.log(0.25 * 8)
    assert (report["modes"], report["high_quality"]) == (2, 1.0)
    assert report["reverse_kl"] == pytest.approx(expected)


def test_points_of_low_quality_count_for_no_mode():
    ring = toy.ring()
    outside = ring.centres[2] + torch.tensor([0.0, 0.031])
    inside = ring.centres[2] + torch.tensor([0.0, 0.029])
    assert metrics.mode_report(outside[None], ring)["modes"] == 0
    assert metrics.mode_report(inside[None], ring)["modes"] == 1
    nothing = metrics.mode_report(torch.zeros(100, 2), ring)
    assert (nothing["modes"], nothing["high_quality"]) == (0, 0.0)
    assert nothing["reverse_kl"] == pytest.approx(math.log(8))
    mixed = metrics.mode_report(torch.cat([ring.centres, outside.repeat(100, 1)]), ring)
    assert mixed["reverse_kl"] == pytest.approx(0.0, abs=1e-12)


def test_order_does_not_matter_and_numpy_is_welcome():
    grid = toy.grid()
    points = grid.sample(500, generator(1))
    expected = metrics.mode_report(points, grid)
    assert metrics.mode_report(points.flip(0), grid) == expected
    assert metrics.mode_report(points.numpy(), grid) == expected


@pytest.mark.parametrize(
    "points",
    [torch.zeros(5, 3), torch.zeros(5), torch.zeros(0, 2), torch.zeros(5, 2, dtype=torch.long)],
)
def test_wrong_points_are_refused(points):
    with pytest.raises(UserError, match=r"\(N, 2\)"):
        metrics.mode_report(points, toy.ring())


def test_nan_points_are_refused():
    with pytest.raises(UserError, match="1 NaN or infinite"):
        metrics.mode_report(torch.tensor([[0.0, math.nan]]), toy.ring())


# --------------------------------------------------------------------------------------------------- label KL


def test_label_kl_closed_forms():
    assert metrics.label_kl(torch.tensor([3, 3]), torch.tensor([50, 50])) == 0.0
    assert metrics.label_kl(torch.tensor([5, 0, 0, 0]), torch.ones(4)) == pytest.approx(math.log(4))
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert metrics.label_kl(torch.tensor([1, 3]), torch.tensor([7, 7])) == pytest.approx(expected)


def test_label_kl_refuses_what_has_no_answer():
    for p, q in (([1, 2], [1, 2, 3]), ([0, 0], [1, 1]), ([1, -1], [1, 1]), ([1, 1], [0, 0])):
        with pytest.raises(UserError):
            metrics.label_kl(torch.tensor(p), torch.tensor(q))
    with pytest.raises(UserError, match="infinite"):
        metrics.label_kl(torch.tensor([1, 1]), torch.tensor([2, 0]))


# ------------------------------------------------------------------------------------------- Fréchet distance


def test_frechet_closed_forms():
    mean, cov = gaussian(6, 0)
    shift = torch.arange(6, dtype=torch.float64)
    assert metrics.frechet_distance(mean, cov, mean, cov) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(mean, cov, mean + shift, cov) == pytest.approx(55)
    assert metrics.frechet_distance(mean, cov, mean, 9 * cov) == pytest.approx(4 * float(cov.trace()))
    a, b = torch.tensor([1.0, 4.0, 0.0]).diag(), torch.tensor([9.0, 1.0, 16.0]).diag()
    assert metrics.frechet_distance(torch.zeros(3), a, torch.zeros(3), b) == pytest.approx(4 + 1 + 16)


def test_frechet_against_scipy():
    scipy = pytest.importorskip("scipy.linalg")
    for seed in range(5):
        (m1, c1), (m2, c2) = gaussian(20, seed), gaussian(20, seed + 100)
        root = torch.from_numpy(scipy.sqrtm((c1 @ c2).numpy()).real)
        expected = float((m1 - m2).square().sum() + (c1 + c2 - 2 * root).trace())
        assert metrics.frechet_distance(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-8)


def test_frechet_is_symmetric_and_does_not_care_for_the_frame():
    (m1, c1), (m2, c2) = gaussian(8, 1), gaussian(8, 2)
    expected = metrics.frechet_distance(m1, c1, m2, c2)
    assert metrics.frechet_distance(m2, c2, m1, c1) == pytest.approx(expected)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator(3), dtype=torch.float64)).Q
    turned = metrics.frechet_distance(turn @ m1 + 5, turn @ c1 @ turn.T, turn @ m2 + 5, turn @ c2 @ turn.T)
    assert turned == pytest.approx(expected)
    assert metrics.frechet_distance(3 * m1, 9 * c1, 3 * m2, 9 * c2) == pytest.approx(9 * expected)


def test_frechet_of_singular_covariances():
    u, v = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, -3.0]])
    distance = metrics.frechet_distance(torch.zeros(2), u.T @ u, torch.zeros(2), v.T @ v)
    assert distance == pytest.approx(50)


def test_frechet_refuses_what_is_no_gaussian():
    mean, cov = gaussian(4, 0)
    for wrong in (
        (mean, cov, mean[:3], cov),
        (mean, cov, mean, cov[:3]),
        (mean, cov, mean, cov * math.nan),
        (mean * math.inf, cov, mean, cov),
        (mean, cov, mean, cov + torch.triu(torch.ones(4, 4), 1)),
        (mean, cov, mean.long(), cov),
        (mean, cov, cov, cov),
    ):
        with pytest.raises(UserError):
            metrics.frechet_distance(*wrong)


# ----------------------------------------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def test_set():
    return digits.load_mini("test")


@pytest.fixture(scope="module")
def real(test_set):
    return metrics.digit_report(test_set.images, test_set.labels, data="mini", device="cpu")


def test_real_digits_score_as_real(real):
    assert set(real) == KEYS
    assert (real["data"], real["reference"], real["n"], real["classes"]) == ("mini", "test", 2000, 10)
    assert real["digit_fid"] < 1e-3  # the reference itself: what is left is the file's float32
    assert 0 < real["digit_fid_floor"] < 0.01 * real["digit_fid_uniform"]
    assert real["digit_fid_percent"] == pytest.approx(100 * real["digit_fid"] / real["digit_fid_uniform"])
    assert real["label_kl"] < 0.001
    assert real["label_accuracy"] >= 0.99 and real["confidence"] > 0.98


def test_the_full_test_set_is_the_reference_by_default(test_set):
    report = metrics.digit_report(test_set.images, device="cpu")
    assert (report["data"], report["label_accuracy"]) == ("full", None)
    assert 0 < report["digit_fid_percent"] < 1


def test_order_and_padding_do_not_matter(test_set, real):
    padded = images.pad(test_set.images.flip(0), 32)
    report = metrics.digit_report(padded.numpy(), test_set.labels.flip(0), data="mini", device="cpu")
    assert report["digit_fid"] == pytest.approx(real["digit_fid"], abs=1e-3)
    assert report["label_accuracy"] == real["label_accuracy"]


def test_a_generator_that_draws_one_class(test_set):
    ones = test_set.images[test_set.labels == 1]
    report = metrics.digit_report(ones, data="mini", device="cpu")
    assert report["classes"] == 1
    assert report["label_kl"] == pytest.approx(math.log(2000 / 227), abs=0.06)
    assert report["digit_fid_percent"] > 1


def test_worse_images_are_further_away(test_set):
    images, distances = test_set.images[:1000].float(), []
    noise = torch.randn(images.shape, generator=generator(0))
    for strength in (0, 20, 40, 80, 160):
        noisy = (images + strength * noise).clamp(0, 255).to(torch.uint8)
        distances.append(metrics.digit_report(noisy, data="mini", device="cpu")["digit_fid"])
    assert distances == sorted(distances)


def test_uniform_noise_is_as_far_as_the_shipped_statistics_say(real):
    report = metrics.digit_report(metrics.uniform_noise(), data="mini", device="cpu")
    assert report["digit_fid"] == pytest.approx(real["digit_fid_uniform"], rel=1e-3)
    assert report["digit_fid_percent"] == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("split", digits.SPLITS)
def test_the_shipped_statistics_of_the_mini_set_are_reproduced(split):
    mini, shipped = digits.load_mini(split), metrics.reference_statistics(f"mini-{split}")
    found = metrics.statistics(metrics.judge_digits(mini.images, "cpu").features, mini.labels)
    assert torch.equal(found.labels, shipped.labels)
    distance = metrics.frechet_distance(found.mean, found.covariance, shipped.mean, shipped.covariance)
    assert distance < 1e-3
    assert torch.allclose(found.mean, shipped.mean, atol=1e-3)


@pytest.mark.parametrize("name", ["full-train", "full-test", "mini-train", "mini-test", "uniform"])
def test_every_shipped_covariance_has_full_rank(name):
    found = metrics.reference_statistics(name)
    assert found.mean.shape == (64,) and int(found.labels.sum()) >= 2000
    values = torch.linalg.eigvalsh(found.covariance)
    assert values[0] > 1e-5 * values[-1]


def test_statistics_of_another_judge_are_refused(monkeypatch):
    metrics.reference_statistics.cache_clear()
    monkeypatch.setattr(metrics.judges, "judge_card", lambda: {"sha256": "0" * 64})
    with pytest.raises(UserError, match="another judge"):
        metrics.reference_statistics("full-test")


def test_damaged_statistics_are_refused(monkeypatch, tmp_path):
    metrics.reference_statistics.cache_clear()
    (tmp_path / "s.safetensors").write_bytes(metrics.STATISTICS.read_bytes()[:1000])
    monkeypatch.setattr(metrics, "STATISTICS", tmp_path / "s.safetensors")
    with pytest.raises(UserError, match="missing or damaged"):
        metrics.reference_statistics("full-test")


def test_too_few_images_are_named(test_set):
    with pytest.warns(UserWarning, match="64 images are too few for 64 features"):
        metrics.digit_report(test_set.images[:64], data="mini", device="cpu")
    with pytest.raises(UserError, match="at least 2"):
        metrics.digit_report(test_set.images[:1], data="mini", device="cpu")


def test_wrong_images_and_options_are_refused(test_set):
    images = test_set.images[:100]
    for wrong in (images.float(), images.permute(0, 3, 1, 2), images[..., 0], images[:0], images[:, :20]):
        with pytest.raises(UserError, match="uint8"):
            metrics.digit_report(wrong)
    with pytest.raises(UserError, match="'mini'"):
        metrics.digit_report(images, data="mimi")
    with pytest.raises(UserError, match="'train'"):
        metrics.digit_report(images, reference="trian")
    with pytest.raises(UserError, match="one whole-number label per image"):
        metrics.digit_report(images, test_set.labels[:5])
