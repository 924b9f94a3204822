"""The judges of digits and clothes: the shipped weights, and the recipes that train them."""

import json
from dataclasses import replace

import pytest
import torch

from gancourse import images, metrics
from gancourse.datasets import digits, fashion, idx
from gancourse.errors import UserError
from gancourse.metrics import attributes, judges

LEAST = {"digits-judge": 0.993, "fashion-judge": 0.92}
MEASURED_ON = {
    "digits-judge": "MNIST full, test split, 10,000 digits",
    "fashion-judge": "Fashion-MNIST full, test split, 10,000 pictures",
}


@pytest.fixture
def mini_only(monkeypatch, tmp_path):
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(idx, "_checkout_folder", lambda: None)
    monkeypatch.setattr(fashion, "SET", replace(fashion.SET, system=()))


@pytest.mark.parametrize("name", judges.SUBJECTS)
def test_the_shipped_file_is_small_and_its_card_is_true(name):
    card = judges.judge_card(name)
    weights = judges.WEIGHTS / f"{name}.safetensors"
    assert weights.stat().st_size == card["bytes"] < 1_000_000
    assert card["recipe"] == name and card["accuracy"] >= LEAST[name]
    assert card["measured_on"] == MEASURED_ON[name]
    assert card["parameters"] == sum(p.numel() for p in judges.Judge().parameters())
    text = (judges.WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    assert text == judges.describe(card)
    assert text.startswith(f"# {name}\n") and judges.subject(name).makers in text


def test_the_index_lists_every_judge_and_each_has_a_recipe_for_every_profile():
    assert list(judges.SUBJECTS) == list(judges.RECIPES)
    assert list(metrics.JUDGES) == [*judges.SUBJECTS, attributes.NAME]
    for recipes in (*judges.RECIPES.values(), attributes.RECIPES):
        assert set(recipes) == {"smoke", "cpu", "gpu"}
    assert judges.judge_card()["recipe"] == "digits-judge"


@pytest.mark.parametrize(
    ("name", "test", "least"), [("digits-judge", digits.load_mini, 0.99), ("fashion-judge", fashion.load_mini, 0.91)]
)
def test_a_shipped_judge_reads_pictures_it_has_not_seen(name, test, least):
    judge = judges.load_judge("cpu", name)
    assert judge is judges.load_judge("cpu", name)
    assert not judge.training and not any(p.requires_grad for p in judge.parameters())
    assert judges.accuracy(judge, test("test")) >= least


def test_each_judge_knows_its_own_pictures_only():
    assert judges.load_judge("cpu") is not judges.load_judge("cpu", "fashion-judge")
    assert judges.accuracy(judges.load_judge("cpu", "fashion-judge"), digits.load_mini("test")) < 0.3
    assert judges.accuracy(judges.load_judge("cpu"), fashion.load_mini("test")) < 0.3


def test_an_unknown_judge_is_refused(tmp_path):
    for use in (judges.judge_card, judges.subject, lambda name: judges.load_judge("cpu", name)):
        with pytest.raises(UserError, match="'digit-judge'.*digits-judge"):
            use("digit-judge")
    with pytest.raises(UserError, match="'cat-judge'"):
        judges.train_judge("smoke", out=tmp_path / "a", name="cat-judge")
    assert not (tmp_path / "a").exists()


def test_an_image_is_judged_alone():
    judge = judges.load_judge("cpu")
    x = images.to_float(digits.load_mini("test").images[:40])
    together = judge.features(x)
    assert together.shape == (40, 64)
    assert torch.allclose(together[:1], judge.features(x[:1]), atol=1e-4)
    assert torch.equal(judge(x), judge.classify(together))


@pytest.mark.parametrize("name", judges.SUBJECTS)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "the other judge's"])
def test_damaged_weights_are_refused(monkeypatch, tmp_path, damage, name):
    other = next(judge for judge in judges.SUBJECTS if judge != name)
    data = bytearray((judges.WEIGHTS / f"{other if 'other' in damage else name}.safetensors").read_bytes())
    (tmp_path / f"{name}.json").write_bytes((judges.WEIGHTS / f"{name}.json").read_bytes())
    if damage == "flipped":
        data[-1] ^= 1
    if damage != "missing":
        cut = len(data) - (damage == "truncated")
        (tmp_path / f"{name}.safetensors").write_bytes(data[:cut])
    monkeypatch.setattr(judges, "WEIGHTS", tmp_path)
    judges._load_judge.cache_clear()
    with pytest.raises(UserError, match="sha256"):
        judges.load_judge("cpu", name)


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


def test_the_fashion_judge_trains_on_clothes(mini_only, tmp_path):
    recipe = judges.JudgeRecipe(steps=60, batch_size=64, rotation=0, flip=0.5)
    card = judges.train_judge("smoke", 0, tmp_path / "a", name="fashion-judge", device="cpu", recipe=recipe)
    assert card["recipe"] == "fashion-judge" and card["settings"]["flip"] == 0.5
    assert card["data"] == "Fashion-MNIST mini, train split, 4,000 pictures"
    assert card["measured_on"] == "Fashion-MNIST mini, test split, 1,000 pictures"
    assert card["accuracy"] > 0.5
    names = {p.name for p in (tmp_path / "a").iterdir()}
    assert names == {"fashion-judge.safetensors", "fashion-judge.json", "card.md", "metrics.csv"}
    assert (tmp_path / "a" / "card.md").read_text(encoding="utf-8") == judges.describe(card)
    with pytest.raises(UserError, match="hold-out must leave pictures"):
        judges.train_judge("smoke", 0, tmp_path / "b", name="fashion-judge", holdout=4_000)


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


def test_distortion_mirrors_the_share_that_was_asked_for():
    still = {"rotation": 0, "shift": 0, "scale": 0, "noise": 0}
    x = torch.rand(1000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for share in (0.0, 0.5, 1.0):
        found = judges.distort(x, judges.JudgeRecipe(flip=share, **still), torch.Generator().manual_seed(1))
        mirrored = (found - x.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-3
        same = (found - x).abs().amax(dim=(1, 2, 3)) < 1e-3
        assert (mirrored ^ same).all()
        assert mirrored.double().mean() == pytest.approx(share, abs=0.05 if share == 0.5 else 0)


def test_digits_are_never_mirrored():
    assert all(recipe.flip == 0 for recipe in judges.RECIPES["digits-judge"].values())
    generators = [torch.Generator().manual_seed(2) for _ in range(2)]
    x = torch.zeros(6, 1, 28, 28)
    judges.distort(x, judges.JudgeRecipe(), generators[0])
    judges.distort(x, judges.JudgeRecipe(flip=0.0), generators[1])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
