"""Hyper-parameters: what every system has, the game of two players, and recipes at three profiles.

A config is a frozen dataclass. That of a game holds `networks`, a specification with keys of its own. For people the
keys are flat: ``--set g_widths=[64,64]``, ``recipe.at(g_widths=(64, 64))`` and ``config.json`` say nothing of whose a
key is.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import torch

from gancourse import runtime
from gancourse.errors import UserError, check_real, check_switch, check_whole, unknown
from gancourse.networks import Networks


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hyper-parameters that every system has; each system's own config adds the paper's.

    Attributes:
        data: name of the training data.
        steps: generator updates to make.
        batch_size: samples per update.
        log_every, sample_every, checkpoint_every: distances in steps.
        channels_last: keep the weights of convolutions, and so their maps, with the channels of a pixel side by side;
            convolutional systems set it.
        fused: move all tensors of an optimiser, and of the average, by one call.
        precision: what networks multiply in: "float32", "bf16", "fp16" (with a scaled loss), or "auto", the fastest of
            these that the device has. Losses and penalties stay in float32.
        compile: run the networks through ``torch.compile``, unless that fails.

    The last four change how a step is computed, not what: results differ by rounding, and equal settings give equal
    bytes. ``gancourse bench`` measures what each is worth on a machine.
    """

    data: str = "digits"
    steps: int = 1000
    batch_size: int = 64
    log_every: int = 50
    sample_every: int = 500
    checkpoint_every: int = 500
    channels_last: bool = False
    fused: bool = True
    precision: str = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("channels_last", "fused", "compile"):
            check_switch(name, getattr(self, name))
        if self.precision not in runtime.PRECISIONS:
            raise unknown("precision", str(self.precision), runtime.PRECISIONS)
        if not isinstance(self.data, str):
            raise UserError(f"data={self.data!r} must be the name of a data set, such as data=ring.")
        for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every"):
            check_whole(name, getattr(self, name), 1, 10**9)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one sample that the networks take; None: the data's own."""
        return None


