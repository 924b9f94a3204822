"""The judge of drawn faces and the report that it gives: shipped weights, the recipe, figures with floor and noise."""

import json
import math
import sys

import make_statistics
import pytest
import torch
import train_judge
from safetensors.torch import load

from gancourse import cli, evaluation, images, metrics, systems, training
from gancourse.datasets import faces, heads
from gancourse.errors import UserError
from gancourse.metrics import attributes, face_reports, judges
from gancourse.systems.base import Drawn

LABELS = [part.name for part in heads.PARTS]
NUMBERS = [span.name for span in heads.RANGES]


@pytest.fixture
def mini_only(monkeypatch, tmp_path):
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    faces._load.cache_clear()
    yield
    faces._load.cache_clear()


@pytest.fixture(scope="module")
def test_faces():
    return faces.load_mini("test")


@pytest.fixture(scope="module")
def all_mini():
    """All 700 heads of the mini set: they have a seed of their own, so the judge has seen none of them."""
    train, test = faces.load_mini("train"), faces.load_mini("test")
    return faces.Faces(torch.cat([train.images, test.images]), faces.join([train.factors, test.factors]))


# ----------------------------------------------------------------------------------------------- the judge


def test_the_shipped_file_is_small_and_its_card_is_true():
    card = attributes.face_judge_card()
    assert (judges.WEIGHTS / "faces-judge.safetensors").stat().st_size == card["bytes"] <= 1_000_000
    assert card["parameters"] == sum(p.numel() for p in attributes.FaceJudge().parameters())
    assert card["measured_on"] == "drawn faces full, test split, 10,000 heads"
    for values in (*card["read"].values(), card["bare"]):
        assert list(values) == [*LABELS, *NUMBERS]
    text = (judges.WEIGHTS / "faces-judge.md").read_text(encoding="utf-8")
    assert text == attributes.describe_face_judge(card)


def test_the_card_names_what_falls_short_of_what_was_wanted():
    read = attributes.face_judge_card()["read"]
    wanted = {"64": dict.fromkeys(LABELS, 0.98) | dict.fromkeys(NUMBERS, 0.95)}
    wanted["32"] = dict.fromkeys(LABELS, 0.95) | dict.fromkeys(NUMBERS[:4], 0.95)
    missed = [
        f"{name} at {size}" for size in wanted for name, least in wanted[size].items() if read[size][name] < least
    ]
    told = attributes.face_judge_card()["short"]
    assert sorted(line.split(":")[0] for line in told) == sorted(missed)
    text = (judges.WEIGHTS / "faces-judge.md").read_text(encoding="utf-8")
    for line in told:
        assert line in text


@pytest.mark.parametrize("size", attributes.SIZES)
def test_the_shipped_judge_reads_faces_it_has_not_seen_as_its_card_says(all_mini, size):
    read = attributes.accuracy(attributes.load_face_judge("cpu"), all_mini, size)
    told = attributes.face_judge_card()["read"][str(size)]
    for name in LABELS:  # four standard deviations of a share of 700
        assert read[name] > told[name] - 4 * math.sqrt(told[name] * (1 - told[name]) / 700) - 0.002, name
    for name in NUMBERS:
        assert 1 - read[name] < 1.5 * (1 - told[name]), name


def test_a_face_is_judged_alone_and_in_the_ranges_of_heads(test_faces):
    together = metrics.judge_faces(test_faces.images[:20], "cpu")
    alone = metrics.judge_faces(test_faces.images[:1], "cpu")
    assert together.features.shape == (20, 96) and together.confidence.shape == (20, 8)
    assert torch.allclose(together.features[:1], alone.features, atol=1e-3)
    assert together.factors.labels.dtype == torch.int64
    for k, span in enumerate(heads.RANGES):
        assert together.factors.values[:, k].min() >= span.low and together.factors.values[:, k].max() <= span.high


def test_units_go_there_and_back(test_faces):
    values = test_faces.factors.values
    units = attributes.to_unit(values)
    assert units.abs().max() <= 1 and torch.allclose(attributes.from_unit(units), values, atol=1e-5)
    ends = attributes.from_unit(torch.tensor([[-9.0] * 6, [9.0] * 6]))
    assert ends.T.tolist() == [pytest.approx([span.low, span.high]) for span in heads.RANGES]


def test_bare_faces_have_neither_hat_nor_beard(test_faces):
    bare = attributes.bare(test_faces)
    plain = (test_faces.factors.column("hair") < 10) & (test_faces.factors.column("beard") == 0)
    assert 60 < len(bare) < 95 and torch.equal(bare.images, test_faces.images[plain])
    assert torch.equal(bare.labels, test_faces.labels[plain])


