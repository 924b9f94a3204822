"""Metrics against closed forms, invariances, and samplers whose quality is known."""

import math

import pytest
import torch

from gancourse import images, metrics
from gancourse.datasets import digits, fashion, toy
from gancourse.errors import UserError
from gancourse.metrics import judges

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
    "label_kl_uniform",
    "classes",
    "confidence",
    "label_accuracy",
    "label_accuracy_min",
    "diversity",
    "diversity_min",
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
    monkeypatch.setattr(judges, "judge_card", lambda name: {"sha256": "0" * 64})
    with pytest.raises(UserError, match="another judge"):
        metrics.reference_statistics("full-test")


def test_damaged_statistics_are_refused(monkeypatch, tmp_path):
    metrics.reference_statistics.cache_clear()
    (tmp_path / "s.safetensors").write_bytes(metrics.STATISTICS.read_bytes()[:1000])
    monkeypatch.setattr(metrics.features, "STATISTICS", tmp_path / "s.safetensors")
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


# ----------------------------------------------------------------------------------------- within each class


def ten_of(test_set, copies=100):
    """Return the first test digit of each class `copies` times, and the labels."""
    first = torch.stack([test_set.images[test_set.labels == label][0] for label in range(10)])
    return first.repeat(copies, 1, 1, 1), torch.arange(10).repeat(copies)


def test_diversity_by_hand():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0], [7.0, 7.0], [7.0, 8.0]])
    found = metrics.class_diversity(x, torch.tensor([1, 1, 1, 0, 0]), classes=2)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([1.0, (5 + 3 + 4) / 3])
    assert metrics.class_diversity(x.numpy() + 5, [1, 1, 1, 0, 0], classes=2).tolist() == pytest.approx(found.tolist())
    swapped = metrics.class_diversity(x, torch.tensor([0, 0, 0, 1, 1]), classes=2)
    assert torch.equal(swapped, found.flip(0))


def test_diversity_of_gaussians_reaches_the_closed_form_whatever_the_size():
    x = torch.cat([normal(4000, 2), 3 * normal(4000, 2, seed=1)])  # E|a - b| of two normals in the plane: sqrt(pi)
    labels = torch.arange(2).repeat_interleave(4000)
    for per_class in (500, 2000, None):
        found = metrics.class_diversity(x, labels, classes=2, per_class=per_class)
        assert (found / torch.tensor([1.0, 3.0])).tolist() == pytest.approx([math.sqrt(math.pi)] * 2, rel=0.05)
    few = torch.stack([metrics.class_diversity(x, labels, classes=2, per_class=3, seed=s) for s in range(400)])
    assert (few.mean(dim=0) / torch.tensor([1.0, 3.0])).tolist() == pytest.approx([math.sqrt(math.pi)] * 2, rel=0.1)


def test_diversity_is_seeded_and_takes_all_when_there_are_few():
    x, labels = normal(300), torch.arange(10).repeat(30)
    first = metrics.class_diversity(x, labels, per_class=5)
    assert torch.equal(first, metrics.class_diversity(x, labels, per_class=5))
    assert not torch.equal(first, metrics.class_diversity(x, labels, per_class=5, seed=1))
    everything = metrics.class_diversity(x, labels, per_class=None)
    assert metrics.class_diversity(x, labels, per_class=30, seed=7).tolist() == pytest.approx(everything.tolist())


def test_a_class_without_pairs_is_named():
    x, labels = normal(6), torch.tensor([0, 0, 1, 3, 3, 3])
    with pytest.warns(UserWarning, match="class 1 has fewer than 2"):
        assert math.isnan(metrics.class_diversity(x[:5], torch.tensor([0, 0, 1, 2, 2]), classes=3)[1])
    with pytest.warns(UserWarning, match="classes 1, 2 have fewer than 2 samples"):
        assert metrics.class_diversity(x, labels, classes=4).isnan().tolist() == [False, True, True, False]


