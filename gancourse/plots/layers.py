"""The layers of a network, in the order in which they run, gathered as a drawing shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gancourse.errors import UserError
from gancourse.layers import ConditionalBatchNorm, LabelEmbedding
from gancourse.networks import Maxout

__all__ = ["Stage", "read"]

SHORT = {
    "BatchNorm1d": "BatchNorm",
    "BatchNorm2d": "BatchNorm",
    "ConditionalBatchNorm": "cond. BatchNorm",
    "LayerNorm": "LayerNorm",
    "Conv2d": "Conv",
    "ConvTranspose2d": "Transp. conv",
}
SILENT = (nn.Identity, nn.Flatten, nn.Unflatten)
WHOLE = (Maxout, LabelEmbedding, ConditionalBatchNorm)  # drawn as one layer, whatever is inside


@dataclass
class Stage:
    """One box of a network.

    Attributes:
        name: its layers in words, the one with weights first.
        shape: sizes of one sample, "64 → 128".
        condition: whether the condition enters here.
    """

    name: str
    shape: str = ""
    condition: bool = False
    extras: list[str] = field(default_factory=list)


def layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the innermost layers of a network; a parametrised layer, such as one under spectral norm, is one."""
    children = [child for name, child in network.named_children() if name != "parametrizations"]
    if not children or isinstance(network, WHOLE):
        yield network
        return
    for child in children:
        yield from layers(child)


def sizes(tensor: Tensor) -> str:
    """Return the shape of one sample in words."""
    return " × ".join(str(size) for size in tensor.shape[1:]) or "1"


def read(network: nn.Module, inputs: Any = None) -> list[Stage]:
    """Return the stages of a network, from input to output, as one run on zeros passes them.

    Args:
        inputs: a batch, or a tuple of what the network is called with; None guesses.

    Raises:
        UserError: the input is not known, or the network fails on it.
    """
    given = _guess(network) if inputs is None else inputs if isinstance(inputs, tuple) else (inputs,)
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda module, into, out: calls.append((module, into[0], out)))
        for layer in dict.fromkeys(layers(network))
    ]
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            result = network(*given)
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise UserError(
            f"{type(network).__name__} fails on an input of shape {tuple(given[0].shape)} ({error}). "
            "Give what it is called with as inputs=[…], one entry for each network."
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    stages = [Stage("", sizes(given[0])), *_gather(calls)]
    if isinstance(result, tuple):
        names = getattr(result, "_fields", ["output"] * len(result))
        last = Stage("", "\n".join(f"{name}: {sizes(part)}" for name, part in zip(names, result, strict=True)))
    else:
        last = Stage("", sizes(result))
    last.condition = any(isinstance(layer, LabelEmbedding) for layer, _, _ in calls[-1:])
    return [*stages, last]


def _gather(calls: list[tuple[nn.Module, Tensor, Tensor]]) -> list[Stage]:
    """Return a stage for every layer with weights.

    A second layer on the same input goes into the box of the first; a layer that goes back to an earlier output is
    named there as a branch.
    """
    stages: list[Stage] = []
    entering = False
    last_input: Tensor | None = None
    made: dict[int, int] = {}  # id of an output, kept alive by `calls` → its stage
    for layer, into, out in calls:
        if isinstance(layer, LabelEmbedding):
            entering = True
            continue
        if isinstance(layer, SILENT):
            continue
        kind = type(layer).__name__
        kind = kind.removeprefix("Parametrized")
        words = SHORT.get(kind, kind)
        if isinstance(layer, nn.Linear | Maxout) or kind.startswith("Conv"):
            shape = f"{sizes(into)} → {sizes(out)}"
            if stages and last_input is into:
                stages[-1].shape += f"\n{words} {shape}"
                continue
            parent = made.get(id(into), len(stages) - 1)
            if parent < len(stages) - 1:
                stages[parent].extras.append(f"branch: {words} {shape}")
                continue
            spectral = nn.utils.parametrize.is_parametrized(layer)
            stages.append(Stage(words, shape, entering, ["spectral norm"] if spectral else []))
            entering, last_input = False, into
            made[id(out)] = len(stages) - 1
        elif stages:
            stages[-1].extras.append(words)
            stages[-1].condition |= isinstance(layer, ConditionalBatchNorm)
            made[id(out)] = len(stages) - 1
        else:
            stages.append(Stage(words, sizes(out)))
    for stage in stages:
        stage.name += ("\n" if "×" in stage.shape else " ") + stage.shape  # maps need a line of their own
        stage.shape = ",\n".join(", ".join(pair) for pair in _pairs(stage.extras))
    return stages


def _pairs(words: list[str]) -> list[list[str]]:
    """Break a list of words into lines of at most 18 letters."""
    rows: list[list[str]] = []
    for word in words:
        if rows and len(", ".join([*rows[-1], word])) <= 18:
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows


def _guess(network: nn.Module) -> tuple[Tensor, ...]:
    """Return zeros, and labels if the network takes any, whose size is that of its first linear layer."""
    found = list(layers(network))
    first = next((layer for layer in found if isinstance(layer, nn.Linear | Maxout)), None)
    if first is None or any(isinstance(layer, nn.modules.conv._ConvNd) for layer in found):
        raise UserError(
            f"The input of {type(network).__name__} is not known from its layers. Give what it is called with as "
            "inputs=[…], one entry for each network, such as inputs=[torch.zeros(2, 64), torch.zeros(2, 1, 28, 28)]."
        )
    linear = first.linear if isinstance(first, Maxout) else first
    weight = next(network.parameters())
    width = linear.in_features
    labels = [layer for layer in found if isinstance(layer, LabelEmbedding | ConditionalBatchNorm)]
    if not labels:
        return (torch.zeros(2, width, dtype=weight.dtype, device=weight.device),)
    c = torch.zeros(2, dtype=torch.long, device=weight.device)
    widths = [width, *(width - layer.embedding_dim for layer in labels if isinstance(layer, LabelEmbedding))]
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        for size in widths:  # the learned vector of a class may be joined to the input
            if size > 0:
                x = torch.zeros(2, size, dtype=weight.dtype, device=weight.device)
                try:
                    with torch.no_grad():
                        network(x, c)
                    return x, c
                except RuntimeError:
                    continue
    finally:
        for module, training in modes:
            module.training = training
    raise UserError(f"The input of {type(network).__name__} is not known; give inputs=[(z, c), …].")
