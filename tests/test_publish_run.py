"""Publishing a reference run: what is shipped, in which precision, how much of it, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import publish_run
import pytest
import torch
from PIL import Image
from safetensors.torch import load, load_file, save

from gancourse import evaluation, hub, systems, training
from gancourse.errors import UserError

SMALL = {"g_widths": (64, 64), "d_widths": (16, 16), "d_pieces": 2, "batch_size": 16, "steps": 5}
SHEETS = [f"step_{step:06d}.png" for step in range(0, 11)]


def picture(mode: str, side: int) -> bytes:
    """A sheet of noise: of grey ones each pixel takes a byte."""
    buffer = io.BytesIO()
    shape = (side, side) if mode == "L" else (side, side, 3)
    pixels = torch.randint(256, shape, generator=torch.Generator().manual_seed(side), dtype=torch.uint8)
    Image.fromarray(pixels.numpy(), mode).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one recipe, with eleven sheets each."""
    folders, sheet = [], picture("L", 83)
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("runs") / f"seed{seed}"
        training.Run(systems.recipe("ring-gan"), profile="smoke", seed=seed, out=folder, quiet=True, **SMALL).train()
        for name in SHEETS:
            (folder / "samples" / name).write_bytes(sheet)
        folders.append(folder)
    return folders