def test_diversity_refuses_what_has_no_answer():
    x, labels = normal(20), torch.arange(10).repeat(2)
    for wrong, what in (
        (labels[:5], r"label per image, \(20,\), got torch.int64 \(5,\)"),
        (labels.double(), "whole-number label per image"),
        (labels > 3, "whole-number label per image"),
        (labels[:, None], "whole-number label per image"),
        (labels + 1, "Labels go from 0 to 9, got 1 to 10"),
        (labels - 1, "Labels go from 0 to 9, got -1 to 8"),
    ):
        with pytest.raises(UserError, match=what):
            metrics.class_diversity(x, wrong)
    assert metrics.class_diversity(x, labels.to(torch.uint8)).shape == (10,)
    for wrong in (x.to(torch.uint8), x[0], x * math.nan, x[:0]):
        with pytest.raises(UserError, match="features"):
            metrics.class_diversity(wrong, labels)
    for few in (1, 0, -3):
        with pytest.raises(UserError, match="per_class of at least 2"):
            metrics.class_diversity(x, labels, per_class=few)


def test_real_digits_are_as_diverse_as_real(test_set, real):
    assert real["diversity"] == pytest.approx(1, abs=0.01)  # 500 at most of the reference itself
    assert 0.95 < real["diversity_min"] <= real["diversity"]
    assert 0.97 < real["label_accuracy_min"] <= real["label_accuracy"]
    train = digits.load_mini("train")
    other = metrics.digit_report(train.images[:4000], train.labels[:4000], data="mini", device="cpu")
    assert other["diversity"] == pytest.approx(1, abs=0.06)


def test_ten_memorised_pictures_have_no_diversity(test_set):
    pictures, labels = ten_of(test_set)
    report = metrics.digit_report(pictures, labels, device="cpu")
    assert report["label_accuracy"] == report["label_accuracy_min"] == 1
    assert report["label_kl_uniform"] == pytest.approx(0, abs=1e-9)
    assert report["diversity"] == pytest.approx(0, abs=1e-5)
    assert report["diversity_min"] == pytest.approx(0, abs=1e-5)


def test_few_memorised_pictures_per_class_score_as_documented():
    x = normal(8000, 64)
    for k in (2, 5, 20):
        drawn = torch.randint(k, (8000,), generator=generator(k)) + 100 * torch.arange(8000).remainder(10)
        found = metrics.class_diversity(x[drawn], torch.arange(8000).remainder(10))
        assert float(found.mean() / metrics.class_diversity(x, torch.zeros(8000).long(), 1)) == pytest.approx(
            1 - 1 / k, abs=0.03
        )


def test_one_memorised_class_shows_in_the_smallest_ratio(test_set):
    pictures, labels = test_set.images.clone(), test_set.labels
    pictures[labels == 4] = pictures[labels == 4][0].clone()
    report = metrics.digit_report(pictures, labels, data="mini", device="cpu")
    assert report["diversity"] == pytest.approx(0.9, abs=0.01)
    assert report["diversity_min"] == pytest.approx(0, abs=1e-5)


def test_diversity_goes_by_the_labels_asked_for(test_set):
    order = torch.randperm(len(test_set.labels), generator=generator(0))
    ignored = metrics.digit_report(test_set.images, test_set.labels[order], data="mini", device="cpu")
    assert ignored["diversity"] > 1.5 and ignored["label_accuracy"] < 0.2
    swapped = torch.where(test_set.labels < 2, 1 - test_set.labels, test_set.labels)  # 0 asked where 1 is drawn
    report = metrics.digit_report(test_set.images, swapped, data="mini", device="cpu")
    real = metrics.reference_statistics("mini-test").diversity
    assert report["diversity_min"] == pytest.approx(float(real[1] / real[0]), rel=0.03)
    assert report["label_accuracy_min"] < 0.02 and 0.75 < report["label_accuracy"] < 0.82


@pytest.mark.filterwarnings("ignore:digit_fid")
def test_a_report_on_some_classes_speaks_of_those(test_set):
    some = (test_set.labels == 3) | (test_set.labels == 8)
    with pytest.warns(UserWarning, match="classes 0, 1, 2, 4, 5, 6, 7, 9 have fewer"):
        report = metrics.digit_report(test_set.images[some], test_set.labels[some], data="mini", device="cpu")
    assert report["diversity"] == pytest.approx(1, abs=0.01) and report["label_accuracy_min"] > 0.97
    assert report["label_kl_uniform"] == pytest.approx(math.log(5), abs=0.04)
    with pytest.warns(UserWarning, match="fewer than 2"):
        report = metrics.digit_report(ten_of(test_set, 1)[0], torch.arange(10), data="mini", device="cpu")
    assert (report["diversity"], report["diversity_min"]) == (None, None)