def test_a_label_that_cannot_be_seen_teaches_nothing(test_faces):
    judge = attributes.FaceJudge().eval()
    read = judge(images.to_float(test_faces.images[:12]))
    hidden = test_faces.factors[1:12].changed(hair="turban", beard="none")
    factors = faces.join([test_faces.factors[:1].changed(hair="bob"), hidden])
    other = faces.join([factors[:1], factors[1:].changed(hair_colour="grey")])
    assert not torch.equal(factors.labels, other.labels)
    seen = factors.visible()
    assert seen[:, 1].tolist() == [True] + 11 * [False]
    first, second = (attributes.face_loss(*read, one, seen, 2.0) for one in (factors, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, attributes.face_loss(*read, other, torch.ones_like(seen), 2.0))


def test_the_loss_by_hand():
    factors = faces.head().changed(smile=1.0)
    seen = factors.visible()
    logits, numbers = torch.zeros(1, sum(faces.CLASSES)), attributes.to_unit(factors.values)
    entropy = sum(math.log(classes) for classes in faces.CLASSES) / 8
    assert float(attributes.face_loss(logits, numbers, factors, seen, 2.0)) == pytest.approx(entropy)
    numbers[:, 4] -= 0.5
    assert float(attributes.face_loss(logits, numbers, factors, seen, 2.0)) == pytest.approx(entropy + 2 * 0.25 / 6)


def test_half_of_the_training_pictures_are_small_and_half_of_all_noisy(all_mini):
    generator = torch.Generator().manual_seed(0)
    pictures = all_mini.images[:400]
    clean, noisy = (attributes._views(pictures, noise, generator) for noise in (0.0, 0.5))
    small = images.to_float(faces.halve(pictures[:200]))
    assert torch.equal(clean[:200, :, ::2, ::2], small) and torch.equal(clean[:200, :, 1::2, 1::2], small)
    assert torch.equal(clean[200:], images.to_float(pictures[200:]))
    grain = (noisy != clean).flatten(1).any(dim=1)
    assert 0.4 < grain[:200].double().mean() < 0.6 and 0.4 < grain[200:].double().mean() < 0.6


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_damaged_weights_are_refused(monkeypatch, tmp_path, damage):
    data = bytearray((judges.WEIGHTS / "faces-judge.safetensors").read_bytes())
    (tmp_path / "faces-judge.json").write_bytes((judges.WEIGHTS / "faces-judge.json").read_bytes())
    if damage == "flipped":
        data[-1] ^= 1
        (tmp_path / "faces-judge.safetensors").write_bytes(data)
    monkeypatch.setattr(judges, "WEIGHTS", tmp_path)
    attributes._load.cache_clear()
    with pytest.raises(UserError, match="sha256"):
        attributes.load_face_judge("cpu")
    attributes._load.cache_clear()


def test_training_writes_a_judge_and_repeats_itself(mini_only, tmp_path):
    recipe = attributes.FaceJudgeRecipe(steps=4, batch_size=16, bfloat16=False)
    first, second = (
        attributes.train_face_judge("smoke", 3, tmp_path / name, device="cpu", recipe=recipe) for name in ("a", "b")
    )
    assert first["sha256"] == second["sha256"]
    assert first["data"] == "drawn faces mini, train split, 600 heads"
    assert json.loads((tmp_path / "a" / "faces-judge.json").read_text()) == first
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"faces-judge.safetensors", "faces-judge.json", "card.md"}
    assert (tmp_path / "a" / "card.md").read_text(encoding="utf-8") == attributes.describe_face_judge(first)
    judge = attributes.FaceJudge()
    attributes._put(judge, (tmp_path / "a" / "faces-judge.safetensors").read_bytes())
    assert attributes.accuracy(judge.eval(), faces.load("test", quiet=True), 32) == first["read"]["32"]
    with pytest.raises(UserError, match="already holds a judge"):
        attributes.train_face_judge("smoke", 3, tmp_path / "a", recipe=recipe)


def test_the_recipe_learns(mini_only):
    recipe = attributes.FaceJudgeRecipe(steps=40, batch_size=50)
    judge = attributes._fit(recipe, faces.load_mini("train"), 0)
    assert all(p.dtype == torch.float32 for p in judge.parameters())
    read = attributes.accuracy(judge, faces.load_mini("test"))
    assert read["skin"] > 0.3 and read["hair_colour"] > 0.35  # by chance: 0.2 of each


