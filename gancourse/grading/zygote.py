"""The clean parent: a process with PyTorch and the probes loaded, and nothing of the grader's, that forks one child
for each answer. Started by `sandbox.Sandbox` as ``python -m gancourse.grading.zygote``.

It never looks into a submission or a result. A message names the limits and carries descriptors; the child reads its
request from the first, writes its results to the second, and reads the notebook from the third if it is to read one.
The parent waits, watches time and memory, and kills.
"""

from __future__ import annotations

import gc
import json
import linecache
import os
import random
import resource
import select
import socket
import sys
import time
import types
from typing import Any, NoReturn

import torch

from gancourse.checks import probes
from gancourse.grading import calls, hiding, isolation, reading
from gancourse.grading.isolation import Boundary, Limits

RESULTS = 3
"""The descriptor that a child writes its results to."""

READY = b"confined\n"
"""What a child writes first: from here on, whatever happens is the answer's doing."""

STEP = 0.05
"""Seconds between two looks at the memory of a child."""


def warm_up() -> None:
    """Load what PyTorch loads at first use, so that no child has to."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x = torch.randn(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    gradient.norm().backward()
    for kind in (torch.optim.SGD, torch.optim.Adam):
        kind(model.parameters(), lr=0.1).step()
    torch.linalg.svdvals(torch.eye(3))
    torch.nn.functional.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3))
    torch.func.vmap(lambda row: row * 2)(x)
    probes.run(lambda a: a * 2, [probes.Case((torch.ones(2),), grads=(0,))])


def serve(control: socket.socket, boundary: Boundary) -> None:
    """Answer messages until the other side hangs up."""
    while True:
        try:
            text, descriptors, _, _ = socket.recv_fds(control, 4096, 3)
        except ConnectionError:
            return
        if not text:
            return
        message = json.loads(text)
        if "limits" not in message:  # a "stop" that came too late
            continue
        ended = run_child(control, boundary, descriptors, Limits(**message["limits"]))
        control.send(json.dumps(ended | {"number": message["number"]}).encode())


def run_child(control: socket.socket, boundary: Boundary, descriptors: list[int], limits: Limits) -> dict[str, Any]:
    """Fork one child, see it to its end, and say how it ended."""
    folder = boundary.folder()
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = boundary.fork()
    if pid == 0:
        child(boundary, folder, limits, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    why = wait(control, boundary, pid, start + limits.wall, limits.memory)
    boundary.kill(pid)
    _, status = os.waitpid(pid, 0)
    boundary.remove(folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if why == "ended" and os.WIFSIGNALED(status) and cpu >= limits.cpu - 0.5:
        why = "cpu"
    return {"why": why, "code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start, "cpu": cpu}


def wait(control: socket.socket, boundary: Boundary, pid: int, deadline: float, memory: int) -> str:
    """Wait until a child ends, uses too much, or is not wanted any more. Return why; it is not reaped yet."""
    try:
        ending = os.pidfd_open(pid)
    except (AttributeError, OSError):
        ending = -1
    poll = select.poll()
    poll.register(control, select.POLLIN)
    if ending >= 0:
        poll.register(ending, select.POLLIN)
    try:
        while True:
            ready = {descriptor for descriptor, _ in poll.poll((STEP if ending >= 0 else 0.002) * 1000)}
            if ending in ready or (ending < 0 and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
                return "ended"
            if control.fileno() in ready:
                control.recv(4096)  # "stop", or the other side has hung up
                return "stopped"
            if time.monotonic() > deadline:
                return "wall"
            if ending >= 0 and boundary.memory(ending) > memory:
                return "memory"
    finally:
        if ending >= 0:
            os.close(ending)


# The child -------------------------------------------------------------------------------------------


def child(
    boundary: Boundary, folder: str, limits: Limits, request: int, results: int, notebook: int | None = None
) -> NoReturn:
    """Give up all rights, run one answer or read one notebook, write what it gave, and end."""
    write, leave = os.write, os._exit  # an answer may put others in their place
    code = 1
    try:
        text = _read_all(request)
        data = b"" if notebook is None else _read_all(notebook)
        boundary.confine(folder, limits)
        _close_everything_but(results)
        _write_all(write, READY)
        asked = json.loads(text)
        if "paths" in asked:
            found = report(asked["paths"], asked["look"])
        elif "names" in asked:
            gc.disable()  # nothing of it is freed before the end
            found = reading.as_json(data, asked["names"])
        else:
            found = answer(asked)
        code = 0 if _write_all(write, found.encode()) else 1
    except BaseException:  # nothing may return into the parent's code
        code = 70
    finally:
        leave(code)
    raise AssertionError("a child does not come back")


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        return file.read()


def _write_all(write: Any, data: bytes) -> bool:
    while data:
        data = data[write(RESULTS, data) :]
    return True


def _close_everything_but(results: int) -> None:
    empty = os.open("/dev/null", os.O_RDWR)
    os.dup2(results, RESULTS)
    for standard in (0, 1, 2):
        os.dup2(empty, standard)
    os.closerange(RESULTS + 1, 1 << 16)


def answer(asked: dict[str, Any]) -> str:
    """Run one answer on its cases, and return the results as JSON."""
    cases = probes.from_json(probes.Case, asked["cases"])
    module = types.ModuleType("__main__")  # as in a notebook
    sys.modules["__main__"] = module
    namespace = module.__dict__
    namespace |= {"display": lambda *objects, **options: None, "get_ipython": Shell}
    label = "the notebook"
    try:
        for number, (source, label) in enumerate(asked["code"]):
            name = f"{label}, part {number}"  # as a file that inspect finds: TorchScript reads the source again
            linecache.cache[name] = len(source), None, source.splitlines(True), name
            exec(compile(source, name, "exec", dont_inherit=True), namespace)
        found = namespace[asked["answer"]]
    except BaseException as error:
        problem = error

        def stopped() -> None:
            raise problem

        results = probes.run(stopped, [probes.Case()])
        results[0].message = f"{results[0].message} (while {label} is run)"
        return probes.to_json(results)
    return probes.to_json(probes.run(found, cases, asked["probe"]))


class Shell:
    """What ``get_ipython()`` gives: there is no IPython here, and whatever it is asked for does nothing."""

    def __getattr__(self, name: str) -> Any:
        """Return a function that does nothing."""
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **options: None


def report(paths: dict[str, str], look: list[str]) -> str:
    """Return what this child can do, as JSON.

    Its user, which paths it can read or write, which calls it can make, and which right answers it finds below the
    folders `look`.
    """
    network = []
    try:
        network = [name for _, name in socket.if_nameindex() if name != "lo"]
    except OSError:
        pass
    limits = {name: resource.getrlimit(getattr(resource, name))[1] for name in ("RLIMIT_NPROC", "RLIMIT_AS")}
    return json.dumps(
        {
            "user": os.getuid(),
            "process": os.getpid(),
            "interfaces": network,
            "readable": [name for name, path in paths.items() if os.access(path, os.R_OK)],
            "writable": [name for name, path in paths.items() if os.access(path, os.W_OK)],
            "files": sorted(os.listdir(".")),
            "open": calls.open_ways(),
            "limits": limits,
            "references": sorted(hiding.copies(look)),
        }
    )


def main() -> None:
    """Serve on the socket whose descriptor is the first argument; the second names the children's user."""
    isolation.die_with_parent()
    for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS):  # those of the process that started this one are its own
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (hard, hard))
    control = socket.socket(fileno=int(sys.argv[1]))
    uid = int(sys.argv[2]) if sys.argv[2] != "-" else None
    torch.set_num_threads(1)
    sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]
    random.seed(0)
    warm_up()
    boundary = isolation.enter(uid)
    for name in ("core", "build", "selftest"):  # where the files are not hidden, the import is refused at least
        sys.modules[f"gancourse.checks.{name}"] = None  # type: ignore[assignment]
    sys.argv[:] = [""]
    control.send(json.dumps({"in_force": boundary.in_force}).encode())
    serve(control, boundary)
    os._exit(0)  # nothing is left to be saved, and taking PyTorch down takes seconds


if __name__ == "__main__":
    main()