def test_without_labels_there_is_nothing_to_say_about_them(test_set):
    report = metrics.digit_report(test_set.images[:200], data="mini", device="cpu")
    for key in ("label_accuracy", "label_accuracy_min", "diversity", "diversity_min"):
        assert report[key] is None
    assert 0 < report["label_kl_uniform"] < 0.1


def test_labels_that_are_no_digits_are_refused(test_set):
    pictures, labels = test_set.images[:100], test_set.labels[:100]
    for wrong in (labels.float(), labels + 1, labels - 1, labels > 4, labels[:, None], labels.numpy() * 1.0):
        with pytest.raises(UserError, match="one whole-number label per image|Labels go from 0 to 9"):
            metrics.digit_report(pictures, wrong, data="mini", device="cpu")
    with pytest.raises(UserError, match="uint8"):
        metrics.digit_report(images.to_float(pictures), labels, data="mini", device="cpu")
    with pytest.raises(UserError, match="uint8"):
        metrics.digit_report(labels, pictures, data="mini", device="cpu")


@pytest.mark.parametrize("name", ["mini-train", "mini-test", "full-train", "full-test"])
def test_the_shipped_diversities_are_plausible_and_reproduced(name):
    shipped = metrics.reference_statistics(name).diversity
    assert shipped.shape == (10,) and shipped.min() > 10 and int(shipped.argmin()) == 1
    if name == "mini-test":
        mini = digits.load_mini("test")
        features = metrics.judge_digits(mini.images, "cpu").features
        found = metrics.class_diversity(features, mini.labels, per_class=None)
        assert found.tolist() == pytest.approx(shipped.tolist(), rel=1e-4)


# ---------------------------------------------------------------------------------------------------- clothes


@pytest.fixture(scope="module")
def clothes():
    return fashion.load_mini("test")


@pytest.fixture(scope="module")
def worn(clothes):
    return metrics.fashion_report(clothes.images, clothes.labels, data="mini", device="cpu")


def test_real_clothes_score_as_real(worn):
    assert set(worn) == {key.replace("digit_fid", "fashion_fid") for key in KEYS}
    assert (worn["data"], worn["reference"], worn["n"], worn["classes"]) == ("mini", "test", 1000, 10)
    assert worn["judge"] == judges.judge_card("fashion-judge")["sha256"][:12]
    assert worn["fashion_fid"] < 1e-3
    assert 0 < worn["fashion_fid_floor"] < 0.02 * worn["fashion_fid_uniform"]
    assert worn["fashion_fid_percent"] == pytest.approx(100 * worn["fashion_fid"] / worn["fashion_fid_uniform"])
    accuracy = judges.judge_card("fashion-judge")["accuracy"]
    assert worn["label_accuracy"] == pytest.approx(accuracy, abs=0.03)
    assert 0.5 < worn["label_accuracy_min"] < worn["label_accuracy"] - 0.05  # shirts
    assert worn["diversity"] == pytest.approx(1, abs=0.01) and worn["label_kl"] < 0.01


def test_ten_memorised_clothes_have_no_diversity(clothes):
    pictures, labels = ten_of(clothes)
    report = metrics.fashion_report(pictures, labels, device="cpu")
    assert report["data"] == "full" and report["diversity"] == pytest.approx(0, abs=1e-5)
    assert report["fashion_fid_percent"] > 1


def test_mirrored_clothes_keep_their_labels_and_are_far_away(clothes, worn):
    report = metrics.fashion_report(clothes.images.flip(2), clothes.labels, data="mini", device="cpu")
    assert report["label_accuracy"] == pytest.approx(worn["label_accuracy"], abs=0.02)
    assert report["fashion_fid_percent"] > 5  # real shoes point to the left


def test_noise_is_as_far_from_clothes_as_the_shipped_statistics_say(worn):
    report = metrics.fashion_report(metrics.uniform_noise(), data="mini", device="cpu")
    assert report["fashion_fid"] == pytest.approx(worn["fashion_fid_uniform"], rel=1e-3)
    assert report["fashion_fid_percent"] == pytest.approx(100, rel=1e-3)


