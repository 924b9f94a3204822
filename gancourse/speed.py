"""How a step is computed: memory order, precision and compilation, as the switches of a run's config ask for.

None of this is a system's business, and none changes what is computed beyond rounding. A chapter's own loop has none of
it; ``gancourse bench`` says what each switch is worth on a machine.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gancourse import runtime
from gancourse.systems.base import System
from gancourse.systems.configs import Config

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class Pace:
    """The way in which the phases of a step are descended; as it is made without arguments, the plain one.

    Attributes:
        precision: what networks multiply in, torch.float32, bfloat16 or float16.
        scaler: scales losses so that gradients in float16 do not vanish; None for the others.
    """

    def __init__(self, precision: torch.dtype = torch.float32, device: torch.device | None = None) -> None:
        self.precision = precision
        self.device_type = "cpu" if device is None else device.type
        half = precision == torch.float16
        self.scaler: Any = torch.amp.GradScaler(self.device_type) if half else None

    @property
    def word(self) -> str:
        """The precision as a config names it."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self.precision, "float32")

    @property
    def plain(self) -> bool:
        """Whether everything is computed in float32."""
        return self.precision == torch.float32

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return the context in which a phase's loss is computed."""
        if self.plain:
            return contextlib.nullcontext()
        return torch.autocast(self.device_type, dtype=self.precision)

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Move the optimiser's parameters down the loss. A step whose gradients overflow float16 is left out."""
        if self.scaler is None:
            loss.backward()
            optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(optimizer)
            self.scaler.update()  # here: a phase may come several times in a step, or not at all

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the scaler; without one there is none."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)


PLAIN = Pace()


def prepare(system: System, config: Config) -> Pace:
    """Put a system's networks and averages into the order that its config asks for; return the pace of its steps."""
    if config.channels_last and system.device.type != "mps":
        for network in system.networks.values():
            if any(isinstance(module, CONVOLUTIONS) for module in network.modules()):
                network.to(memory_format=torch.channels_last)
    system.average.fused = config.fused
    return Pace(runtime.precision(config.precision, system.device), system.device)


def align(optimizer: torch.optim.Optimizer) -> None:
    """Give the optimiser's state the memory order of its parameters: fused steps read both as they lie."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def compile_networks(networks: Iterable[nn.Module], rehearse: Callable[[], None]) -> bool:
    """Compile networks in place; where that fails, leave them as they are and say so in one line.

    A compiled network keeps its name, its class and the names of its weights.

    Args:
        networks: those that the steps run.
        rehearse: runs whatever the steps run, and leaves no trace: compilation happens at the first call.

    Returns:
        Whether they are compiled now.
    """
    networks = [*networks]
    try:
        for network in networks:
            network.compile()
        rehearse()
    except Exception as error:  # compilers raise every kind
        for network in networks:
            network._compiled_call_impl = None
        if runtime.out_of_memory(error):
            raise
        cause = getattr(error, "inner_exception", error)  # of the compiler itself
        reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
        told = f"{type(cause).__name__}: {reason}"[:160]
        print(f"torch.compile failed, so the networks run uncompiled ({told}).", file=sys.stderr)
        return False
    return True
