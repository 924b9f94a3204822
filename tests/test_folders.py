"""Folders of photographs: every sort of picture is handled, or named, skipped and counted; dead links cost a line."""

import numpy as np
import pytest
import torch
from PIL import Image

from gancourse.datasets import faces, folders, idx, source
from gancourse.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(idx, "_checkout_folder", lambda: None)
    idx._say_once.cache_clear()
    faces._load.cache_clear()
    yield
    idx._say_once.cache_clear()
    faces._load.cache_clear()


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a red picture, 60 wide and 40 high, whose left third is blue."""
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[...] = (200, 0, 0)
    pixels[:, :20] = (0, 0, 200)
    path = tmp_path / "pictures"
    path.mkdir()
    Image.fromarray(pixels).save(path / "b_plain.png")
    return path


def test_the_middle_square_is_taken(folder):
    found = folders.load(folder, 20)
    assert found.images.shape == (1, 20, 20, 3) and found.images.dtype == torch.uint8
    assert (found.skipped, found.notice) == ((), "")
    left, right = found.images[0, 10, 0].tolist(), found.images[0, 10, -1].tolist()
    assert left[2] > 150 > 50 > left[0] and right[0] > 150 > 50 > right[2]
    closer = folders.load(folder, 10, zoom=2).images[0]
    assert (closer[:, 4:] == torch.tensor([200, 0, 0])).all()


def test_every_sort_of_picture_is_handled(folder):
    plain = Image.open(folder / "b_plain.png")
    plain.convert("L").save(folder / "grey.png")
    plain.convert("P").save(folder / "palette.gif")
    plain.convert("CMYK").save(folder / "print.jpg")
    Image.fromarray(np.full((40, 60), 32_768, dtype=np.uint16)).save(folder / "sixteen.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(folder / "through.png")
    Image.new("LA", (40, 40), (0, 128)).save(folder / "half.png")
    plain.convert("1").save(folder / "bits.tif")
    (folder / "below").mkdir()
    plain.save(folder / "below" / "c.webp")
    found = folders.load(folder, 20)
    assert len(found) == 9 and not found.skipped
    names = sorted(path.relative_to(folder).as_posix() for path in folders._pictures_in(folder))
    assert names[0] == "b_plain.png" and "below/c.webp" in names
    by_name = {path.name: found.images[i] for i, path in enumerate(folders._pictures_in(folder))}
    assert (by_name["through.png"] == 255).all()  # on white
    assert (by_name["half.png"].double() - 127).abs().max() <= 1
    assert (by_name["sixteen.png"].double() - 127.5).abs().max() <= 1
    assert (by_name["grey.png"][..., 0] == by_name["grey.png"][..., 2]).all()


def test_a_photograph_that_was_stored_turned_is_turned_back(folder):
    plain = Image.open(folder / "b_plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    plain.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    straight, turned = folders.load(folder, 20).images
    assert torch.equal(straight, turned)


def test_what_cannot_be_used_is_named_and_counted(folder, capsys):
    data = (folder / "b_plain.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").touch()
    Image.new("RGB", (300, 19)).save(folder / "tiny.png")
    (folder / "notes.txt").write_text("passed over")
    (folder / "._a.png").write_bytes(b"a desktop's")
    (folder / "nested.png").mkdir()
    found = folders.load(folder, 20)
    assert len(found) == 1
    assert dict(found.skipped)["tiny.png"] == "is too small (300×19 pixels)"
    assert {name for name, _ in found.skipped} == {"cut.png", "text.jpg", "empty.png", "tiny.png"}
    said = capsys.readouterr().err
    assert "1 of 5 pictures are used" in said and "text.jpg cannot be read (UnidentifiedImageError)" in said
    for i in range(4):
        (folder / f"x{i}.png").touch()
    assert "; and 3 more." in folders.load(folder, 20, quiet=True).notice
    assert len(folders.load(folder, 20, limit=1)) == 1


def test_a_picture_with_too_many_pixels_is_skipped(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000)
    with pytest.raises(UserError, match="No picture in .* b_plain.png has too many pixels"):
        folders.load(folder, 20)


def test_folders_that_will_not_do_are_refused(folder, tmp_path):
    (tmp_path / "none").mkdir()
    for use, told in (
        (lambda: folders.load(tmp_path / "nowhere"), "nowhere is not a folder"),
        (lambda: folders.load(folder / "b_plain.png"), "is not a folder"),
        (lambda: folders.load(tmp_path / "none"), "There are no pictures in .*looked for .png"),
        (lambda: folders.load(folder, 64), "No picture in .* too small"),
        (lambda: folders.load(folder, 2), "size=2 is out of range"),
        (lambda: folders.load(folder, 20, zoom=0.5), "zoom=0.5 is out of range"),
        (lambda: folders.load(folder, 20, limit=0), "limit=0 is out of range"),
    ):
        with pytest.raises(UserError, match=told):
            use()


def test_training_takes_photos_from_the_data_folder(folder, monkeypatch, tmp_path):
    base = tmp_path / "data"
    (base / "photos").mkdir(parents=True)
    Image.open(folder / "b_plain.png").resize((90, 80)).save(base / "photos" / "a.jpg")
    monkeypatch.setenv("GANCOURSE_DATA", str(base))
    drawn = source.load("photos", device=CPU)
    assert (drawn.name, drawn.origin, drawn.x.shape, drawn.c) == ("photos", "full", (1, 64, 64, 3), None)


def test_without_photographs_faces_are_drawn_and_it_is_said(monkeypatch, capsys):
    drawn = source.load("photos", device=CPU, shape=(3, 32, 32))
    assert (drawn.origin, drawn.x.shape, drawn.c) == ("drawn mini", (600, 32, 32, 3), None)
    assert "no folder `photos`" in capsys.readouterr().err
    source.load("celeba", device=CPU)
    assert "CelebA is not to be had (no download under CI): drawn faces" in capsys.readouterr().err
    source.load("celeba", device=CPU, quiet=True)


def test_a_dead_link_costs_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CI", "false")
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    monkeypatch.setattr(idx, "_run", lambda command, seconds, what: f"{what} failed")
    assert folders.celeba() is None
    assert "CelebA is not to be had (torchvision's download failed): drawn faces" in capsys.readouterr().err


def test_celeba_is_fetched_once_and_found_again(folder, monkeypatch, tmp_path):
    def fetch(command, seconds, what):
        there = tmp_path / "cache" / "celeba" / "img_align_celeba"
        there.mkdir(parents=True)
        Image.open(folder / "b_plain.png").resize((178, 218)).save(there / "000001.jpg")
        return ""

    monkeypatch.setenv("CI", "false")
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    monkeypatch.setattr(idx, "_run", fetch)
    assert len(folders.celeba(64)) == 1
    monkeypatch.setattr(idx, "_run", lambda *_: pytest.fail("fetched twice"))
    drawn = source.load("celeba", device=CPU, shape=(3, 32, 32))
    assert (drawn.origin, drawn.x.shape) == ("full", (1, 32, 32, 3))