def test_the_shipped_statistics_of_clothes_are_reproduced(clothes):
    shipped = metrics.reference_statistics("mini-test", "fashion-judge")
    found = metrics.statistics(metrics.judge_fashion(clothes.images, "cpu").features, clothes.labels)
    assert torch.equal(found.labels, shipped.labels)
    assert torch.allclose(found.mean, shipped.mean, atol=1e-3)
    assert metrics.frechet_distance(found.mean, found.covariance, shipped.mean, shipped.covariance) < 1e-3
    for name in ("full-train", "full-test", "mini-train", "mini-test", "uniform"):
        reference = metrics.reference_statistics(name, "fashion-judge")
        values = torch.linalg.eigvalsh(reference.covariance)
        assert values[0] > 1e-5 * values[-1]
        assert (reference.diversity is None) == (name == "uniform")
    full = metrics.reference_statistics("full-test", "fashion-judge")
    assert full.labels.tolist() == [1000] * 10


def test_digits_and_clothes_do_not_compare(clothes, worn, real):
    with pytest.raises(UserError, match="do not compare: judge is"):
        metrics.compare(real, worn)
    with pytest.raises(UserError, match="'digit-judge .*'fashion-judge "):
        metrics.feature_report(
            metrics.digit_features(clothes.images[:100], "cpu"), metrics.fashion_features(clothes.images[:100], "cpu")
        )
    digits_as_clothes = metrics.fashion_report(digits.load_mini("test").images, data="mini", device="cpu")
    assert digits_as_clothes["fashion_fid"] > 10 * worn["fashion_fid_floor"]


def test_statistics_of_clothes_belong_to_their_judge(monkeypatch, clothes):
    metrics.reference_statistics.cache_clear()
    monkeypatch.setattr(metrics.features, "FASHION_STATISTICS", metrics.STATISTICS)
    with pytest.raises(UserError, match="made with another judge"):
        metrics.fashion_report(clothes.images[:100], device="cpu")


def test_wrong_clothes_are_refused(clothes):
    with pytest.raises(UserError, match="uint8 pictures"):
        metrics.fashion_report(clothes.images.float())
    with pytest.raises(UserError, match="Labels go from 0 to 9"):
        metrics.fashion_report(clothes.images[:100], clothes.labels[:100] + 9, device="cpu")
    with pytest.warns(UserWarning, match="fashion_fid: 64 images are too few"):
        metrics.fashion_report(clothes.images[:64], device="cpu")


# --------------------------------------------------------------------------------------- distances of samples


def normal(n, size=8, seed=0, shift=0.0):
    return shift + torch.randn(n, size, generator=generator(seed), dtype=torch.float64)


def test_the_fitted_distance_reaches_the_closed_form():
    (m1, c1), (m2, c2) = gaussian(4, 0), gaussian(4, 1)
    x, y = (normal(50_000, 4, s) @ torch.linalg.cholesky(c).T + m for s, m, c in ((2, m1, c1), (3, m2, c2)))
    expected = metrics.frechet_distance(m1, c1, m2, c2)
    assert metrics.feature_frechet(x, y) == pytest.approx(expected, rel=0.01)


def test_the_fitted_distance_of_equals_falls_like_one_over_n():
    found = {
        n: sum(metrics.feature_frechet(normal(n, 1, s), normal(n, 1, s + 50)) for s in range(50)) for n in (40, 4000)
    }
    assert found[40] / found[4000] == pytest.approx(100, rel=0.4)
    assert found[4000] / 50 == pytest.approx(2 * 1.5 / 4000, rel=0.4)  # 3/2 of a variance for each sample


def test_too_few_rows_are_named_by_the_fitted_distance():
    with pytest.warns(UserWarning, match="the second sample has 8 rows for 8 features"):
        metrics.feature_frechet(normal(100), normal(8, seed=1))


def test_kid_by_hand_and_of_equals():
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0], [3.0]])
    cube = lambda a, b: (a * b + 1) ** 3  # noqa: E731
    expected = cube(1, 2) + (cube(0, 1) + cube(0, 3) + cube(1, 3)) / 3
    expected -= 2 * sum(cube(a, b) for a in (1, 2) for b in (0, 1, 3)) / 6
    assert metrics.kid_full(x, y) == pytest.approx(expected)
    values = torch.tensor([metrics.kid_full(normal(200, seed=s), normal(200, seed=s + 100)) for s in range(100)])
    assert abs(values.mean()) < 3 * values.std() / 10
    assert (values < 0).sum() > 20
    assert metrics.kid_full(normal(200), normal(200, seed=1, shift=0.5)) > 5 * values.std()


