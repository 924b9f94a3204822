"""One answer, run in a process of its own: the side that asks, and reads what comes back without believing it."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gancourse.errors import UserError
from gancourse.grading import isolation, reading
from gancourse.grading.isolation import Limits

MAX_RESULT = 16 * 2**20
"""Bytes that an answer's results may have as JSON; what is longer is not read to its end."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk that is full."""

QUIET = {"PYTHONWARNINGS": "ignore", "TORCH_CPP_LOG_LEVEL": "ERROR"}
"""What a stranger's answer makes PyTorch warn of is nothing for the person who grades."""

START_SECONDS = 180.0
GRACE = 2.0
READY = b"confined\n"
"""As in `zygote`, which this side does not import, since that loads torch."""


@dataclass(frozen=True)
class Outcome:
    """What one run gave.

    Args:
        why: ``ended`` (by itself), ``wall``, ``cpu``, ``memory`` (over its limit), ``output`` (wrote too much).
        code: exit code; negative: the signal.
        text: what it wrote, decoded; to be read with suspicion.
        seconds: by the clock; `cpu` processor time. The clean parent has measured both.
    """

    why: str
    code: int
    text: str
    seconds: float
    cpu: float


class Broken(Exception):
    """The clean parent is gone, or could not confine its child. No fault of an answer."""


@dataclass
class Sandbox:
    """A clean parent and what is asked of it. A context manager.

    Args:
        uid: the user that answers run as; None: the user that grades.
    """

    uid: int | None = None
    limits: Limits = field(default_factory=Limits)
    in_force: list[str] = field(default_factory=list)
    program: tuple[str, ...] = ("-m", "gancourse.grading.zygote")
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _number: int = 0

    def __enter__(self) -> Sandbox:
        """Start the clean parent, unless it runs."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start the clean parent.

        Raises:
            Broken: it did not come up.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, *self.program, str(its.fileno())]
        command.append("-" if self.uid is None else str(self.uid))
        with its:
            self._process = subprocess.Popen(
                command,
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
            )
        self._control = mine
        self.in_force = self._receive(START_SECONDS)["in_force"]

    def stop(self) -> None:
        """End the clean parent; its child ends with it."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._control = None

    def run(self, code: Sequence[tuple[str, str]], answer: str, cases: str, probe: str, wall: float = 0) -> Outcome:
        """Run pieces of code (source, label), then exercise the name `answer` on cases (JSON).

        Raises:
            Broken: something of the sandbox failed. The next call starts it again.
        """
        request = {"code": list(code), "answer": answer, "cases": cases, "probe": probe}
        limits = self.limits
        if wall:
            limits = Limits(**{**asdict(limits), "wall": wall, "cpu": max(limits.cpu, int(wall) + 1)})
        return self._ask(request, limits)

    def report(self, paths: Mapping[str, str], look: bool = False) -> dict[str, Any]:
        """Return what a child can do here: its user, and which of these paths it can read or write.

        Args:
            look: let it search for right answers as well, in all that it sees of Python and the system.
        """
        limits = Limits(**{**asdict(self.limits), "wall": START_SECONDS, "cpu": int(START_SECONDS)})
        below = (["/"] if "files" in self.in_force else isolation.shown()) if look else []
        return json.loads(self._ask({"paths": dict(paths), "look": below}, limits).text)

    def read(self, path: str, names: Sequence[str]) -> Outcome:
        """Read a notebook and find these answers; see `reading`.

        Raises:
            OSError: the file cannot be opened.
            Broken: something of the sandbox failed.
        """
        with open(path, "rb") as file:
            return self._ask({"names": list(names)}, reading.LIMITS, file.fileno())

    def _ask(self, request: dict[str, Any], limits: Limits, *handed: int) -> Outcome:
        self.start()
        try:
            return self._ask_once(request, limits, *handed)
        except (OSError, ValueError, Broken) as error:
            self.stop()
            raise Broken(str(error)) from error

    def _ask_once(self, request: dict[str, Any], limits: Limits, *handed: int) -> Outcome:
        assert self._control is not None
        self._number += 1
        message = json.dumps({"number": self._number, "limits": asdict(limits)}).encode()
        reader, writer = os.pipe()
        try:
            with tempfile.TemporaryFile() as file:
                file.write(json.dumps(request).encode())
                file.flush()
                with open(writer, "wb"):
                    socket.send_fds(self._control, [message], [file.fileno(), writer, *handed])
            data, ended = self._collect(reader, limits)
        finally:
            os.close(reader)
        if not data.startswith(READY):
            raise Broken(f"the child could not be confined ({ended})")
        why = "output" if len(data) > MAX_RESULT else ended["why"]
        text = data[len(READY) :].decode("utf-8", "replace")
        return Outcome(why, int(ended["code"]), text, float(ended["seconds"]), float(ended["cpu"]))

    def _collect(self, reader: int, limits: Limits) -> tuple[bytes, dict[str, Any]]:
        """Read results until the end of the child, and say how it ended."""
        assert self._control is not None
        os.set_blocking(reader, False)
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        chunks: list[bytes] = []
        size, deadline, asked_to_stop = 0, time.monotonic() + limits.wall + 30, False
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(1000)}
            if time.monotonic() > deadline:
                raise Broken("no word from the clean parent")
            if reader in ready:
                chunk = _read(reader)
                if not chunk:  # closed; the child may still live
                    poll.unregister(reader)
                elif size <= MAX_RESULT:
                    chunks.append(chunk)
                    size += len(chunk)
                elif not asked_to_stop:
                    self._control.send(b'{"stop": true}')
                    asked_to_stop = True
            if self._control.fileno() in ready:
                ended = self._receive(START_SECONDS)
                if ended.get("number") != self._number:
                    raise Broken("an answer to another question")
                while size <= MAX_RESULT and (chunk := _read(reader)):
                    chunks.append(chunk)
                    size += len(chunk)
                return b"".join(chunks), ended

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._control is not None
        self._control.settimeout(seconds)
        try:
            text = self._control.recv(4096)
        except TimeoutError:
            raise Broken("no word from the clean parent") from None
        if not text:
            raise Broken("the clean parent is gone")
        return json.loads(text)


def _read(descriptor: int) -> bytes:
    """Return what a pipe holds, nothing at its end or when it is empty."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""


def _environment() -> dict[str, str]:
    """Return the clean parent's environment: nothing of the grader's but where Python finds its packages."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    entries = [os.path.abspath(entry) for entry in sys.path if entry]
    return (kept | QUIET) | {
        "PYTHONPATH": os.pathsep.join(entries),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "HOME": "/tmp",
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHDYNAMO_DISABLE": "1",  # torch.compile then gives back the function: same numbers, no compiler
        "MPLBACKEND": "Agg",
    }


def needs_posix() -> None:
    """Refuse to start where processes cannot be forked.

    Raises:
        UserError: this is Windows.
    """
    if not hasattr(os, "fork"):
        raise UserError("Grading needs Linux, which has fork and limits. On Windows use WSL, or the container.")