@dataclass(frozen=True, kw_only=True)
class Adversarial(Config):
    """The game: who plays, how often and how fast. Objectives add their own constants.

    A field of the networks may be read by its flat name: ``config.latent_dim`` is ``config.networks.latent_dim``.

    Attributes:
        networks: a specification that builds G and D, such as :class:`gancourse.networks.MLP`.
        k: discriminator updates per generator update (Algorithm 1 of Goodfellow et al. 2014).
        g_lr, d_lr, beta1, beta2: Adam's (Kingma & Ba 2015).
        averaging: decay of the averaged generator.
        lr_decay_from: share of the steps after which both rates fall linearly, to 0 at the last; 1: they stay.
    """

    networks: Networks
    k: int = 1
    g_lr: float = 2e-4
    d_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    averaging: float = 0.999
    lr_decay_from: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("k", self.k, 1, 100)
        check_real("lr_decay_from", self.lr_decay_from, 0.0, 1.0 + 1e-9)
        for name, high in (("g_lr", 10.0), ("d_lr", 10.0), ("beta1", 1.0), ("beta2", 1.0), ("averaging", 1.0)):
            check_real(name, getattr(self, name), 0.0, high)
        _check_specification(self.networks)
        if both := {f.name for f in fields(self)} & {f.name for f in fields(self.networks)}:
            raise TypeError(f"{', '.join(both)}: a key belongs to the game or to its networks, not to both.")
        if self.batch_size < self.networks.smallest_batch:
            raise UserError("BatchNorm needs at least 2 samples in a batch: set batch_size=2 or more, or g_norm=none.")

    def rate(self, step: int) -> float:
        """Return the share of the learning rates that is left at `step`, counted from 0."""
        start = self.lr_decay_from * self.steps
        return 1.0 if step <= start else (self.steps - step) / (self.steps - start)

    def __getattr__(self, name: str) -> Any:  # asked only for what the game does not have
        networks = self.__dict__.get("networks")
        if networks is None or name.startswith("__"):
            raise AttributeError(name)
        if not hasattr(networks, name):
            raise AttributeError(f"Neither {type(self).__name__} nor its networks ({kind(networks)}) have {name!r}.")
        return getattr(networks, name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.networks.sample_shape


def _check_specification(networks: Any) -> None:
    if not isinstance(networks, Networks):
        raise UserError(
            f"networks={networks!r} is no specification of networks. In Python give one, such as MLP(latent_dim=64); "
            "on the command line set its keys, such as g_widths=[256,512]."
        )


# ------------------------------------------------------------------------------------------------- flat keys


@dataclass(frozen=True)
class Former:
    """Keys of a system's config in earlier versions, as published runs and people's notes still have them.

    Attributes:
        renamed: former key → today's.
        dropped: former key → the only value it may have had, and why it is gone.
        added: key that came later → what was done before it existed.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)


_BEFORE_DECAY = {"lr_decay_from": 1.0}

FORMER = {
    "gan": Former(added=_BEFORE_DECAY),
    "lsgan": Former(
        renamed={"c": "target"},
        dropped={"loss": ("least squares", "an LSGAN has one loss; its targets are a, b and target")},
        added=_BEFORE_DECAY,
    ),
    "cgan": Former(
        dropped={"d_pieces": (1, "the conditional discriminators have no maxout")},
        added=_BEFORE_DECAY,
    ),
}
"""System → its former keys. A new entry keeps old runs loadable."""
EVERY = {"channels_last": False, "fused": True, "precision": "float32", "compile": False}
"""Key of every system that came later → what was done before it existed."""


def as_before(record: Mapping[str, Any], system: str) -> dict[str, Any]:
    """Return a record with what was done before some keys existed, for those that it lacks."""
    return {**EVERY, **FORMER.get(system, Former()).added, **record}


def keys(config: Any) -> tuple[list[str], list[str]]:
    """Return the flat keys of a config: its own, and those of its networks."""
    own = [f.name for f in fields(config)]
    if "networks" not in own:
        return own, []
    own.remove("networks")
    return own, [f.name for f in fields(config.networks)]


def change(config: Any, *, system: str = "", **changes: Any) -> Any:
    """Return `config` with flat `changes`: a key belongs to the game or, if not, to its networks.

    `networks` may be among them; the other keys then speak of the new networks.

    Args:
        system: the system's word, to know its former keys by.

    Raises:
        UserError: a key of neither (the nearest is named, and whose it is), or a value out of range.
    """
    if "networks" in changes and "networks" in config.__dict__:
        networks = changes.pop("networks")
        _check_specification(networks)
    else:
        networks = config.__dict__.get("networks")
    own = {f.name for f in fields(config)} - {"networks"}
    theirs = {f.name for f in fields(networks)} if networks is not None else set()
    for key in changes:
        if key not in own | theirs:
            raise UserError(_unknown_key(config, networks, key, own, theirs, FORMER.get(system, Former())))
    settled = {key: _frozen(value) for key, value in changes.items()}
    if networks is not None:
        inner = {key: settled.pop(key) for key in [*settled] if key not in own}
        settled["networks"] = replace(networks, **inner)
    return replace(config, **settled)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _unknown_key(config: Any, networks: Any, key: str, own: set[str], theirs: set[str], former: Former) -> str:
    game, pair = type(config).__name__.removesuffix("Config"), type(networks).__name__
    if key in former.renamed:
        return f"{game} has no hyper-parameter {key!r} any more: it is called {former.renamed[key]!r} now."
    if key in former.dropped:
        return f"{game} has no hyper-parameter {key!r} any more: {former.dropped[key][1]}."
    whose = {**dict.fromkeys(theirs, f"its networks' ({pair})"), **dict.fromkeys(own, f"{game}'s own")}
    found = difflib.get_close_matches(key, whose, n=1, cutoff=0.5)
    guess = f" Did you mean {found[0]!r}, {whose[found[0]]}?" if found else ""
    told = f" Its networks ({pair}) have: {', '.join(sorted(theirs))}." if theirs else ""
    return f"{game} has no hyper-parameter {key!r}.{guess} {game} has: {', '.join(sorted(own))}.{told}"


def flat(config: Any) -> dict[str, Any]:
    """Return what config.json holds: the game's keys, the kind of its networks, and their keys beside them."""
    own, theirs = keys(config)
    values = {key: getattr(config, key) for key in own}
    if "networks" in config.__dict__:
        values["networks"] = kind(config.networks)
        values |= {key: getattr(config.networks, key) for key in theirs}
    return values


def kind(networks: Networks) -> str:
    """Return the kind of a specification, by which a record names it: ``"networks.MLP"``."""
    return f"{type(networks).__module__}.{type(networks).__qualname__}".removeprefix("gancourse.")


def _of_kind(name: Any) -> Networks:
    """Return the specification that a record names, with its standard values."""
    module, _, attribute = str(name).rpartition(".")
    try:
        found = getattr(importlib.import_module(f"gancourse.{module}"), attribute)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Networks) and is_dataclass(found)):
        raise UserError(
            f"Its networks are of a kind that this package does not have: {name!r}. Build the system in Python with "
            "recipe.at(networks=…), and load the weights into it."
        )
    return found()