def test_kid_subsets_are_seeded_and_average_to_the_whole():
    x, y = normal(600), normal(500, seed=1, shift=0.3)
    first = metrics.kid(x, y, subsets=200, subset_size=100, seed=4)
    assert first == metrics.kid(x, y, subsets=200, subset_size=100, seed=4)
    assert first.mean == pytest.approx(metrics.kid_full(x, y), rel=0.1)
    assert math.isnan(metrics.kid(x, y, subsets=1, subset_size=100).std)


def test_precision_and_recall_by_hand():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # balls for k = 1: radii 1, 1, 1, 8
    fake = torch.tensor([[-1.0], [2.5], [-1.5], [19.0]])  # radii 0.5, 3.5, 0.5, 16.5
    assert metrics.precision_recall(real, fake, k=1) == (0.5, 1.0)  # -1 on a surface, 2.5; all in 19's ball
    density, coverage = metrics.density_coverage(real, fake, k=1)  # open balls: -1 is outside
    assert (density, coverage) == (0.5, 0.5)  # 2.5 is in two balls


def test_a_dropped_mode_costs_recall_and_blur_costs_precision():
    ring = toy.ring()
    real = ring.sample(800, generator(0))
    half = real[real[:, 0] > 0.1] + 1e-3 * torch.randn(int((real[:, 0] > 0.1).sum()), 2, generator=generator(1))
    blurred = ring.sample(800, generator(2)) + 0.1 * torch.randn(800, 2, generator=generator(3))
    precision, recall = metrics.precision_recall(real, half)
    assert precision > 0.9 and recall < 0.6
    precision, recall = metrics.precision_recall(real, blurred)
    assert precision < 0.5 and recall > 0.9


def test_one_outlier_ruins_precision_and_not_density():
    real, fake = normal(300, 2), normal(300, 2, seed=1, shift=8.0)
    spoiled = torch.cat([real, torch.full((1, 2), 20.0, dtype=torch.float64)])
    assert metrics.precision_recall(real, fake)[0] == 0.0
    assert metrics.precision_recall(spoiled, fake)[0] > 0.9
    assert metrics.density_coverage(spoiled, fake)[0] < 0.3


def test_five_outliers_ruin_density_and_not_coverage():
    real, fake = normal(300, 2), 0.2 * normal(300, 2, seed=1) + torch.tensor([12.0, 0.0])
    found = []
    for many in (1, 5):  # far apart, beyond the fakes: each ball reaches back to the data
        places = [[20.0, 8.0 * y] for y in range(many)]
        spoiled = torch.cat([real, torch.tensor(places, dtype=torch.float64)])
        found.append(metrics.density_coverage(spoiled, fake, k=5))
    assert found == [pytest.approx((0.2, 1 / 301)), pytest.approx((1.0, 5 / 305))]


def test_coverage_does_not_tell_blur_from_lost_modes():
    ring = toy.ring(std=0.08)
    real = ring.sample(1000, generator(0))
    lost = toy.Mixture("arc", ring.centres[:5], ring.std).sample(1000, generator(1))
    blurred = ring.sample(1000, generator(2)) + 0.25 * torch.randn(1000, 2, generator=generator(3))
    (p1, r1), (p2, r2) = (metrics.precision_recall(real, fake) for fake in (lost, blurred))
    (d1, c1), (d2, c2) = (metrics.density_coverage(real, fake) for fake in (lost, blurred))
    assert min(p1 - p2, r2 - r1, d1 - d2) > 0.3 and abs(c1 - c2) < 0.1


def test_the_unbiased_estimate_is_negative_more_often_than_not():
    ring = toy.ring(std=0.08)
    draws = generator(0)
    found = torch.tensor([metrics.kid_full(ring.sample(100, draws), ring.sample(100, draws)) for _ in range(400)])
    assert abs(found.mean()) < 3 * found.std() / 20
    assert 0.55 < (found < 0).double().mean() < math.erf(0.5**0.5) + 0.05


def test_density_and_coverage_of_equal_distributions():
    found = torch.tensor([metrics.density_coverage(normal(200, 3, s), normal(200, 3, s + 60)) for s in range(60)])
    assert found[:, 0].mean() == pytest.approx(1.0, abs=0.03)
    expected = 1 - math.prod(range(195, 200)) / math.prod(range(395, 400))
    assert metrics.coverage_of_equals(200, 200) == pytest.approx(expected)
    assert found[:, 1].mean() == pytest.approx(expected, abs=0.01)
    fewer = [metrics.density_coverage(normal(200, 3, s), normal(80, 3, s + 60))[1] for s in range(60)]
    assert sum(fewer) / 60 == pytest.approx(metrics.coverage_of_equals(200, 80), abs=0.02)
    copies = normal(200, 3)
    assert metrics.density_coverage(copies, copies.clone()) == (1.0, 1.0)


