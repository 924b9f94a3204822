"""Drawn faces: the factors and their shares, the drawing, what is kept, what is missing, and the mini set."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gancourse import datasets, files
from gancourse.datasets import faces, heads, idx, source
from gancourse.errors import UserError

needs_drawing = pytest.mark.skipif(bool(heads.absent()), reason="the extra `faces` is not installed")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no memory of other tests."""
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    for cached in (faces._load, idx._say_once):
        cached.cache_clear()
    yield
    for cached in (faces._load, idx._say_once):
        cached.cache_clear()


# -------------------------------------------------------------------------------------------------- factors


def test_the_tables_of_factors_are_whole():
    assert faces.CLASSES == datasets.get("faces").classes == tuple(len(part.values) for part in heads.PARTS)
    for part in heads.PARTS:
        assert len(part.values) == len(part.parts) == len(part.natural) == len(set(part.values))
        assert sum(part.natural) == pytest.approx(1) and sum(part.balanced) == pytest.approx(1)
        assert set(part.covers) <= set(part.values)
    for span in heads.RANGES:
        assert span.low < span.middle < span.high
    assert len(set(faces._NAMES)) == len(heads.PARTS) + len(heads.RANGES)


@pytest.mark.parametrize("balance", faces.BALANCES)
def test_shares_and_spans_are_those_asked_for(balance):
    n = 20_000
    drawn = faces.sample(n, 3, balance)
    assert drawn.labels.shape == (n, 8) and drawn.values.shape == (n, 6)
    for k, part in enumerate(heads.PARTS):
        shares = drawn.labels[:, k].bincount(minlength=len(part.values)) / n
        assert (shares - torch.tensor(getattr(part, balance))).abs().max() < 0.012
    for k, span in enumerate(heads.RANGES):
        column = drawn.values[:, k]
        assert span.low <= column.min() and column.max() <= span.high
        assert column.min() < span.low + 0.1 * (span.high - span.low)
        uniform = (span.high - span.low) / 12**0.5
        assert column.std() == pytest.approx(uniform, rel=0.03) if balance == "balanced" else column.std() < uniform
    hats = drawn.column("hair") >= 10
    assert hats.double().mean() < 0.06 and (drawn.column("beard") > 0).double().mean() < 0.22


def test_no_factor_says_anything_about_another():
    drawn = faces.sample(20_000, 5)
    columns = torch.cat([drawn.labels.double(), drawn.values.double()], dim=1)
    correlation = torch.corrcoef(columns.T).fill_diagonal_(0)
    assert correlation.abs().max() < 4 / 20_000**0.5


def test_the_first_of_many_are_those_of_few_and_seeds_differ():
    few, many, other = faces.sample(10, 1), faces.sample(1_000, 1), faces.sample(10, 2)
    assert torch.equal(few.labels, many[:10].labels) and torch.equal(few.values, many[:10].values)
    assert not torch.equal(few.values, other.values)


def test_one_factor_is_changed_and_the_others_stay():
    before = faces.sample(50, 0)
    after = before.changed(glasses="round", smile=-1)
    assert (after.column("glasses") == 1).all() and (after.column("smile") == -1).all()
    for name in set(faces._NAMES) - {"glasses", "smile"}:
        assert torch.equal(before.column(name), after.column(name))
    assert before.column("glasses").unique().tolist() == [0, 1, 2]  # the first heads are untouched
    fixed = faces.sample(50, 0, glasses="round", smile=-1)
    assert torch.equal(fixed.labels, after.labels) and torch.equal(fixed.values, after.values)


def test_a_sweep_and_a_description():
    one = faces.sample(3, 0)
    assert one.sweep("hair").column("hair").tolist() == list(range(12))
    tilts = one.sweep("tilt", 5)
    assert tilts.column("tilt").tolist() == [-15, -7.5, 0, 7.5, 15]
    assert torch.equal(tilts.column("scale"), one.column("scale")[:1].expand(5))
    words = one.describe(2)
    assert list(words) == list(faces._NAMES)
    again = faces.head(words)
    assert torch.equal(again.labels, one[2].labels) and torch.allclose(again.values, one[2].values)
    assert len(one[-1]) == 1 and torch.equal(one[-1].values, one.values[2:])