def smooth(system: Any) -> dict[str, Any]:
    """A report whose figures move a little with every weight."""
    x = system.sample(500, seed=1)
    return {"samples": 500, "data": "ring", "modes": 8, "width": float(x.std()), "none": None}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run will be published."""
    monkeypatch.setattr(hub, "CHECKOUT_RUNS", tmp_path / "runs")
    monkeypatch.setattr(hub, "REGISTRY_FILE", tmp_path / "registry.json")
    monkeypatch.setattr(evaluation, "evaluate", smooth)
    (tmp_path / "registry.json").write_text("{}")
    return tmp_path / "runs" / "ring-gan"


def types(weights: dict[str, torch.Tensor]) -> set[torch.dtype]:
    """The types of the large tensors; no small one is in half precision."""
    floats = [value for value in weights.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 for value in floats if value.numel() < publish_run.LARGE)
    return {value.dtype for value in floats if value.numel() >= publish_run.LARGE}


def reports(folder: Path) -> Any:
    return json.loads((folder / "evaluation.json").read_text())


def test_half_precision_is_shipped_and_measured(trained: list[Path], published: Path) -> None:
    publish_run.main(trained)
    assert types(load_file(published / "generator.safetensors")) == {torch.float16}
    shipped, other = reports(published)
    assert shipped == {"seed": 0, **smooth(hub.load("ring-gan").system)}  # found by name, with its hashes
    assert shipped["width"] != smooth(hub.load(trained[0]).system)["width"]
    assert other == {"seed": 1, **smooth(hub.load(trained[1]).system)}
    assert f"({shipped['width']:.4g}, {other['width']:.4g})" in (published / "card.md").read_text()
    sheets = sorted(path.name for path in (published / "samples").iterdir())
    assert sheets == [SHEETS[i] for i in (0, 3, 7, 10)]
    assert sum(path.stat().st_size for path in published.rglob("*") if path.is_file()) <= publish_run.LIMIT


def test_full_precision_is_kept_when_asked_for(trained: list[Path], published: Path) -> None:
    publish_run.main(trained[:1], full=True)
    assert (published / "generator.safetensors").read_bytes() == (trained[0] / "generator.safetensors").read_bytes()
    assert reports(published)[0]["width"] == smooth(hub.load(trained[0]).system)["width"]


def test_full_precision_is_kept_when_a_measure_moves(
    trained: list[Path], published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rough(folder: Path, halved: Any = publish_run.halved) -> bytes:
        return save({k: v * 2 if v.is_floating_point() else v for k, v in load(halved(folder)).items()})

    monkeypatch.setattr(publish_run, "halved", rough)
    publish_run.main(trained[:1])
    assert "Full precision is kept: half moves width from" in capsys.readouterr().out
    assert types(load_file(published / "generator.safetensors")) == {torch.float32}
    assert reports(published)[0] == {"seed": 0, **smooth(hub.load(trained[0]).system)}
    monkeypatch.setattr(publish_run, "LIMIT", 20_000)
    with pytest.raises(UserError, match="with weights in full precision; .* Give more seeds"):
        publish_run.main(trained[:1])


def test_what_moves_too_far() -> None:
    one = {"fid": 100.0, "classes": 10, "kl": 0.0, "judge": "a", "accuracy": None}
    assert publish_run.moved({**one, "fid": 100.9}, [one]) == []
    assert publish_run.moved({**one, "fid": 98.9}, [one]) == ["fid from 100 to 98.9"]
    assert publish_run.moved({**one, "kl": 1e-9}, [one]) == ["kl from 0 to 1e-09"]
    assert publish_run.moved({**one, "fid": float("nan")}, [one]) == ["fid from 100 to nan"]
    three = [one, {**one, "fid": 104.0, "kl": 0.1}, {**one, "fid": 96.0, "kl": 0.2}]  # standard deviations 4 and 0.1
    assert publish_run.moved({**one, "fid": 103.9, "kl": 0.09}, three) == []
    assert publish_run.moved({**one, "classes": 10 + 1e-12}, three) == []  # the same of all seeds, on another machine
    assert publish_run.moved({**one, "fid": 104.1, "classes": 9}, three) == [
        "fid from 100 to 104.1",
        "classes from 10 to 9",
    ]


def test_too_much_is_not_published(trained: list[Path], published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert publish_run.LIMIT == 1.5 * 2**20
    weights = len(publish_run.halved(trained[0]))
    monkeypatch.setattr(publish_run, "LIMIT", weights + 19_000)
    publish_run.main(trained)
    assert sorted(path.name for path in (published / "samples").iterdir()) == [SHEETS[0], SHEETS[10]]
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    monkeypatch.setattr(publish_run, "LIMIT", weights)
    with pytest.raises(UserError, match="with weights in half precision; .* Nothing was published"):
        publish_run.main(trained)
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before


def test_runs_that_do_not_belong_together_are_refused(trained: list[Path], published: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    record = json.loads((trained[1] / "config.json").read_text())
    for changed, told in (
        ({**record, "recipe": "grid-gan"}, "different recipes"),
        ({**record, "config": {**record["config"], "beta1": 0.1}}, "other hyper-parameters"),
    ):
        (other / "config.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=told):
            publish_run.main([trained[0], other])
    (other / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="not finished"):
        publish_run.main([trained[0], other])
    assert not published.exists()


def test_a_published_run_is_shipped_again_in_half_precision(
    trained: list[Path], published: Path, tmp_path: Path
) -> None:
    publish_run.main(trained, full=True)
    registered, other = (tmp_path / "registry.json").read_text(), reports(published)[1]
    publish_run.again("ring-gan")
    assert types(load_file(published / "generator.safetensors")) == {torch.float16}
    assert reports(published) == [{"seed": 0, **smooth(hub.load("ring-gan").system)}, other]
    assert (tmp_path / "registry.json").read_text() != registered
    assert len(list((published / "samples").iterdir())) == publish_run.SHEETS
    kept = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    publish_run.again("ring-gan")
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == kept
    with pytest.raises(UserError, match="moon is no published run; there are ring-gan"):
        publish_run.again("moon")


def test_sheets_in_colour_take_half_their_size(tmp_path: Path) -> None:
    sheets = {mode: tmp_path / f"{mode}.png" for mode in ("L", "RGB")}
    for mode, path in sheets.items():
        path.write_bytes(picture(mode, 60))
    assert publish_run.shrunk(sheets["L"]) == sheets["L"].read_bytes()
    fewer = publish_run.shrunk(sheets["RGB"])
    assert len(fewer) < sheets["RGB"].stat().st_size / 2
    kept = tmp_path / "again.png"
    kept.write_bytes(fewer)
    assert publish_run.shrunk(kept) == fewer, "a published sheet is shipped again as it is"
    then, now = (np.asarray(Image.open(path).convert("RGB"), float) for path in (sheets["RGB"], kept))
    assert abs(then - now).mean() < 20, "noise is the worst case"


@pytest.mark.parametrize("name", sorted(hub.registry()))
def test_every_published_run_is_small_enough(name: str) -> None:
    files = [path for path in (hub.CHECKOUT_RUNS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= publish_run.LIMIT


@pytest.mark.parametrize("name", sorted(hub.registry()))
def test_cards_name_the_band_of_their_recipe(name: str) -> None:
    folder = hub.CHECKOUT_RUNS / name
    band = systems.recipe(name).band.get(hub.read_record(folder)["profile"], "none stated for this profile")
    assert f"- **Expected band**: {band}\n" in (folder / "card.md").read_text()