def test_a_small_memory_gives_the_same(monkeypatch):
    x, y = normal(90), normal(70, seed=1, shift=0.2)
    measures = (metrics.precision_recall, metrics.density_coverage, metrics.nearest, metrics.kid_full)
    expected = [measure(x, y) for measure in measures]
    monkeypatch.setattr(metrics.distances, "CELLS", 500)
    found = [measure(x, y) for measure in measures]
    assert found[:2] == expected[:2] and torch.equal(found[2].indices, expected[2].indices)
    assert found[3] == pytest.approx(expected[3])


def test_inception_score_closed_forms():
    one_hot = torch.eye(10).repeat(7, 1)
    assert metrics.inception_score(one_hot).mean == pytest.approx(10)
    assert metrics.inception_score(torch.full((50, 10), 0.1)).mean == pytest.approx(1)
    assert metrics.inception_score(one_hot[:1].repeat(50, 1)).mean == pytest.approx(1)
    mixed = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    information = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert metrics.inception_score(mixed).mean == pytest.approx(math.exp(information))
    parts = metrics.inception_score(torch.cat([one_hot[:10], one_hot[:1].repeat(10, 1)]), splits=2)
    assert (parts.mean, parts.std) == (pytest.approx(5.5), pytest.approx(4.5))
    for wrong in (torch.randn(5, 3), torch.ones(5, 3), torch.ones(5, 3, dtype=torch.long), torch.ones(3) / 3):
        with pytest.raises(UserError):
            metrics.inception_score(wrong)
    with pytest.raises(UserError, match="1 to 2 splits"):
        metrics.inception_score(mixed, splits=3)