def test_hair_under_a_hat_has_no_colour_that_is_seen():
    seen = [
        faces.head(hair=hair, beard=beard).visible()[0]
        for hair, beard in (("bob", "none"), ("beanie", "none"), ("turban", "full"))
    ]
    assert [one[1].item() for one in seen] == [True, False, True]
    assert all(int(one.sum()) - int(one[1]) == 7 for one in seen)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"hear": "bob"}, "Unknown factor 'hear'. Did you mean 'hair'"),
        ({"hair": "bobb"}, "Unknown hair 'bobb'. Did you mean 'bob'"),
        ({"hair": 3}, "Unknown hair '3'"),
        ({"tilt": 15.1}, r"tilt=15.1 is out of range: it is a number from -15 to 15 \(degrees"),
        ({"scale": float("nan")}, "scale=nan is out of range"),
        ({"smile": "wide"}, "smile='wide' is out of range"),
        ({"smile": True}, "out of range"),
    ],
)
def test_factors_that_there_are_not_are_refused(what, told):
    for use in (lambda: faces.sample(2, **what), lambda: faces.head(what), lambda: faces.sample(2).changed(**what)):
        with pytest.raises(UserError, match=told):
            use()


def test_other_wrong_requests_are_refused():
    for use, told in (
        (lambda: faces.sample(0), "n=0 is out of range"),
        (lambda: faces.sample(1, -1), "A seed is"),
        (lambda: faces.sample(1, 0, "even"), "Unknown balance 'even'"),
        (lambda: faces.make(1, 48), "32, 64 or 128 pixels, got size=48"),
        (lambda: faces.load("val"), "Unknown split"),
        (lambda: faces.load(size=28), "got size=28"),
        (lambda: faces.load_mini("val"), "Unknown split"),
        (lambda: faces.sample(1).column("nose"), "Unknown factor 'nose'"),
    ):
        with pytest.raises(UserError, match=told):
            use()


# -------------------------------------------------------------------------------------------------- drawing


@needs_drawing
def test_every_value_of_every_factor_is_seen():
    plain = faces.head(smile=0.5)
    for name in faces._NAMES:
        swept = faces.draw(plain.sweep(name, 5)).double()
        for i in range(1, len(swept)):
            differs = (swept[i] - swept[i - 1]).abs().amax(dim=2) > 12
            assert differs.sum() >= (4 if name == "brows" else 8), (name, i)


@needs_drawing
@pytest.mark.parametrize(("name", "axis"), [("right", 1), ("down", 0)])
def test_a_head_moves_by_the_pixels_that_its_label_says(name, axis):
    still, moved = (faces.draw(faces.head({name: by}))[0].double() for by in (0, 4))
    rolled = still.roll(4, dims=axis)
    inner = (slice(8, -8), slice(8, -8))
    assert (rolled - moved)[inner].abs().mean() < 0.5 < (still - moved)[inner].abs().mean()


@needs_drawing
def test_no_gap_opens_below_and_hats_have_the_colour_of_the_clothes():
    low = faces.join([faces.head(down=-8, scale=0.8, tilt=tilt, clothes_colour="red") for tilt in (-15, 0, 15)])
    pictures = faces.draw(low)
    assert (pictures[:, 50:, 30:34] == torch.tensor([0xFF, 0x5C, 0x5C])).all()  # nor is a seam seen
    hat = faces.draw(faces.head(hair="turban", clothes_colour="green"))[0, 4:14, 26:38].reshape(-1, 3)
    assert (hat == torch.tensor([0x3F, 0xAE, 0x72])).all(dim=1).double().mean() > 0.5


@needs_drawing
def test_the_sizes_belong_together():
    factors = faces.sample(3, 0)
    small, middle, large = (faces.draw(factors, size) for size in heads.SIZES)
    assert [x.shape[1:] for x in (small, middle, large)] == [(32, 32, 3), (64, 64, 3), (128, 128, 3)]
    assert torch.equal(small, faces.halve(middle))
    assert (faces.halve(large).double() - middle.double()).abs().mean() < 6


