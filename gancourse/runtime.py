"""Where and how a run happens: device, profile, seeds and progress bars. Files are written by ``gancourse.files``."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm.auto import tqdm as auto_tqdm
from tqdm.std import tqdm

from gancourse.errors import UserError, check_seed, unknown
from gancourse.files import make_folder as make_folder
from gancourse.files import write_atomic as write_atomic

PROFILES = ("smoke", "cpu", "gpu")
OTHER_NAMES = {"gpu", "nvidia", "rocm", "hip", "amd", "t4", "metal", "apple", "m1", "xpu", "tpu", "xla", "vulkan"}
"""What people call a graphics card; PyTorch, whose names ours are, has other words or none."""


def profile(name: str | None = None) -> str:
    """Return the profile in force: `name`, else ``GANCOURSE_PROFILE``, else gpu when CUDA is there, else cpu.

    ``smoke`` proves in seconds that every line runs; ``cpu`` gives a recognisable result on two cores in a few
    minutes; ``gpu`` gives a chapter's real result on a Colab T4.

    Raises:
        UserError: the name is none of the three.
    """
    name = name or os.environ.get("GANCOURSE_PROFILE") or ("gpu" if torch.cuda.is_available() else "cpu")
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return name


def device(name: str | None = None) -> torch.device:
    """Return the device to compute on: `name`, else ``GANCOURSE_DEVICE``, else CUDA, Apple's MPS, or the CPU.

    Raises:
        UserError: the device is unknown or not available on this machine.
    """
    name = name or os.environ.get("GANCOURSE_DEVICE")
    if not name:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind = name.strip().lower().split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind in OTHER_NAMES:
        kinds = " or ".join(f"--device {found}" for found in available if found != "cpu" and available[found])
        raise UserError(
            f"Unknown device {name!r}. PyTorch calls a GPU of NVIDIA's or AMD's cuda, and one of Apple's mps. "
            + (f"This machine has one: {kinds}." if kinds else "This machine has none that PyTorch can use.")
        )
    if kind not in available:
        raise unknown("device", name, available)
    if not available[kind]:
        raise UserError(f"Device {name!r} was asked for, but this machine has none; use --device cpu.")
    try:
        found = torch.device(name.strip().lower())
    except RuntimeError:
        raise UserError(f"{name!r} is not a device; write cpu, cuda, cuda:1 or mps.") from None
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if found.index is not None and found.index >= count:
        raise UserError(f"Device {name!r} was asked for, but this machine counts {kind} devices from 0 to {count - 1}.")
    return found


def describe_device(where: torch.device) -> str:
    """Return the device in words, for cards and banners: ``"CUDA (Tesla T4)"`` or ``"CPU (2 threads)"``."""
    if where.type == "cuda":
        return f"CUDA ({torch.cuda.get_device_name(where)})"
    if where.type == "mps":
        return "Apple MPS"
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'s' if threads != 1 else ''})"


PRECISIONS = ("float32", "bf16", "fp16", "auto")


def precision(name: str, where: torch.device) -> torch.dtype:
    """Return the type in which networks multiply: that of `name`, or what "auto" finds on the device.

    "auto" takes half the width where the hardware multiplies it: bfloat16 on a CPU with AVX512-BF16 or AMX and on a
    GPU of compute capability 8 or more, float16 on an older GPU, else float32.

    Raises:
        UserError: the name is none of the four.
    """
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    if name != "auto":
        return {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    if where.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(where)[0] >= 8 else torch.float16
    tests = [getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile")]
    quick = where.type == "cpu" and any(test is not None and test() for test in tests)
    return torch.bfloat16 if quick else torch.float32


@contextlib.contextmanager
def exact(where: torch.device) -> Iterator[None]:
    """Within this, networks multiply in float32 and run as they are written, not compiled.

    For what is differentiated twice: a penalty through compiled code may lose its graph, and one in half precision is
    mostly rounding.
    """
    with contextlib.ExitStack() as stack:
        if torch.is_autocast_enabled(where.type):
            stack.enter_context(torch.autocast(where.type, enabled=False))
        if "torch._dynamo" in sys.modules:  # else nothing was compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the device, or of the machine, did not suffice."""
    told = str(error)
    return (
        type(error).__name__ == "OutOfMemoryError"
        or isinstance(error, MemoryError)
        or (isinstance(error, RuntimeError) and ("can't allocate memory" in told or "out of memory" in told))
    )


def wait(where: torch.device) -> None:
    """Return when a device has done all that it was asked for; a clock that is read earlier lies."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()


def peak_memory(where: torch.device, run: Callable[[], object]) -> int | None:
    """Run something, and return how many bytes of a CUDA device it took at most on top of what was taken before.

    None on other devices, which do not count; there ``run`` is called all the same.
    """
    if where.type != "cuda":
        run()
        return None
    torch.cuda.reset_peak_memory_stats(where)
    before = torch.cuda.memory_allocated(where)
    run()
    wait(where)
    return torch.cuda.max_memory_allocated(where) - before


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's (if loaded) and PyTorch's generators, on every device, with one number.

    Raises:
        UserError: the seed is not an integer in 0 … 2**32 - 1.
    """
    seed = check_seed(seed)
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    torch.manual_seed(seed)


def generator_like(where: torch.device) -> torch.Generator:
    """Return a generator on a device that gives the numbers which torch's own would give next there."""
    states = {"cuda": lambda: torch.cuda.get_rng_state(where), "mps": torch.mps.get_rng_state}
    return torch.Generator(where).set_state(states.get(where.type, torch.get_rng_state)())


def random_state() -> dict[str, Any]:
    """Return the state of every random generator as plain values and tensors (for a checkpoint)."""
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {"python": [version, list(internal), gauss], "torch": torch.get_rng_state()}
    if "numpy" in sys.modules:
        name, keys, *rest = sys.modules["numpy"].random.get_state()
        state["numpy"] = [name, torch.from_numpy(keys.astype("int64")), *rest]
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what :func:`random_state` returned. Generators this machine lacks are passed over."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    torch.set_rng_state(state["torch"])
    if "numpy" in state and "numpy" in sys.modules:
        name, keys, *rest = state["numpy"]
        sys.modules["numpy"].random.set_state((name, keys.numpy().astype("uint32"), *rest))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


class _MatrixProducts(TorchDispatchMode):
    """Counts the multiplications of all products of two matrices inside."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            self.total += args[-2].numel() * args[-1].shape[1]
        return function(*args, **(kwargs or {}))


def multiplications(loss: Callable[[], torch.Tensor]) -> int:
    """Return how many multiplications of matrices it takes to compute a loss and its gradients.

    Args:
        loss: computes it, a scalar with a graph, from fully connected layers; its gradients are added to the weights'.
    """
    with _MatrixProducts() as counter:
        loss().backward()
    return counter.total


def progress(
    iterable: Iterable | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    desc: str = "",
    leave: bool = False,
) -> tqdm:
    """Return a tqdm bar that refreshes at most twice a second.

    It is a widget in a notebook that has them and text in a terminal; it stays silent when output goes to a file.
    ``GANCOURSE_PROGRESS=0`` silences it everywhere, ``=1`` forces it.
    """
    wish = os.environ.get("GANCOURSE_PROGRESS", "")
    in_notebook = _in_notebook()
    silent = wish == "0" or (wish != "1" and not in_notebook and not sys.stderr.isatty())
    kind = auto_tqdm if in_notebook else tqdm
    return kind(iterable, total=total, initial=initial, desc=desc, leave=leave, mininterval=0.5, disable=silent)


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel (that ipykernel is loaded says nothing)."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")
