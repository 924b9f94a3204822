"""Mistakes that no CPU notices: toy systems with code that fails on a GPU, or makes it wait.

Each says who finds it: ``devices.exercise`` ("run"), ``devices.read`` ("read"), both or neither. ``test_devices.py``
asserts just that.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse.networks import MLP, ConditionalMLP
from gancourse.systems.base import Drawn, Sheet
from gancourse.systems.cgan import CGAN, CGANConfig
from gancourse.systems.gan import GAN, GANConfig

SIZES: dict[str, Any] = {"latent_dim": 3, "sample_shape": (2,), "g_widths": (4,), "d_widths": (4,), "output": "linear"}
CONFIG = GANConfig(networks=MLP(**SIZES), data="ring", batch_size=6, steps=3)
CLASSES = 8
CONDITIONAL = CGANConfig(networks=ConditionalMLP(classes=CLASSES, **SIZES), data="ring", batch_size=6, steps=3)

PLANTED: dict[type[GAN], set[str]] = {}
"""System → who finds its mistake."""


def found_by(*who: str) -> Callable[[type[GAN]], type[GAN]]:
    def note(system: type[GAN]) -> type[GAN]:
        PLANTED[system] = set(who)
        return system

    return note


class InLoss(GAN):
    """A GAN whose D has one more term, `term`; it stands for a penalty, a margin, a mask."""

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        return super().d_loss(x, fake, c) + 1e-3 * self.term(x).mean()

    def term(self, x: Tensor) -> Tensor:
        raise NotImplementedError


# ----------------------------------------------------------------------------------------- factories in a loss


@found_by("run", "read")
class MaskOfOnes(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.ones(len(x)) * self.D(x)


@found_by("run", "read")
class OneHotByEye(CGAN):
    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        return super().d_loss(x, fake, torch.eye(CLASSES)[c])


@found_by("run", "read")
class Constant(InLoss):
    """Legal on a GPU, where a single number may come from the CPU; it is copied at every step."""

    def term(self, x: Tensor) -> Tensor:
        return torch.tensor(0.5) * self.D(x)


@found_by("run", "read")
class ScalarTensor(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.scalar_tensor(0.5) * self.D(x)


@found_by("run", "read")
class Interpolation(InLoss):
    def term(self, x: Tensor) -> Tensor:
        eps = torch.rand(len(x), 1)
        return self.D(eps * x + (1 - eps) * x.flip(0))


@found_by("run", "read")
class Positions(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.arange(len(x)) * self.D(x)


@found_by("run", "read")
class TargetsInFull(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.D(x), torch.full((len(x),), 0.9))


@found_by("run", "read")
class NormalWithSize(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x + torch.normal(0.0, 1.0, size=(len(x), 2)))


@found_by("run", "read")
class ListOfLosses(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.tensor([0.1 * i for i in range(len(x))]) * self.D(x)


@found_by("run", "read")
class ListOfTensors(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.as_tensor([row.mean() for row in x.detach()]) * self.D(x)


@found_by("run", "read")
class ArrayAsTensor(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.as_tensor(np.hanning(len(x)), dtype=x.dtype) * self.D(x)


@found_by("run", "read")
class Shuffled(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x[torch.randperm(len(x))])


@found_by("run", "read")
class Pairs(InLoss):
    def term(self, x: Tensor) -> Tensor:
        first, second = torch.triu_indices(len(x), len(x), offset=1)
        return (x[first] - x[second]).square() + self.D(x).mean()


@found_by("run", "read")
class FilledLater(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x + torch.empty(len(x), 2).uniform_())


@found_by("run", "read")
class MadeThenMoved(InLoss):
    """Runs on a GPU, by way of the CPU: counted as a mistake, for ``device=`` says the same and does not wait."""

    def term(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x)).to(self.device) + self.D(x)


@found_by("run", "read")
class OwnGenerator(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x + torch.randn(len(x), 2, generator=torch.Generator().manual_seed(0)))


@found_by("run", "read")
class NoneForADevice(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), device=None) * self.D(x)


@found_by("run", "read")
class NestedHelpers(InLoss):
    def term(self, x: Tensor) -> Tensor:
        def weights(n: int) -> Tensor:
            def ramp(k: int) -> Tensor:
                return torch.linspace(0, 1, k)

            return ramp(n)

        return weights(len(x)) * self.D(x)


@found_by("run", "read")
class HandedOn(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.stack([*map(torch.tensor, [0.1] * len(x))]) * self.D(x)


@found_by("run", "read")
class AnotherName(InLoss):
    def term(self, x: Tensor) -> Tensor:
        make = torch.ones
        return make(len(x)) * self.D(x)


# -------------------------------------------------------------------------------------- factories elsewhere


@found_by("run", "read")
class Noise(GAN):
    def noise(self, n: int) -> Tensor:
        return torch.randn(n, self.spec.latent_dim)


@found_by("run", "read")
class Pool(GAN):
    """A pool of earlier fakes, from which D is shown some again."""

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.pool: Tensor | None = None

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        self.pool = fake if self.pool is None else self.pool
        return super().d_loss(x, self.pool[torch.randint(len(self.pool), (len(fake),))], c)


@found_by("run", "read")
class LoadedState(GAN):
    def extra_state(self) -> dict[str, Any]:
        return {"mean": None}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.mean = torch.zeros(2) if state["mean"] is None else state["mean"]


@found_by("run", "read")
class Drawing(GAN):
    def draw(self, n: int, *, seed: int = 0, c: object = None) -> Drawn:
        return Drawn(self.generate(torch.randn(n, 3, generator=torch.Generator("cpu").manual_seed(seed))))


@found_by("run", "read")
class SheetOfLines(GAN):
    def sheet(self, *, seed: int = 0, columns: int = 10) -> Sheet:
        return Sheet(self.generate(torch.linspace(-1, 1, columns)[:, None].expand(-1, 3)), 0)


@found_by("run", "read")
class FadingIn(GAN):
    def start_step(self, step: int) -> None:
        super().start_step(step)
        self.alpha = torch.tensor(step / self.config.steps)


@found_by("run", "read")
class Schedule(GAN):
    """A system is no module: nothing moves what it holds."""

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.rates = torch.logspace(-3, -4, config.steps)


@found_by("run", "read")
class ClippingAfter(GAN):
    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.phases[0].after = self.clip

    def clip(self) -> None:
        for parameter in self.D.parameters():
            parameter.data.copy_(torch.minimum(parameter.data, torch.full(parameter.shape, 0.5)))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(2))  # a constructor may
        self.linear = nn.Linear(2, 1)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        return self.linear(x * self.scale).squeeze(1)


class WithNetwork(GAN):
    """A GAN with a D of its own."""

    network: type[nn.Module] = Network

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.D = self.networks["D"] = self.made(device)
        self.phases[0] = type(self.phases[0])("d", self.d_phase, self.optimizer(self.D, config.d_lr))

    def made(self, device: torch.device) -> nn.Module:
        return self.network().to(device)


@found_by("run", "read")
class InForward(WithNetwork):
    class network(Network):
        def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
            return super().forward(x + torch.randn(x.shape))


# ----------------------------------------------------------------------------------------- seen only by running


@found_by("run")
class ByAName(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return getattr(torch, "on" + "es")(len(x)) * self.D(x)


@found_by("run")
class OptionsInADictionary(InLoss):
    def term(self, x: Tensor) -> Tensor:
        options = {"dtype": x.dtype}
        return torch.ones(len(x), **options) * self.D(x)


@found_by("run")
class Distribution(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x + torch.distributions.Normal(0.0, 1.0).sample((len(x), 2)))


@found_by("run")
class MaskOfTorch(InLoss):
    def term(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(len(x))
        return self.D(x).masked_fill(mask[0] < 0, 0.0)


@found_by("run")
class NetworkInALoss(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return nn.Linear(2, 1)(x)


@found_by("run")
class NotMoved(GAN):
    """It says where, and forgets the way back."""

    @torch.no_grad()
    def draw(self, n: int, *, seed: int = 0, c: object = None) -> Drawn:
        z = torch.randn(n, 3, device="cpu", generator=torch.Generator("cpu").manual_seed(seed))
        return Drawn(self.average.module(z))


@found_by("run")
class MeanOnTheCPU(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x - x.mean(dim=0).cpu())


@found_by("run")
class ArrayInALoss(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.as_tensor(np.sort(x, axis=0), device=self.device) * self.D(x)[:, None]


@found_by("run")
class TimesAnArray(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x).detach() * np.hanning(len(x))


@found_by("run")
class NetworkNotMoved(WithNetwork):
    def made(self, device: torch.device) -> nn.Module:
        return self.network()


@found_by("run")
class NoBuffer(WithNetwork):
    """Constructors may make what they like, but ``to`` moves parameters and buffers only."""

    class network(Network):
        def __init__(self) -> None:
            super().__init__()
            self.mask = torch.ones(2)

        def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
            return super().forward(x * self.mask)


# ----------------------------------------------------------------------------------------- seen only by reading


@found_by("read")
class Legacy(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return Tensor(np.hanning(len(x))) * self.D(x)


@found_by("read")
class LegacyType(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.FloatTensor([0.5] * len(x)) * self.D(x)


@found_by("read")
class FromNumPy(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.hanning(len(x))) * self.D(x)


@found_by("read")
class ToNumPyOnPurpose(InLoss):
    """It runs on a GPU, and waits for it at every step."""

    def term(self, x: Tensor) -> Tensor:
        return self.D(x) * float(np.median(x.cpu().numpy()))


@found_by("read")
class LateBranch(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x) if self.step < 10**6 else torch.zeros(1)


@found_by("read")
class BranchOfAnotherDevice(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x) if self.device.type == "cpu" else self.D(x) * torch.ones(len(x))


@found_by("read")
class MovedToCuda(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x) if x.device.type == "cpu" else self.D(x.cuda())


@found_by("read")
class CudaByName(InLoss):
    def term(self, x: Tensor) -> Tensor:
        return self.D(x) if x.device.type == "cpu" else self.D(x.to("cuda"))


@found_by("read")
class DeviceForEverything(InLoss):
    def term(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            torch.set_default_device(x.device)
        return self.D(x)


@found_by("read")
class DeviceForABlock(InLoss):
    """The block's device becomes the factory's: it is an object, and might be the system's."""

    def term(self, x: Tensor) -> Tensor:
        with torch.device("cpu"):
            return torch.ones(len(x)) * self.D(x)