def test_halves_are_rounded_up():
    x = torch.tensor([[0, 1, 255, 255], [0, 1, 255, 254], [0, 0, 7, 7], [0, 1, 7, 7]], dtype=torch.uint8)
    assert faces.halve(x[None, :, :, None])[0, :, :, 0].tolist() == [[1, 255], [0, 7]]


@needs_drawing
def test_processes_draw_what_one_draws_and_leave_the_random_state_alone():
    factors = faces.sample(7, 0)
    state = torch.get_rng_state()
    assert torch.equal(faces.draw(factors, 64, processes=3), faces.draw(factors, 64, processes=1))
    assert torch.equal(state, torch.get_rng_state())


@needs_drawing
def test_a_process_that_ends_early_is_told(monkeypatch):
    monkeypatch.setattr(faces.heads, "versions", lambda: "")
    broken = faces.Factors(torch.full((4, 8), 99), torch.zeros(4, 6))
    with pytest.raises(UserError, match="A process that draws faces has ended: IndexError"):
        faces.draw(broken, 64, processes=2)


@needs_drawing
def test_an_interruption_stops_a_process():
    calls = []

    def one_picture():
        calls.append(1)
        return False  # as after an interruption

    lines = ["0 0 0 0 0 0 0 0 0 0 1 0 0 0\n"] * 300
    with pytest.raises(UserError, match="has ended"):
        faces._drawn_apart(lines, torch.zeros(300, 64, 64, 3, dtype=torch.uint8), 64, one_picture)
    assert len(calls) == 1


@needs_drawing
def test_what_was_drawn_is_kept_with_its_checksum(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(faces, "_FEW", 5)
    drawn = faces.make(8, 64, seed=4, hair="bob")
    (kept,) = (tmp_path / "cache" / "faces").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(faces, "draw", lambda *_, **__: pytest.fail("drawn twice"))
        assert torch.equal(faces.make(8, 64, seed=4, hair="bob").images, drawn.images)
        assert torch.equal(faces.make(8, 32, seed=4, hair="bob").images, faces.halve(drawn.images))
    whole = kept.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:-1], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], b""):
        kept.write_bytes(damaged)
        idx._say_once.cache_clear()
        assert torch.equal(faces.make(8, 64, seed=4, hair="bob").images, drawn.images)
        assert "is damaged: these faces are drawn again" in capsys.readouterr().err
        assert kept.read_bytes() == whole  # and mended


@needs_drawing
def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(faces, "_FEW", 5)
    monkeypatch.setattr(faces.files, "cache", lambda: (tmp_path / "file", ""))
    (tmp_path / "file").write_text("in the way")
    assert len(faces.make(6, 64)) == 6
    assert "could not be kept" in capsys.readouterr().err


@needs_drawing
def test_the_full_set_is_drawn_once_where_it_may_be(monkeypatch, capsys):
    monkeypatch.setattr(faces, "COUNTS", {"train": 9, "test": 6})
    monkeypatch.setattr(faces, "_FEW", 5)
    faces._asked.cache_clear()
    assert faces.load(size=64, quiet=True).source == "mini"  # under CI
    monkeypatch.setenv("CI", "false")
    assert "smoke" in faces.load(size=64).notice
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    train, test = faces.load("train"), faces.load("test")
    assert (train.source, train.notice, len(train), len(test)) == ("full", "", 9, 6)
    assert not torch.equal(train.images[:6], test.images)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(faces, "draw", lambda *_, **__: pytest.fail("drawn twice"))
    faces._load.cache_clear()
    small = faces.load("train", 32)  # kept ones are used under CI too
    assert small.source == "full" and torch.equal(small.images, faces.halve(train.images))
    drawn = source.load("faces", device=CPU, shape=(3, 32, 32))
    assert (drawn.origin, drawn.x.shape, drawn.c.shape) == ("full", (9, 32, 32, 3), (9, 8))
    assert faces.main([]) == 0  # at 64: they are there
    assert str(files.cache()[0] / "faces") in capsys.readouterr().out
    faces._asked.cache_clear()