def test_the_command_line_trains_it(mini_only, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(attributes.RECIPES, "smoke", attributes.FaceJudgeRecipe(steps=2, batch_size=10))
    command = ["train", "faces-judge", "--profile", "smoke", "--out", str(tmp_path / "judge")]
    assert cli.main([*command, "--device", "cpu"]) == 0
    assert "What falls short: hair at 64" in capsys.readouterr().out
    assert cli.main([*command, "--set", "lr=1"]) == 1 and "neither --set nor" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- the report


KEYS = ["data", "reference", "size", "judge", "n", "face_fid", "face_fid_floor", "face_fid_uniform"]
KEYS += ["face_fid_percent", *(f"gap_{name}" for name in LABELS), "gap", "gap_floor", "diversity", "smiling"]
KEYS += ["confidence", "attribute_accuracy", "attribute_accuracy_min"]


@pytest.mark.parametrize("size", attributes.SIZES)
def test_drawn_faces_score_as_drawn_faces(all_mini, size):
    pictures = all_mini.images if size == 64 else faces.halve(all_mini.images)
    report = metrics.face_report(pictures, device="cpu")
    assert list(report) == KEYS
    assert (report["data"], report["reference"], report["size"], report["n"]) == ("full", "test", size, 700)
    assert 0 < report["face_fid_floor"] < report["face_fid"] < 0.1 * report["face_fid_uniform"]
    assert report["face_fid_floor"] < 0.01 * report["face_fid_uniform"]
    assert (
        0 < report["gap_floor"] < 2.5
        and report["gap"] < 7
        and 0.93 < report["diversity"] < 1.07
        and report["confidence"] > 0.85
    )
    assert report["attribute_accuracy"] is None
    json.dumps(report)


def test_noise_and_one_face_are_found_out(all_mini):
    noise = torch.randint(256, (700, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    report = metrics.face_report(noise, device="cpu")
    assert report["face_fid_percent"] == pytest.approx(100, rel=0.1) and report["gap"] > 30
    with pytest.warns(UserWarning, match="All 200 images are the same"):
        one = metrics.face_report(all_mini.images[:1].expand(200, -1, -1, -1), device="cpu")
    assert one["diversity"] < 1e-3 and one["gap"] > 80


def test_missing_values_show_in_the_gap(all_mini):
    without = all_mini.images[all_mini.labels[:, LABELS.index("glasses")] == 0]
    report = metrics.face_report(without, device="cpu")
    assert report["gap"] == report["gap_glasses"] == pytest.approx(66, abs=6)


def test_smiles_are_measured_against_smiles(all_mini):
    smile = all_mini.factors.column("smile") >= faces.SMILING
    whole, some = (metrics.face_report(x, device="cpu") for x in (all_mini.images, all_mini.images[smile]))
    own = metrics.face_report(all_mini.images[smile], reference="smiles", device="cpu")
    assert whole["smiling"] == pytest.approx(float(smile.double().mean()), abs=0.04)
    assert own["smiling"] == some["smiling"] > 0.85
    assert own["face_fid"] < some["face_fid"] and own["face_fid_floor"] < 0.01 * own["face_fid_uniform"]
    assert whole["face_fid_floor"] < own["face_fid_floor"]  # of fewer faces


def test_obedience_is_measured_for_what_was_asked(all_mini):
    read = attributes.accuracy(attributes.load_face_judge("cpu"), all_mini)
    asked = torch.full_like(all_mini.labels, -1)
    asked[:, 2] = all_mini.labels[:, 2]
    some = metrics.face_report(all_mini.images, asked, device="cpu")
    assert some["attribute_accuracy"] == some["attribute_accuracy_min"] == pytest.approx(read["skin"], abs=1e-4)
    asked[:, 7] = (all_mini.labels[:, 7] + 1) % 6
    wrong = metrics.face_report(all_mini.images, asked, device="cpu")
    assert wrong["attribute_accuracy_min"] < 0.05 and wrong["attribute_accuracy"] == pytest.approx(0.5, abs=0.05)
    nothing = metrics.face_report(all_mini.images, torch.full_like(asked, -1), device="cpu")
    assert nothing["attribute_accuracy"] is nothing["attribute_accuracy_min"] is None


def test_the_colour_of_hair_under_a_hat_is_not_asked_for_in_earnest(all_mini):
    read = attributes.accuracy(attributes.load_face_judge("cpu"), all_mini)
    asked = torch.full_like(all_mini.labels, -1)
    asked[:, [0, 1, 5]] = all_mini.labels[:, [0, 1, 5]]
    hidden = ~all_mini.factors.visible()[:, 1]
    assert 10 < hidden.sum() < 60
    asked[hidden, 1] = (asked[hidden, 1] + 1) % 5
    report = metrics.face_report(all_mini.images, asked, device="cpu")
    least = min(read[name] for name in ("hair", "hair_colour", "beard"))
    assert report["attribute_accuracy_min"] == pytest.approx(least, abs=1e-4)


def test_what_cannot_be_measured_is_refused(all_mini):
    few = all_mini.images[:4]
    for use, told in (
        (
            lambda: metrics.judge_faces(few.float()),
            r"uint8 faces \(N, 32, 32, 3\) or \(N, 64, 64, 3\), got torch.float32",
        ),
        (lambda: metrics.judge_faces(few[..., :1]), r"got torch.uint8 \(4, 64, 64, 1\)"),
        (lambda: metrics.judge_faces(few[:0]), r"\(0, 64"),
        (lambda: metrics.face_report(few, reference="val"), "Unknown reference 'val'"),
        (lambda: metrics.face_report(few, torch.zeros(4, dtype=torch.long)), r"whole numbers \(4, 8\), a column for"),
        (lambda: metrics.face_report(few, torch.zeros(4, 8)), "got torch.float32"),
        (lambda: metrics.face_report(few, torch.full((4, 8), 5)), "Labels of hair_colour go from 0 to 4, and -1"),
        (lambda: metrics.face_report(few, torch.full((4, 8), -2)), "got -2 to -2"),
        (lambda: metrics.face_report(few, torch.zeros(3, 8, dtype=torch.long)), r"\(4, 8\), a column .* \(3, 8\)"),
        (lambda: metrics.face_report(faces.halve(faces.halve(few))), r"got torch.uint8 \(4, 16, 16, 3\)"),
        (lambda: metrics.face_report(few[:1]), "at least 2 images"),
        (lambda: metrics.reference_face_statistics("64-val"), "Unknown statistics '64-val'"),
    ):
        with pytest.raises(UserError, match=told):
            use()
    with pytest.warns(UserWarning, match="4 images are too few for 96 features"):
        metrics.face_report(few, device="cpu")


def test_statistics_of_another_judge_are_refused(monkeypatch):
    monkeypatch.setattr(face_reports, "face_judge_card", lambda: {"sha256": "0" * 64})
    metrics.reference_face_statistics.cache_clear()
    with pytest.raises(UserError, match="make_statistics.py faces-judge"):
        metrics.reference_face_statistics("64-test")
    metrics.reference_face_statistics.cache_clear()


def test_a_trained_judge_is_shipped_with_its_statistics(monkeypatch, tmp_path):
    """The command from a finished training to its end; only the statistics of 60,000 heads are not made anew."""
    shipped = {name: (judges.WEIGHTS / f"faces-judge.{name}").read_bytes() for name in ("safetensors", "json", "md")}
    statistics = face_reports.FACE_STATISTICS.read_bytes()
    trained, weights = tmp_path / "trained", tmp_path / "weights"
    trained.mkdir()
    for name, file in (("safetensors", "faces-judge.safetensors"), ("json", "faces-judge.json"), ("md", "card.md")):
        (trained / file).write_bytes(shipped[name])
    monkeypatch.setattr(judges, "WEIGHTS", weights)
    monkeypatch.setattr(face_reports, "FACE_STATISTICS", weights / "faces-statistics.safetensors")
    monkeypatch.setattr(make_statistics, "make_faces", lambda: load(statistics))
    monkeypatch.setattr(sys, "argv", ["train_judge.py", "faces-judge", "--out", str(trained)])
    try:
        train_judge.main()
    finally:
        metrics.reference_face_statistics.cache_clear()
    assert {name: (weights / f"faces-judge.{name}").read_bytes() for name in shipped} == shipped
    assert (weights / "faces-statistics.safetensors").read_bytes() == statistics


def test_reports_at_two_sizes_do_not_compare(all_mini):
    large, small = (metrics.face_report(x, device="cpu") for x in (all_mini.images, faces.halve(all_mini.images)))
    with pytest.raises(UserError, match="size is 64 in the first and 32 in the second"):
        metrics.compare(large, small)
    assert metrics.compare(large, large)["face_fid"] == 0
    features = metrics.face_features(all_mini.images[:100], "cpu")
    assert features.values.shape == (100, 96) and features.source.startswith("face-judge ")


# ---------------------------------------------------------------------------------------------- evaluation


def test_a_system_of_faces_is_measured_by_them(all_mini):
    report = evaluation.MEASURES["faces"]("faces", Drawn(images.to_float(all_mini.images), all_mini.labels))
    assert list(report) == KEYS and report["n"] == 700 and report["attribute_accuracy"] > 0.9


def test_a_run_on_faces_is_evaluated_from_the_command_line(mini_only, tmp_path, capsys):
    recipe = systems.recipe("faces32-dcgan")
    run = training.Run(recipe, profile="smoke", quiet=True, steps=2, out=tmp_path / "run")
    run.train()
    assert cli.main(["evaluate", str(tmp_path / "run"), "--n", "120", "--json", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert list(report) == ["run", "samples", "sample_seed", *KEYS]
    assert (report["size"], report["n"]) == (32, 120) and report["face_fid_percent"] > 10
    assert "not comparable" in told.err
    assert cli.main(["evaluate", str(tmp_path / "run"), "--n", "120", "--device", "cpu"]) == 0
    assert "face_fid_floor" in capsys.readouterr().out
