"""The digit judge: the shipped weights, and the recipe that trains them."""

import json

import pytest
import torch

from gancourse import images
from gancourse.datasets import digits, idx
from gancourse.errors import UserError
from gancourse.systems import judges


@pytest.fixture
def mini_only(monkeypatch, tmp_path):
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(idx, "_checkout_folder", lambda: None)


def test_the_shipped_file_is_small_and_its_card_is_true():
    card = judges.judge_card()
    weights = judges.WEIGHTS / "digits-judge.safetensors"
    assert weights.stat().st_size == card["bytes"] < 1_000_000
    assert card["accuracy"] >= 0.993
    assert card["measured_on"] == "MNIST full, test split, 10,000 digits"
    assert card["parameters"] == sum(p.numel() for p in judges.DigitJudge().parameters())
    assert (judges.WEIGHTS / "digits-judge.md").read_text(encoding="utf-8") == judges.describe(card)


def test_the_shipped_judge_reads_digits_it_has_not_seen():
    judge = judges.load_judge("cpu")
    assert judge is judges.load_judge("cpu")
    assert not judge.training and not any(p.requires_grad for p in judge.parameters())
    assert judges.accuracy(judge, digits.load_mini("test")) >= 0.99


def test_an_image_is_judged_alone():
    judge = judges.load_judge("cpu")
    x = images.to_float(digits.load_mini("test").images[:40])
    together = judge.features(x)
    assert together.shape == (40, 64)
    assert torch.allclose(together[:1], judge.features(x[:1]), atol=1e-4)
    assert torch.equal(judge(x), judge.classify(together))


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_damaged_weights_are_refused(monkeypatch, tmp_path, damage):
    data = bytearray((judges.WEIGHTS / "digits-judge.safetensors").read_bytes())
    (tmp_path / "digits-judge.json").write_bytes((judges.WEIGHTS / "digits-judge.json").read_bytes())
    if damage == "flipped":
        data[-1] ^= 1
    if damage != "missing":
        cut = len(data) - (damage == "truncated")
        (tmp_path / "digits-judge.safetensors").write_bytes(data[:cut])
    monkeypatch.setattr(judges, "WEIGHTS", tmp_path)
    judges._load_judge.cache_clear()
    with pytest.raises(UserError, match="sha256"):
        judges.load_judge("cpu")


def test_training_writes_a_judge_and_repeats_itself(mini_only, tmp_path):
    recipe = judges.JudgeRecipe(steps=12, batch_size=32)
    first, second = (
        judges.train_judge("smoke", 3, tmp_path / name, device="cpu", holdout=500, recipe=recipe) for name in ("a", "b")
    )
    assert first["sha256"] == second["sha256"]
    assert first["data"] == "MNIST mini, train split, 9,500 digits"
    assert first["measured_on"] == "MNIST mini, train split, 500 digits"
    assert json.loads((tmp_path / "a" / "digits-judge.json").read_text()) == first
    names = {p.name for p in (tmp_path / "a").iterdir()}
    assert names == {"digits-judge.safetensors", "digits-judge.json", "card.md", "metrics.csv"}
    with pytest.raises(UserError, match="already holds a judge"):
        judges.train_judge("smoke", 3, tmp_path / "a", recipe=recipe)


def test_the_recipe_learns(mini_only, tmp_path):
    recipe = judges.JudgeRecipe(steps=60, batch_size=64)
    card = judges.train_judge("smoke", 0, tmp_path / "a", device="cpu", recipe=recipe)
    assert card["measured_on"] == "MNIST mini, test split, 2,000 digits"
    assert card["accuracy"] > 0.8


def test_wrong_hold_outs_are_refused(mini_only, tmp_path):
    for holdout in (-1, 10_000):
        with pytest.raises(UserError, match="hold-out"):
            judges.train_judge("smoke", 0, tmp_path / "a", holdout=holdout)


def test_distortion_keeps_the_background_and_can_be_nothing():
    still = judges.JudgeRecipe(rotation=0, shift=0, scale=0, noise=0)
    x = images.to_float(digits.load_mini("train").images[:8])
    assert torch.allclose(judges.distort(x, still), x, atol=1e-4)
    moved = judges.distort(x, judges.JudgeRecipe(shift=5, noise=0), torch.Generator().manual_seed(0))
    assert (moved[:, :, 0, 0] == -1).all() and moved.max() <= 1
    assert not torch.allclose(moved, x, atol=0.1)
    blank = torch.full((4, 1, 28, 28), -1.0)
    assert torch.equal(judges.distort(blank, judges.JudgeRecipe(noise=0)), blank)


def test_distortion_adds_noise_to_half_of_the_images():
    grey = torch.zeros(2000, 1, 28, 28)
    generator = torch.Generator().manual_seed(0)
    noisy = judges.distort(grey, judges.JudgeRecipe(rotation=0, shift=0, scale=0, noise=0.2), generator)
    spread = noisy.flatten(1).std(dim=1)
    assert (spread < 1e-4).double().mean() == pytest.approx(0.5, abs=0.05)
    assert 0.15 < spread.max() < 0.22 and noisy.abs().max() <= 1


def test_the_recipe_has_every_profile():
    assert set(judges.RECIPES["digits-judge"]) == {"smoke", "cpu", "gpu"}