@found_by("read")
class AtImport(InLoss):
    weight = torch.ones(2)

    def term(self, x: Tensor) -> Tensor:
        return self.D(x * self.weight)


@found_by("read")
class DefaultArgument(InLoss):
    def term(self, x: Tensor, weight: Tensor = torch.ones(2)) -> Tensor:  # noqa: B008
        return self.D(x * weight)


@found_by("read")
class OwnBackward(InLoss):
    """The backward pass runs outside of torch's modes."""

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return torch.full(gradients[0].shape, 2.0) * gradients[0]

    def term(self, x: Tensor) -> Tensor:
        return self.Doubled.apply(self.D(x))


@found_by("read")
class AnotherThread(InLoss):
    """Modes belong to a thread."""

    def term(self, x: Tensor) -> Tensor:
        made: list[Tensor] = []
        thread = threading.Thread(target=lambda: made.append(torch.ones(len(x))))
        thread.start()
        thread.join()
        return made[0] * self.D(x)


# -------------------------------------------------------------------------------------------- seen by neither


@found_by()
class GeneratorOfTheCPU(InLoss):
    """Refused by a GPU: generator and tensor must be of one device. Here both are of the CPU."""

    def term(self, x: Tensor) -> Tensor:
        return self.D(x + torch.randn(x.shape, device=self.device, generator=torch.Generator().manual_seed(0)))


