"""Hyper-parameters: whose a key is, what a profile and a person change, former keys, and records of runs."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from gancourse import cli, datasets, evaluation, hub, metrics, systems, training
from gancourse.datasets.source import load as load_source
from gancourse.errors import UserError
from gancourse.networks import MLP, ConditionalMLP, Networks
from gancourse.systems import configs, notes
from gancourse.systems.configs import FORMER, change, flat, from_record, keys

CPU = torch.device("cpu")
GAN = systems.recipe("digits-mlp")
LSGAN = systems.recipe("digits-lsgan")


# ----------------------------------------------------------------------------------------------- flat keys


@pytest.mark.parametrize("name", systems.names())
def test_no_key_belongs_to_both(name: str) -> None:
    own, theirs = keys(systems.recipe(name).config)
    assert not set(own) & set(theirs) and "networks" not in own
    assert set(flat(systems.recipe(name).config)) == {*own, *theirs, "networks"}


def test_a_config_whose_key_stands_in_both_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Twice(configs.Adversarial):
        latent_dim: int = 3

    with pytest.raises(TypeError, match="latent_dim.*not to both"):
        Twice(networks=MLP())


def test_a_key_is_the_games_or_its_networks() -> None:
    config = GAN.at("smoke", k=3, latent_dim=7, g_widths=[16, 8])
    assert (config.k, config.networks.latent_dim, config.networks.g_widths) == (3, 7, (16, 8))
    assert config.latent_dim == 7  # read by its flat name
    assert config.networks.d_widths == GAN.at("smoke").networks.d_widths  # the profile's stays


def test_the_profile_comes_first_and_then_the_person() -> None:
    assert GAN.at("smoke").networks.g_widths == (32, 64)
    other = ConditionalMLP(g_widths=(5,), d_widths=(6,))
    config = LSGAN.at("smoke", networks=other, d_dropout=0.1)
    assert config.networks == dataclasses.replace(other, d_dropout=0.1)  # nothing of the profile's sizes
    assert config.steps == LSGAN.at("smoke").steps


def test_keys_are_settled_together() -> None:
    """A batch of one fits no BatchNorm, and fits when the same change takes BatchNorm out."""
    with pytest.raises(UserError, match="BatchNorm"):
        GAN.at("smoke", batch_size=1)
    assert GAN.at("smoke", batch_size=1, g_norm="none").batch_size == 1


@pytest.mark.parametrize(
    ("recipe", "changes", "told"),
    [
        (GAN, {"latent_dims": 2}, "no hyper-parameter 'latent_dims'.*'latent_dim', its networks' \\(MLP\\)"),
        (GAN, {"g_lrr": 1.0}, "'g_lr', GAN's own"),
        (GAN, {"zzz": 1.0}, "GAN has: .*Its networks \\(MLP\\) have: "),
        (GAN, {"classes": 3}, "no hyper-parameter 'classes'"),
        (GAN, {"networks": "MLP"}, "networks='MLP' is no specification.*set its keys"),
        (GAN, {"sample_shape": 28}, "sample_shape=28 must be a list"),
        (LSGAN, {"c": 0.5}, "'c' any more: it is called 'target' now"),
        (LSGAN, {"loss": "minimax"}, "'loss' any more: an LSGAN has one loss"),
        (systems.recipe("digits-cgan"), {"d_pieces": 5}, "no maxout"),
        (systems.recipe("digits-cgan"), {"wrong_pair": "none"}, "'wrong_pairs', CGAN's own"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_and_whose_it_is(recipe: Any, changes: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        recipe.at("smoke", **changes)


def test_the_command_line_names_a_former_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    assert cli.main(["train", "ring-lsgan", "--profile", "smoke", "--set", "c=1", "--out", out]) == 1
    assert "it is called 'target' now" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_of_the_notes_fit_their_recipes() -> None:
    for recipe, programs in notes.NOTES.items():
        made = notes.configs(recipe)
        assert list(made) == list(programs)
        for name, changes in programs.items():
            assert all(flat(made[name])[key] == value for key, value in changes.items())


# ------------------------------------------------------------------------------------------------- records


def test_a_record_names_the_kind_of_networks_and_reads_back() -> None:
    for name in systems.names():
        recipe = systems.recipe(name)
        config = recipe.at("smoke")
        record = json.loads(json.dumps(flat(config)))
        assert record["networks"] in ("networks.MLP", "networks.ConditionalMLP", "systems.dcgan.DCGANNets")
        assert from_record(recipe.config, record, recipe.system) == config


def test_a_record_of_other_networks_of_the_package_reads_back() -> None:
    config = LSGAN.at("smoke", networks=ConditionalMLP(g_widths=(5,), d_widths=(6,)))
    record = json.loads(json.dumps(flat(config)))
    assert from_record(LSGAN.config, record, "lsgan") == config


@pytest.mark.parametrize("kind", ["__main__.Mine", "networks.Generator", "os.path", "networks", 3, "nn.MLP"])
def test_a_record_of_networks_that_are_not_to_be_had_is_told(kind: Any) -> None:
    record = {**json.loads(json.dumps(flat(GAN.at("smoke")))), "networks": kind}
    with pytest.raises(UserError, match="of a kind that this package does not have"):
        from_record(GAN.config, record, "gan")


def test_nested_lists_of_a_record_become_tuples() -> None:
    assert configs._frozen([[1, 2], [3]]) == ((1, 2), (3,))


@pytest.mark.parametrize("name", [name for name in hub.registry() if name in systems.INDEX])
def test_published_records_are_of_the_former_form_and_read(name: str) -> None:
    record = hub.read_record(hub.find(name))
    recipe = systems.recipe(name)
    config = from_record(recipe.config, record["config"], recipe.system)
    if "networks" in record["config"]:
        return  # published in today's form
    former = FORMER.get(recipe.system, configs.Former())
    read = flat(config)
    for key, value in record["config"].items():
        if key not in former.dropped:
            assert read[former.renamed.get(key, key)] == configs._frozen(value)


def published(tmp_path: Path, name: str, **changes: Any) -> Path:
    """Return a copy of a published run with its config changed; None takes a key out."""
    folder = tmp_path / name
    shutil.copytree(hub.find(name), folder)
    record = json.loads((folder / "config.json").read_text())
    record["config"] |= changes
    record["config"] = {key: value for key, value in record["config"].items() if value is not None}
    (folder / "config.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("digits-mlp", {"latent_dim": None}, "It lacks latent_dim"),
        ("digits-mlp", {"depth": 3}, "no hyper-parameter 'depth'"),
        ("digits-mlp", {"latent_dim": 65}, "does not fit its config.json"),
        ("digits-mlp", {"latent_dim": "many"}, "must be a whole number"),
        ("digits-lsgan", {"loss": "minimax"}, "loss='minimax' cannot be had"),
        ("digits-lsgan", {"c": None}, "It lacks target"),
        ("digits-cgan", {"d_pieces": 2}, "no maxout"),
    ],
)
def test_a_published_run_that_lacks_or_adds_a_field_is_told(
    name: str, changes: dict, told: str, tmp_path: Path
) -> None:
    folder = published(tmp_path, name, **changes)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(UserError, match=told):
        hub.load(folder, CPU)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_key_that_came_later_has_the_value_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {key: value for key, value in flat(GAN.at("smoke")).items() if key != "d_pieces"}
    with pytest.raises(UserError, match="It lacks d_pieces"):
        from_record(GAN.config, record, "gan")
    monkeypatch.setitem(FORMER, "gan", configs.Former(added={"d_pieces": 1}))
    assert from_record(GAN.config, record, "gan") == GAN.at("smoke")


# ------------------------------------------------------------------------------------ networks and systems


@pytest.mark.parametrize(
    ("name", "networks", "told"),
    [
        ("digits-lsgan", ConditionalMLP(d_condition="two-scores"), "returns score.*returns realism and match"),
        ("digits-lsgan", ConditionalMLP(d_condition="auxiliary"), "returns score and classes"),
        ("digits-mlp", ConditionalMLP(d_condition="auxiliary"), "returns score and classes"),
        ("digits-cgan", MLP(), "asks for a class.*have no conditions"),
    ],
)
def test_networks_that_do_not_fit_a_system_are_refused_when_it_is_built(
    name: str, networks: Networks, told: str
) -> None:
    recipe = systems.recipe(name)
    config = recipe.at("smoke", networks=networks, **({"wrong_pairs": "none"} if name == "digits-cgan" else {}))
    with pytest.raises(UserError, match=told):
        recipe.build(config, CPU)


def test_every_objective_takes_conditional_networks() -> None:
    for name in ("digits-mlp", "digits-lsgan"):
        recipe = systems.recipe(name)
        networks = ConditionalMLP(g_widths=(8, 8), d_widths=(8,))
        run = training.Run(recipe, profile="smoke", quiet=True, steps=3, networks=networks)
        run.train()
        drawn = run.system.draw(12, c=[3] * 12)
        assert drawn.x.shape == (12, 1, 28, 28) and drawn.c is not None and (drawn.c == 3).all()
        assert run.system.sheet().x.shape == (100, 1, 28, 28)
        with pytest.warns(UserWarning, match="features"):
            assert evaluation.evaluate(run.system, n=60)["label_accuracy"] is not None


def test_every_generator_and_discriminator_takes_a_condition_that_may_be_none() -> None:
    spec = MLP(g_widths=(4,), d_widths=(4,))
    z = torch.randn(3, spec.latent_dim)
    x = spec.generator()(z, None)
    assert spec.discriminator()(x, None).shape == (3,)
    auxiliary = ConditionalMLP(d_condition="auxiliary", g_widths=(4,), d_widths=(4,))
    c = torch.tensor([1, 2, 3])
    assert auxiliary.discriminator()(auxiliary.generator()(z, c), c).classes.shape == (3, 10)


def test_papers_are_found_by_the_systems_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wgan-gp` cannot be a module's name: its module is wgan_gp."""
    module: Any = ModuleType("gancourse.systems.wgan_gp")
    module.paper, module.PAPER_SOURCE = lambda: {"D": nn.Linear(2, 1)}, "a table"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(systems.INDEX, "ring-wgan-gp", ("wgan-gp", "a toy"))
    networks, source = systems.paper("wgan-gp")
    assert list(networks) == ["D"] and source == "a table"
    with pytest.raises(UserError, match="Did you mean 'wgan-gp'"):
        systems.paper("wgan_gp")