def test_copies_are_found_in_pixels_and_in_features(test_set):
    real, index = test_set.images[:300], torch.tensor([7, 250, 0])
    noisy = (real[index].int() + 3).clamp(0, 255).to(torch.uint8)
    found = metrics.nearest(real, torch.cat([real[index], noisy]))
    assert found.indices.tolist() == index.tolist() * 2
    assert found.distances[:3].tolist() == [0, 0, 0] and (found.distances[3:] > 0).all()
    as_floats = metrics.nearest(images.to_float(real), images.to_float(noisy))
    assert torch.allclose(as_floats.distances, found.distances[3:])
    far = metrics.nearest(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    assert (far.distances.tolist(), far.indices.tolist()) == ([1.0], [0])


def test_images_of_two_kinds_are_refused(test_set):
    real = test_set.images[:5]
    floats = images.to_float(real)
    for first, second, what in (
        (real, floats, "one type"),
        (floats, (floats + 1) / 2, r"\[0, 1\] become"),
        (floats, (floats + 1) * 127.5, r"lie in \[-1, 1\]"),
        (real, real[:, :20], "one type and size"),
        (floats, floats * math.nan, "NaN"),
        (real.flatten(1), real.flatten(1), "floats"),
    ):
        with pytest.raises(UserError, match=what):
            metrics.nearest(first, second)


MEASURES = (metrics.feature_frechet, metrics.kid_full, metrics.precision_recall, metrics.density_coverage)


@pytest.mark.parametrize("measure", [*MEASURES, metrics.kid, metrics.nearest])
def test_wrong_samples_are_refused(measure):
    x = normal(20)
    for first, second, what in (
        (x, normal(20, 9), "8 and 9 features"),
        (x, x * math.nan, "second sample must be finite"),
        (x.long(), x, "first sample as floats"),
        (x, x[:0], "second sample as floats"),
        (x, x[0], "second sample as floats"),
    ):
        with pytest.raises(UserError, match=what):
            measure(first, second)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.filterwarnings("ignore:.*empty")
def test_constant_samples_are_named(measure):
    with pytest.warns(UserWarning, match="All 20 rows of the second sample are the same"):
        measure(normal(20), torch.ones(20, 8))
    with pytest.raises(UserError, match="at least 2 rows"):
        measure(normal(20), normal(1))


def test_empty_balls_are_named():
    repeated = normal(4).repeat(5, 1)
    with pytest.warns(UserWarning, match="20 of 20 points have 3 or more exact copies"):
        assert metrics.precision_recall(normal(20, seed=1), repeated)[1] == 0.0
    with pytest.warns(UserWarning, match="20 of 20 points have 3 or more"):
        assert metrics.precision_recall(repeated, repeated[:10])[0] == 1.0


def test_k_and_subsets_beyond_the_sample_are_refused():
    for measure in (metrics.precision_recall, metrics.density_coverage):
        for k in (20, 0, -1, 1.5):
            with pytest.raises(UserError, match="k from 1 to 19"):
                measure(normal(20), normal(30, seed=1), k)
    with pytest.raises(UserError, match="k from 1 to 3"):
        metrics.precision_recall(normal(20), normal(4, seed=1), 4)
    metrics.density_coverage(normal(20), normal(4, seed=1), 4)  # fakes have no balls here
    with pytest.raises(UserError, match="20 rows, got 100 of 1000"):
        metrics.kid(normal(20), normal(30, seed=1))


# ------------------------------------------------------------------------------------------ reports to compare


def test_a_report_says_what_it_was_made_with_and_compares(test_set):
    real = metrics.digit_features(test_set.images[:300], "cpu")
    fake = metrics.digit_features(metrics.uniform_noise(200), "cpu")
    report = metrics.feature_report(real, fake, subset_size=100)
    assert report["features"] == f"digit-judge {judges.judge_card()['sha256'][:12]}"
    assert (report["n_real"], report["n_fake"]) == (300, 200)
    assert report["precision"] == report["coverage"] == 0.0 and report["frechet"] > 1000
    difference = metrics.compare(report, {**report, "recall": 0.75})
    assert difference["recall"] == 0.75 - report["recall"] and difference["kid"] == 0
    assert set(difference) == {"frechet", "kid", "kid_std", "precision", "recall", "density", "coverage"}


def test_reports_of_two_protocols_do_not_compare(real):
    ours = {"features": "digit-judge 040139943d99", "n_fake": 10, "frechet": 2.0}
    with pytest.raises(UserError, match="features is 'digit-judge 040139943d99' in the first and 'inception-v3'"):
        metrics.compare(ours, {**ours, "features": "inception-v3"})
    with pytest.raises(UserError, match="n_fake is 10 in the first and 20"):
        metrics.compare(ours, {**ours, "n_fake": 20})
    with pytest.raises(UserError, match="second report does not say"):
        metrics.compare(ours, {"n_fake": 10, "frechet": 2.0})
    assert metrics.compare(real, {**real, "digit_fid": real["digit_fid"] + 1})["digit_fid"] == pytest.approx(1)
    with pytest.raises(UserError, match="reference"):
        metrics.compare(real, {**real, "reference": "train"})
    two = [metrics.Features(normal(50), source) for source in ("inception-v3", "digit-judge 0")]
    with pytest.raises(UserError, match="'inception-v3', the fake ones from 'digit-judge 0'"):
        metrics.feature_report(*two)


def test_inception_features_with_a_stand_in(monkeypatch):
    seen = []

    def network(x):
        seen.append((x.dtype, tuple(x.shape)))
        return x.float().mean(dim=(2, 3))

    monkeypatch.setattr(metrics.features, "_inception", lambda where: (network, "a stand-in"))
    grey = torch.randint(256, (7, 16, 16, 1), dtype=torch.uint8, generator=generator(0))
    found = metrics.inception_features(grey, "cpu", batch_size=5)
    assert seen == [(torch.uint8, (5, 3, 16, 16)), (torch.uint8, (2, 3, 16, 16))]
    assert found.source == "a stand-in"
    assert torch.allclose(found.values[:, 2], grey.float().mean(dim=(1, 2, 3)))
    for wrong in (images.to_float(grey), grey.repeat(1, 1, 1, 2), grey[0], grey[:0]):
        with pytest.raises(UserError, match="uint8 images"):
            metrics.inception_features(wrong, "cpu")


def test_inception_out_of_reach_is_named(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(metrics.features.importlib, "import_module", fail)
    with pytest.raises(UserError, match="cannot be had here .*torch-fidelity"):
        metrics.inception_features(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "cpu")


def test_equal_images_are_measured_with_a_warning() -> None:
    grey = torch.full((200, 28, 28, 1), 7, dtype=torch.uint8)
    with pytest.warns(UserWarning, match="All 200 images are the same"):
        assert metrics.digit_report(grey, data="mini", device="cpu")["digit_fid"] > 100