@found_by()
class DeviceAsAnObject(InLoss):
    """``torch.device("cpu")`` is what the system's device is here, too; only text is known to be meant."""

    def term(self, x: Tensor) -> Tensor:
        return self.D(x) * torch.ones(len(x), device=torch.device("cpu"))


@found_by()
class WeightsOfAFile(InLoss):
    """Another package makes the tensors, by ways that ask no mode."""

    def term(self, x: Tensor) -> Tensor:
        return self.D(x * safetensors.torch.load(FILE)["scale"])


FILE = safetensors.torch.save({"scale": torch.ones(2, device="cpu")})


@functools.cache
def _window(n: int) -> Tensor:
    return torch.as_tensor(np.hanning(n), device="cpu")


_window(CONFIG.batch_size)  # as an earlier test would have called it


@found_by()
class Remembered(InLoss):
    """A cached function made its tensor before anyone watched; the first call would have been seen."""

    def term(self, x: Tensor) -> Tensor:
        return self.D(x) * _window(len(x))


# --------------------------------------------------------------------------------------------------- sound code


class Sound(CGAN):
    """What may be done: nobody is to find anything in it."""

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.phases[0].after = self.clip
        self.pool = torch.zeros(4, 2, device=device)
        self.embed = Network().to(device)

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        assert c is not None
        n = len(x)
        eps = torch.rand(n, 1, device=x.device, generator=self.random)
        mixed = torch.lerp(x, fake, eps) + x.new_zeros(n, 2) + torch.randn_like(x) * x.new_tensor([0.1, 0.2])
        normal = torch.normal(torch.zeros_like(x), torch.ones_like(x))
        normal = normal + torch.distributions.Normal(x.mean(dim=0), x.std(dim=0)).sample((n,))
        one_hot = F.one_hot(c, CLASSES).to(x.dtype)
        order = torch.randperm(n, device="cpu").to(self.device)
        index = torch.arange(2, out=torch.empty(2, dtype=torch.long, device=x.device))
        half = torch.ones((), device="cpu")  # a single number may come from the CPU
        extra = self.D(mixed[order][:, index] + normal, one_hot) * half + self.embed(x)
        chosen = int(torch.randint(4, (1,), device="cpu"))
        return super().d_loss(x, fake, c) + extra.mean() + self.pool[chosen].sum() + float(np.sqrt(n))

    def clip(self) -> None:
        with torch.no_grad():
            for parameter in self.D.parameters():
                parameter.clamp_(-1, 1)

    def extra_state(self) -> dict[str, Any]:
        return {"pool": self.pool.cpu()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.pool = state["pool"].to(self.device)