def test_the_list_leaves_room_for_any_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    long = "faces128-stylegan2-with-style-mixing"
    monkeypatch.setitem(systems.INDEX, long, ("gan", "a toy"))
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{long}  a toy") for line in lines)
    assert len({len(line) - len(line.split(maxsplit=1)[1]) for line in lines}) == 1  # titles stand in one column


@pytest.mark.parametrize("name", systems.names())
def test_modules_and_index_agree(name: str) -> None:
    word, title = systems.INDEX[name]
    recipe = systems.recipe(name)
    assert (recipe.name, recipe.title, recipe.system) == (name, title, word)
    module = systems._module(word)
    assert set(module.RECIPES) == {n for n, (w, _) in systems.INDEX.items() if w == word}
    assert not module.RECIPES[name].name and not module.RECIPES[name].title  # they stand in INDEX alone


# -------------------------------------------------------------------------------------- the table of data


def test_the_table_of_data_tells_the_truth() -> None:
    for name, row in datasets.TABLE.items():
        assert row.measure is None or row.measure in evaluation.MEASURES
        for shape in row.shapes:
            source = load_source(name, device=CPU, shape=shape, quiet=True)
            found = (2,) if source.x.ndim == 2 else (source.x.shape[3], *source.x.shape[1:3])
            assert found == shape
            assert (source.c is None) == (row.classes == 0)
            if source.c is not None:
                found = tuple((source.c.reshape(len(source.c), -1).amax(dim=0) + 1).tolist())
                assert found == (row.classes if isinstance(row.classes, tuple) else (row.classes,))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": "digitz"}, "Did you mean 'digits'"),
        ({"data": "ring"}, r"comes in the shape \(2,\), and the networks make \(1, 28, 28\)"),
        ({"sample_shape": [3, 32, 32]}, r"\(1, 28, 28\) or \(1, 32, 32\)"),
        ({"sample_shape": [1, 64, 64]}, "Set sample_shape"),
    ],
)
def test_data_that_do_not_fit_the_networks_are_told(changes: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        training.Run(GAN, profile="smoke", quiet=True, out=tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_digits_train_at_32_pixels_and_the_judge_sees_the_inner_28() -> None:
    run = training.Run(GAN, profile="smoke", quiet=True, steps=2, sample_shape=(1, 32, 32))
    assert run.source.x.shape[1:] == (32, 32, 1) and (run.source.x[:, :2] == 0).all()
    run.train()
    with pytest.warns(UserWarning, match="features"):
        report = evaluation.evaluate(run.system, n=30)
    from gancourse import images

    inner = images.to_uint8(run.system.sample(30, seed=1))[:, 2:30, 2:30]
    with pytest.warns(UserWarning, match="features"):
        assert report["digit_fid"] == metrics.digit_report(inner)["digit_fid"]


def test_data_without_a_measure_give_a_report_without_figures() -> None:
    run = training.Run(systems.recipe("ring-gan"), profile="smoke", quiet=True, steps=2, data="moons")
    assert evaluation.evaluate(run.system) == {"samples": 2_500, "sample_seed": 1}


def test_a_system_that_makes_samples_from_noise_translates_nothing() -> None:
    system = GAN.build(GAN.at("smoke"), CPU)
    with pytest.raises(UserError, match="nothing to translate"):
        system.translate(torch.zeros(1, 1, 28, 28))
    with pytest.raises(UserError, match="no conditions"):
        system.draw(3, c=[1, 2, 3])
    with pytest.raises(UserError, match="no conditions"):
        system.generate(system.noise(2), torch.tensor([1, 2]))


def test_large_samples_leave_the_generator_in_small_parts() -> None:
    """1,000 at once whatever the size would be 3 GB of 1024-pixel pictures before the first layer is done."""
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Wide(Networks):
        sample_shape: tuple[int, ...] = (3, 64, 64)

        def generator(self) -> nn.Module:
            class G(nn.Linear):
                def forward(self, z: torch.Tensor, c: None = None) -> torch.Tensor:
                    seen.append(len(z))
                    return super().forward(z).view(-1, 3, 64, 64)

            return G(self.latent_dim, self.size)

        def discriminator(self) -> nn.Module:
            return nn.Linear(1, 1)

    system = GAN.build(change(GAN.config, networks=Wide(latent_dim=2)), CPU)
    assert system.sample(200).shape == (200, 3, 64, 64)
    assert max(seen) * 3 * 64 * 64 <= 2**20 and sum(seen) == 200
    seen.clear()
    small = GAN.build(GAN.at("smoke"), CPU)
    assert small.sample(1500).shape == (1500, 1, 28, 28)  # 28 pixels: 1,000 at once, as published samples were made
