"""What an answer is given beside numbers and tensors: networks, optimisers, densities, each built from plain data.

Like `probes`, which builds them where the answer runs, this module holds no reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "softplus": nn.Softplus,
}


def build_mlp(arguments: Sequence[Any], sizes: list[int], activation: str = "tanh", seed: int = 0) -> nn.Module:
    """Return a fully connected network with weights from `seed`; ``sizes`` are its widths, inputs first."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [build_linear((), *_weights(outputs, inputs, generator)), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def build_normed_mlp(
    arguments: Sequence[Any],
    sizes: list[int],
    seed: int = 0,
    training: bool = True,
    batches: int | None = None,
    nested: bool = False,
    frozen: bool = False,
) -> nn.Module:
    """Return a network with a BatchNorm in each hidden layer that has seen so many batches of data.

    It is in train mode, or in eval; `nested` puts all but the last layer into a part; `frozen` ones take no gradient.
    """
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        norm = nn.BatchNorm1d(outputs)
        norm.running_mean = 0.5 * torch.randn(outputs, generator=generator)
        norm.running_var = 0.5 + torch.rand(outputs, generator=generator)
        norm.num_batches_tracked = torch.tensor(100 + seed % 50 if batches is None else batches)
        layers += [build_linear((), *_weights(outputs, inputs, generator)), norm, nn.Tanh()]
    layers = layers[:-2]
    if nested:
        layers = [nn.Sequential(nn.Sequential(*layers[:2]), *layers[2:-1]), layers[-1]]
    return nn.Sequential(*layers).train(training).requires_grad_(not frozen)


class Conditional(nn.Module):
    """A fully connected network of vectors and class labels, ``net(x, c)``; a single output loses its axis: (B,)."""

    def __init__(self, embed: nn.Embedding, body: nn.Module) -> None:
        super().__init__()
        self.embed, self.body = embed, body

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the outputs for x, (B, inputs), and labels c, int64 (B,)."""
        outputs = self.body(torch.cat([x, self.embed(c)], dim=1))
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs


def build_conditional_mlp(
    arguments: Sequence[Any],
    sizes: list[int],
    classes: int,
    label_dim: int = 3,
    activation: str = "tanh",
    seed: int = 0,
    stale: bool = False,
) -> nn.Module:
    """Return a network as `build_mlp` does that takes a label beside its input; `stale` leaves old gradients in it."""
    generator = torch.Generator().manual_seed(seed + 1)
    embed = nn.Embedding(classes, label_dim, _weight=torch.randn(classes, label_dim, generator=generator))
    net = Conditional(embed, build_mlp((), [sizes[0] + label_dim, *sizes[1:]], activation, seed))
    if stale:
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
    return net


def _weights(outputs: int, inputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    weight = torch.randn(outputs, inputs, generator=generator) / math.sqrt(inputs)
    return weight, 0.3 * torch.randn(outputs, generator=generator)


def build_linear(arguments: Sequence[Any], weight: Any, bias: Any = None) -> nn.Linear:
    """Return the linear layer with these weights (outputs, inputs)."""
    weight = torch.as_tensor(weight, dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)  # skip_init takes a hundred times longer
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(bias))
    return layer


class Gained(nn.Module):
    """A network within a module that has a parameter of its own, numbers whose sum is a factor for its output."""

    def __init__(self, body: nn.Module, gain: list[float]) -> None:
        super().__init__()
        self.body, self.gain = body, nn.Parameter(torch.tensor(gain))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of `gain` times body(x)."""
        return self.gain.sum() * self.body(x)


def build_gained_mlp(arguments: Sequence[Any], gain: list[float], stale: bool = False, **options: Any) -> nn.Module:
    """Return a network as `build_mlp` does within a `Gained`; `stale` leaves old gradients in it."""
    net = Gained(build_mlp((), **options), gain)
    if stale:
        for parameter in net.parameters():
            parameter.grad = torch.cos(torch.arange(parameter.numel())).view_as(parameter)
    return net


def build_optimizer(arguments: Sequence[Any], of: int, name: str = "SGD", **options: Any) -> torch.optim.Optimizer:
    """Return an optimiser of ``torch.optim`` for the parameters of the argument at position `of`."""
    return getattr(torch.optim, name)(arguments[of].parameters(), **options)


def build_mixture(arguments: Sequence[Any], means: Any, stds: Any, weights: Any) -> Callable[[Tensor], Tensor]:
    """Return the density of a mixture of normals on the line: x, any shape → p(x), the same shape."""
    mean, std, weight = (torch.as_tensor(v, dtype=torch.float32) for v in (means, stds, weights))

    def density(x: Tensor) -> Tensor:
        bumps = torch.exp(-0.5 * ((x[..., None] - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
        return (weight * bumps).sum(dim=-1)

    return density


def build_layers(arguments: Sequence[Any], layers: Sequence[Any], seed: int = 0) -> nn.Sequential:
    """Return a network of ``torch.nn``'s layers, far from any start: each parameter is drawn from N(0.5, 1).

    A layer is [name, arguments, options], or a list of layers, which becomes a network in the network.
    """
    built = [
        getattr(nn, layer[0])(*layer[1], **layer[2]) if isinstance(layer[0], str) else build_layers((), layer)
        for layer in layers
    ]
    net, generator = nn.Sequential(*built), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.5 + torch.randn(parameter.shape, generator=generator))
    return net


#: Spec kind → function of the arguments built so far and the options → the argument. New ones go here, not into a set.
BUILDERS: dict[str, Callable[..., Any]] = {
    "mlp": build_mlp,
    "critic": lambda arguments, **options: nn.Sequential(nn.Flatten(), build_mlp((), **options), nn.Flatten(0)),
    "normed_mlp": build_normed_mlp,
    "gained_mlp": build_gained_mlp,
    "conditional_mlp": build_conditional_mlp,
    "linear": build_linear,
    "optimizer": build_optimizer,
    "mixture": build_mixture,
    "layers": build_layers,
}
