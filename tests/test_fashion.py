"""Fashion-MNIST: where it is found, that it is never mistaken for MNIST, and its mini set."""

import gzip
import hashlib
from dataclasses import replace

import pytest
import torch

from gancourse.datasets import digits, fashion, idx, source
from gancourse.errors import UserError


def forget():
    for cached in (idx._load, idx._say_once, idx._installed_or_downloaded, idx._mini_unpacked):
        cached.cache_clear()


def tiny(data, seed):
    """Return `data` with files a few pictures long, and their contents; the lengths are the same for every seed."""
    contents = {}

    def shrink(file, count):
        top = 256 if file.item > 1 else 10
        body = bytes((31 * i + count + seed) % top for i in range(count * file.item))
        contents[file.name] = bytes(file.header) + body
        checksum = hashlib.md5(contents[file.name], usedforsecurity=False).hexdigest()
        return replace(file, md5=checksum, count=count)

    counts = {"train": 7, "test": 3}
    images = {split: shrink(data.images[split], count) for split, count in counts.items()}
    labels = {split: shrink(data.labels[split], count) for split, count in counts.items()}
    return replace(data, images=images, labels=labels, system=()), contents


@pytest.fixture(autouse=True)
def clothes(monkeypatch, tmp_path):
    """Tiny stand-ins for both sets; no data folder, system package, cache, checkout folder or network."""
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(idx, "_checkout_folder", lambda: None)
    monkeypatch.setattr(idx, "_torchvision", lambda data, folder, seconds: "the network is off in this test")
    small, contents = tiny(fashion.SET, seed=1)
    monkeypatch.setattr(fashion, "SET", small)
    forget()
    yield contents
    forget()


@pytest.fixture
def numbers(monkeypatch):
    small, contents = tiny(digits.SET, seed=0)
    monkeypatch.setattr(digits, "SET", small)
    return contents


def put(folder, contents, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        path = folder / (name + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def pictures(contents):
    return list(contents["train-images-idx3-ubyte"][16:])


# ---------------------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize("home", ["fashion", "FashionMNIST/raw", "fashion/FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_both_sets_live_in_one_data_folder(monkeypatch, tmp_path, clothes, numbers, home, packed):
    put(tmp_path / "data", numbers)
    put(tmp_path / "data" / home, clothes, packed)
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "data"))
    worn, written = fashion.load("train"), digits.load("train")
    assert (worn.source, worn.notice, len(worn), len(fashion.load("test"))) == ("full", "", 7, 3)
    assert worn.images.flatten().tolist() == pictures(clothes)
    assert written.images.flatten().tolist() == pictures(numbers)


def test_a_data_folder_of_digits_only_leaves_the_other_sources(monkeypatch, tmp_path, clothes, numbers):
    put(tmp_path / "data", numbers)
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "data"))
    assert fashion.load(quiet=True).source == "mini"
    put(tmp_path / "cache" / "fashion-mnist", clothes)
    forget()
    assert fashion.load().images.flatten().tolist() == pictures(clothes)


def test_the_order_of_the_sources(monkeypatch, tmp_path, clothes):
    def good(data, folder, seconds):
        calls.append(data.torchvision)
        put(folder / "FashionMNIST" / "raw", clothes, packed=True)
        return ""

    def used():
        forget()
        base, folder, notice = idx._source(fashion.SET)
        assert not notice
        return folder

    calls = []
    monkeypatch.setattr(idx, "_torchvision", good)
    assert used() == used() == tmp_path / "cache" / "fashion-mnist"
    assert calls == ["FashionMNIST"]
    monkeypatch.setattr(fashion, "SET", replace(fashion.SET, system=(tmp_path / "system",)))
    assert used() == tmp_path / "cache" / "fashion-mnist"
    put(tmp_path / "system", clothes, packed=True)
    assert used() == tmp_path / "system"
    monkeypatch.setattr(idx, "_checkout_folder", lambda: tmp_path / "data")
    (tmp_path / "data" / "fashion").mkdir(parents=True)
    assert used() == tmp_path / "system"
    put(tmp_path / "data" / "fashion", clothes)
    assert used() == tmp_path / "data" / "fashion"
    monkeypatch.setenv("GANCOURSE_DATA", str(put(tmp_path / "mine" / "fashion", clothes).parent))
    assert used() == tmp_path / "mine" / "fashion"


def test_a_damaged_system_package_is_passed_over(monkeypatch, tmp_path, clothes):
    put(tmp_path / "system", clothes | {"t10k-labels-idx1-ubyte": b"damaged"})
    monkeypatch.setattr(fashion, "SET", replace(fashion.SET, system=(tmp_path / "system",)))
    assert fashion.load(quiet=True).source == "mini"


def test_no_download_under_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(idx, "_torchvision", lambda data, folder, seconds: pytest.fail("a download under CI"))
    assert "CI" in fashion.load(quiet=True).notice