# ---------------------------------------------------------------------------------------- without the extra


def test_without_the_extra_the_mini_set_works_and_drawing_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(heads, "absent", lambda: ["python-avatars", "resvg-py"])
    monkeypatch.setenv("CI", "false")
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    for use in (lambda: faces.make(3), lambda: faces.draw(faces.sample(3))):
        with pytest.raises(UserError, match=re.escape("pip install 'gancourse[faces]'")):
            use()
    assert faces.main([]) == 1 and "gancourse[faces]" in capsys.readouterr().err
    found = faces.load(size=32, quiet=True)
    assert (found.source, found.images.shape) == ("mini", (600, 32, 32, 3))
    assert "python-avatars and resvg-py not installed" in found.notice and "gancourse[faces]" in found.notice
    with pytest.raises(UserError, match="no faces at 128 pixels here"):
        faces.load(size=128)


def test_the_drawing_starts_without_torch_and_without_random_numbers():
    program = (
        "import sys, random; state = random.getstate()\n"
        "from gancourse.datasets import heads\n"
        "heads.absent() or heads.to_svg([0] * 8, [0, 0, 1, 0, 0, 0])\n"
        "assert 'torch' not in sys.modules and state == random.getstate()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@needs_drawing
def test_a_part_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(heads, "_drawings", lambda: tmp_path)
    with pytest.raises(UserError, match=r"short_flat.svg cannot be read .* --force-reinstall"):
        heads._part.__wrapped__("top/hair/short_flat")


# -------------------------------------------------------------------------------------------- the mini set


def test_the_mini_set_is_what_was_published():
    packed = faces.MINI_FILE.read_bytes()
    assert hashlib.sha256(packed).hexdigest() == faces.MINI_SHA256
    assert len(packed) <= 1_000_000
    attribution = (faces.MINI_FILE.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for part in ("faces.xz", "python-avatars 1.4.1", "Copyright (c) 2021 Ibon", "Pablo Stanley", "avataaars.com"):
        assert part in attribution


def test_the_mini_set_holds_the_heads_that_its_labels_say():
    train, test = faces.load_mini("train"), faces.load_mini("test")
    assert train.images.shape == (600, 64, 64, 3) and test.images.shape == (100, 64, 64, 3)
    asked = faces.sample(700, faces.MINI_SEED)
    assert torch.equal(torch.cat([train.labels, test.labels]), asked.labels)
    assert torch.equal(torch.cat([train.factors.values, test.factors.values]), asked.values)
    if not heads.absent():
        drawn = faces.draw(test.factors).double()
        assert (drawn - test.images.double()).abs().mean() < 0.2  # the same bytes where it was made


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_damaged_mini_set_is_refused(monkeypatch, tmp_path, damage):
    copy = Path(tmp_path / "faces.xz")
    if damage == "flipped":
        data = bytearray(faces.MINI_FILE.read_bytes())
        data[100] ^= 1
        copy.write_bytes(data)
    monkeypatch.setattr(faces, "MINI_FILE", copy)
    faces._mini.cache_clear()
    with pytest.raises(UserError, match="sha256"):
        faces.load_mini()
    faces._mini.cache_clear()


def test_training_draws_from_it_by_name():
    drawn = source.load("faces", device=CPU, quiet=True)
    assert (drawn.name, drawn.origin, drawn.x.shape, drawn.c.shape) == ("faces", "mini", (600, 64, 64, 3), (600, 8))
    smiling = source.load("smiles", device=CPU, shape=(3, 32, 32), quiet=True)
    assert 120 < len(smiling.x) < 240 and len(smiling.x) == len(smiling.c)
    with pytest.raises(UserError, match=r"\(3, 64, 64\) or \(3, 32, 32\)"):
        source.load("faces", device=CPU, shape=(1, 32, 32))


def test_the_notice_names_the_set(capsys):
    notice = faces.load().notice
    assert capsys.readouterr().err == notice + "\n"
    assert "600 + 100" in notice and "20,000 + 10,000" in notice
