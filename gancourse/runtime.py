"""Where and how a run happens: device, profile, seeds, progress bars, and writing files safely."""

from __future__ import annotations

import errno
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm as auto_tqdm
from tqdm.std import tqdm

from gancourse.errors import UserError, unknown

PROFILES = ("smoke", "cpu", "gpu")


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
    kind = name.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in available:
        raise unknown("device", name, available)
    if not available[kind]:
        raise UserError(f"Device {name!r} was asked for, but this machine has none; use --device cpu.")
    try:
        return torch.device(name)
    except RuntimeError:
        raise UserError(f"{name!r} is not a device; write cpu, cuda, cuda:1 or mps.") from None


def describe_device(where: torch.device) -> str:
    """Return the device in words, for cards and banners: ``"CUDA (Tesla T4)"`` or ``"CPU (2 threads)"``."""
    if where.type == "cuda":
        return f"CUDA ({torch.cuda.get_device_name(where)})"
    if where.type == "mps":
        return "Apple MPS"
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'s' if threads != 1 else ''})"


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's (if loaded) and PyTorch's generators, on every device, with one number.

    Raises:
        UserError: the seed is not an integer in 0 … 2**32 - 1.
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"A seed is a whole number from 0 to 2**32 - 1, got {seed!r}.")
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


def write_failed(path: Path, error: OSError) -> UserError:
    """Return the error for people that stands for an :class:`OSError` met while writing `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"The disk is full: {path} could not be written, and what was there before is unchanged. "
            "Free some space, then run the same command again with --resume."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(
            f"No permission to write {path}. Choose a folder of your own with --out, or change the permissions."
        )
    return UserError(f"Could not write {path}: {error.strerror or error}. Nothing was overwritten.")


def make_folder(path: Path) -> None:
    """Create the folder `path` with its parents.

    Raises:
        UserError: it cannot be created (no permission, full disk, or a file of that name is in the way).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"{path} is a file, but a folder is needed there. Choose another name.") from None
    except OSError as error:
        raise write_failed(path, error) from None


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never half of one.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and are then renamed.

    Raises:
        UserError: the disk is full, permission is missing, or the folder does not exist. The old file is intact.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise write_failed(path, error) from None