# ----------------------------------------------------------------------------------------------- wrong files


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "does not hold"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes() + b"!"), "too long"),
    ],
)
def test_damaged_files_are_named_with_what_to_do(monkeypatch, tmp_path, clothes, harm, said):
    folder = put(tmp_path / "data" / "fashion", clothes)
    harm(folder / "train-labels-idx1-ubyte")
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError) as error:
        fashion.load()
    for part in ("train-labels-idx1-ubyte", said, f"gancourse.datasets.fashion --out {tmp_path / 'data'}`"):
        assert part in str(error.value)


def test_neither_set_passes_for_the_other(monkeypatch, tmp_path, clothes, numbers):
    put(tmp_path / "data", clothes)
    put(tmp_path / "data" / "fashion", numbers)
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError, match="not MNIST's file"):
        digits.load()
    with pytest.raises(UserError, match="not Fashion-MNIST's file"):
        fashion.load()


def test_a_data_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere is not a folder"):
        fashion.load()


# -------------------------------------------------------------------------------------------------- make data


def test_fetching_tells_where_and_loading_finds_it(monkeypatch, tmp_path, clothes, numbers, capsys):
    put(tmp_path / "system", clothes, packed=True)
    monkeypatch.setattr(fashion, "SET", replace(fashion.SET, system=(tmp_path / "system",)))
    out = put(tmp_path / "data", numbers)
    assert fashion.main(["--out", str(out)]) == 0
    assert f"export GANCOURSE_DATA={out}\n" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (out / "fashion").iterdir()} == clothes
    assert fashion.fetch(out) == "already there"
    monkeypatch.setenv("GANCOURSE_DATA", str(out))
    assert fashion.load().source == digits.load().source == "full"


def test_fetching_without_a_source_says_so_and_changes_nothing(monkeypatch, tmp_path, numbers, capsys):
    monkeypatch.setattr(fashion, "SET", replace(fashion.SET, system=(tmp_path / "system",)))
    out = put(tmp_path / "data", numbers)
    assert fashion.main(["--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "Fashion-MNIST could not be fetched" in said and "not installed" in said and "network" in said
    assert sorted(path.name for path in out.iterdir()) == sorted(numbers)
    monkeypatch.setenv("GANCOURSE_DATA", str(out))
    assert fashion.load(quiet=True).source == "mini"


# ----------------------------------------------------------------------------------------------- the mini set


def test_the_mini_set_is_what_was_published():
    packed = fashion.SET.mini.read_bytes()
    assert hashlib.sha256(packed).hexdigest() == fashion.SET.mini_sha256
    assert len(packed) <= 3_000_000
    attribution = (fashion.SET.mini.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for part in ("Xiao", "Rasul", "Vollgraf", "2017 Zalando SE", "1708.07747", "Permission is hereby granted"):
        assert part in attribution


@pytest.mark.parametrize(("split", "each"), [("train", 400), ("test", 100)])
def test_the_mini_set_has_its_ten_classes_in_equal_shares(split, each):
    mini = fashion.load_mini(split)
    assert mini.images.shape == (10 * each, 28, 28, 1) and mini.images.dtype == torch.uint8
    assert mini.labels.bincount().tolist() == [each] * 10
    assert len(set(fashion.CLASSES)) == 10


def test_the_classes_are_in_the_order_of_the_labels():
    mini = fashion.load_mini("train")
    ink = {name: mini.images[mini.labels == label].double() for label, name in enumerate(fashion.CLASSES)}
    height = {name: (x.amax(dim=(2, 3)) > 0).double().sum(1).mean() for name, x in ink.items()}
    width = {name: (x.amax(dim=(1, 3)) > 0).double().sum(1).mean() for name, x in ink.items()}
    assert sorted(height, key=height.get)[:2] in (["sneaker", "sandal"], ["sandal", "sneaker"])
    assert sorted(width, key=width.get)[:2] in (["trouser", "dress"], ["dress", "trouser"])


def test_mini_sets_share_no_image():
    sets = [fashion.load_mini("train"), fashion.load_mini("test"), digits.load_mini("test")]
    first, second, third = ({bytes(image) for image in part.images.flatten(1).numpy()} for part in sets)
    assert not first & second and not first & third


def test_the_notice_names_the_set(capsys):
    notice = fashion.load().notice
    assert capsys.readouterr().err == notice + "\n"
    for part in ("4,000 + 1,000", "Fashion-MNIST", "network is off", "make data"):
        assert part in notice


def test_training_draws_from_it_by_name():
    drawn = source.load("fashion", device=torch.device("cpu"), quiet=True)
    assert (drawn.name, drawn.origin, drawn.x.shape, drawn.c.shape) == ("fashion", "mini", (4000, 28, 28, 1), (4000,))
    with pytest.raises(UserError, match="Did you mean 'fashion'"):
        source.load("fashon", device=torch.device("cpu"))