def from_record(config: Any, record: Mapping[str, Any], system: str) -> Any:
    """Return the config that a ``config.json`` describes.

    Args:
        config: the recipe's.
        record: flat keys; those of the form before networks had a kind of their own are read too.
        system: the system's word, see :data:`FORMER`.

    Raises:
        UserError: a key too many or too few, a value out of range, or networks of a kind that is not to be had.
    """
    changes, former = dict(record), FORMER.get(system, Former())
    for key, (only, why) in former.dropped.items():
        if key in changes and key not in keys(config)[0] and changes.pop(key) != only:
            raise UserError(f"{key}={record[key]!r} cannot be had: {why}.")
    for old, new in former.renamed.items():
        if old in changes:
            changes[new] = changes.pop(old)
    named = changes.pop("networks", None)
    if "networks" in config.__dict__ and named not in (None, kind(config.networks)):
        config = replace(config, networks=_of_kind(named))
    own, theirs = keys(config)
    later = as_before({}, system)
    changes = {**{key: value for key, value in later.items() if key in own + theirs}, **changes}
    if missing := [key for key in own + theirs if key not in changes]:
        raise UserError(f"It lacks {', '.join(missing)}.")
    return change(config, system=system, **changes)


# --------------------------------------------------------------------------------------------------- recipes


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A system, its data and its hyper-parameters at each of the three profiles.

    Name, title and system's word stand in ``gancourse.systems.INDEX`` alone; :func:`gancourse.systems.recipe` fills
    them in. A name reads ``<data>-<system>``, with two exceptions: ``digits-mlp``, the fully connected GAN of chapter
    2, and ``faces32-smile``, a DCGAN. Nothing is derived from a name.

    Attributes:
        config: the hyper-parameters of the gpu profile, unless a profile says otherwise.
        build: makes the system from a config and a device.
        profiles: what each profile changes.
        minutes: expected minutes per profile, as text.
        band: the expected result per profile, as text.
        name: it also names the reference run.
        title: one line in words.
        system: the system's word.
    """

    config: Any
    build: Callable[[Any, torch.device], Any]
    profiles: Mapping[str, Mapping[str, Any]]
    minutes: Mapping[str, str] = field(default_factory=dict)
    band: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    system: str = ""

    def at(self, profile: str | None = None, **changes: Any) -> Any:
        """Return the config at `profile` (default: the one in force) with `changes` on top.

        The profile is applied first, then the changes on its result.

        Raises:
            UserError: a change names no hyper-parameter, or its value is out of range.
        """
        config = change(self.config, **self.profiles[runtime.profile(profile)])
        return change(config, system=self.system, **changes)

    def banner(self, profile: str | None = None, *, config: Any = None, device: torch.device | None = None) -> str:
        """Return device, profile, expected minutes and expected band as a few lines of text.

        Args:
            profile: default the one in force.
            config: what is really trained, where it is not the profile's; then minutes and band are the recipe's own.
            device: default the one in force.
        """
        name = runtime.profile(profile)
        own = self.at(name)
        config = own if config is None else config
        whose = "" if config == own else " (without your changes)"
        return "\n".join(
            [
                f"recipe   {self.name}: {self.title}",
                f"device   {runtime.describe_device(device or runtime.device())}",
                f"profile  {name}: {config.steps:,} steps",
                f"expect   {self.minutes.get(name, 'not measured')}{whose}",
                f"band     {self.band.get(name, 'not stated for this profile')}{whose}",
            ]
        )
