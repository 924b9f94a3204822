"""What keeps a submission away from the machine: user, namespaces, a root of its own, and limits. Linux.

Two steps. A clean parent calls `enter` once: it takes whatever the system allows (a user namespace, no network, a
private root with nothing but Python in it). Each child that it forks calls `Boundary.confine` before it runs anything:
a process namespace, an empty folder, another user, no capabilities, the limits, and a filter of system calls (`calls`).
A process limit does not bind root, so the user is dropped first. `Boundary.in_force` names what was reached, and
nothing else.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gancourse.grading import calls, hiding

NEWNS, NEWUTS, NEWIPC = 0x00020000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 32, 1024, 2048, 4096, 16384
MS_PRIVATE, MS_RELATIME = 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPABILITY_VERSION_3 = 0x20080522

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
FOLDER = "/tmp"
"""The only place in a private root that a submission can write to."""

FOLDER_BYTES = 16 * 2**20
INNER_USER = 60_001
"""The user inside a user namespace that an ordinary user has made."""

libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Call a function of libc that returns 0.

    Raises:
        OSError: it returned something else, or this system does not have it.
    """
    function = getattr(libc, name, None)
    if function is None:
        raise OSError(f"this system has no {name}")
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave namespaces, see unshare(2)."""
    _call("unshare", ctypes.c_int(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount, see mount(2)."""
    _call(
        "mount",
        source.encode(),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode(),
    )


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux; elsewhere nothing happens)."""
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


@dataclass(frozen=True)
class Limits:
    """What one answer may use. Times in seconds, sizes in bytes."""

    wall: float = 20.0
    cpu: int = 20
    memory: int = 2**30
    file: int = 16 * 2**20
    processes: int = 32
    open_files: int = 64


@dataclass
class Boundary:
    """What holds for the children of this process.

    Args:
        uid: the user that a child becomes, None to stay.
        in_force: the names of what holds: ``user``, ``user namespace``, ``network``, ``processes``, ``files``,
            ``system calls``.
        proc: a descriptor of the outer /proc, None where there is none.
    """

    uid: int | None = None
    in_force: list[str] = field(default_factory=list)
    proc: int | None = None
    pid_namespace: int | None = None

    @property
    def private_root(self) -> bool:
        """Whether the children see nothing but Python."""
        return "files" in self.in_force

    def fork(self) -> int:
        """Fork; the child is the first process of a process namespace of its own where there can be one."""
        if self.pid_namespace is None:
            return os.fork()
        unshare(NEWPID)
        try:
            return os.fork()
        finally:  # in the child this fails, since its rights end at its own namespace; nothing depends on it
            libc.setns(self.pid_namespace, NEWPID)

    def folder(self) -> str:
        """Return an empty folder for the next child."""
        if self.private_root:
            return FOLDER
        folder = tempfile.mkdtemp(prefix="answer-")
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)
        return folder

    def remove(self, folder: str) -> None:
        """Remove what a child left behind; in a private root it goes with the child."""
        if not self.private_root:
            shutil.rmtree(folder, ignore_errors=True)

    def confine(self, folder: str, limits: Limits) -> None:
        """Give up all rights in this process, for good. Called by a child before it runs anything."""
        size = _virtual_size(self.proc)
        self._die_first()
        calls.forget_keys()
        if self.private_root:
            unshare(NEWNS | NEWIPC)
            _no_shared_memory(self.proc)
            owner = f"uid={self.uid},gid={self.uid}," if self.uid is not None else ""
            options = f"{owner}mode=0700,size={FOLDER_BYTES},nr_inodes=1000"
            mount("tmpfs", FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, options)
        os.chdir(folder)
        os.umask(0o077)
        if self.uid is not None:
            if os.getuid() == 0:
                os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        _drop_capabilities()
        die_with_parent()
        _limit(limits, size, _own_processes(self.proc, self.uid, self.in_force))
        if "system calls" in self.in_force:
            calls.refuse()
        if os.geteuid() == 0:
            raise PermissionError("still root")

    def _die_first(self) -> None:
        """If the machine runs out of memory, let the kernel kill this process before any other."""
        if self.proc is None:
            return
        try:
            with open(os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=self.proc), "w") as file:
                file.write("1000")
        except OSError:
            pass

    def kill(self, pid: int) -> None:
        """Kill a child and whatever it has started, as far as they can be found."""
        if self.pid_namespace is None and self.uid is not None and os.geteuid() == 0:
            self._kill_user()
        family = [] if self.pid_namespace is not None else self.family(pid)  # a namespace ends with its first process
        for each in [pid, *family]:
            try:
                os.kill(each, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _kill_user(self) -> None:
        """Kill every process of the children's user, which no one else has."""
        helper = os.fork()
        if helper == 0:
            try:
                assert self.uid is not None
                os.setresuid(self.uid, self.uid, self.uid)
                os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(helper, 0)

    def family(self, pid: int) -> list[int]:
        """Return the descendants of a process, by its number in the outer /proc."""
        parents = {}
        for each in _processes(self.proc):
            fields = _read(self.proc, f"{each}/stat").rpartition(")")[2].split()
            if len(fields) > 1:
                parents[each] = int(fields[1])
        found, fresh = [], [pid]
        while fresh:
            fresh = [child for child, parent in parents.items() if parent in fresh and child not in found]
            found += fresh
        return found

    def memory(self, pidfd: int) -> int:
        """Return the resident memory of a child and its descendants in bytes, without what each got from this process.

        Pages that several of them share are counted for each. 0 where it cannot be seen.
        """
        found = re.search(r"^Pid:\s*(\d+)", _read(self.proc, f"self/fdinfo/{pidfd}"), re.MULTILINE)
        if found is None:
            return 0
        pid, inherited = int(found[1]), _resident(self.proc, "self")
        return sum(max(0, _resident(self.proc, str(each)) - inherited) for each in [pid, *self.family(pid)])


def enter(uid: int | None) -> Boundary:
    """Take what the system allows for all children of this process, and return what was reached.

    Args:
        uid: the user that the children become. Needed for root; for others None.

    The caller goes on in another process, and may have one thread only.
    """
    boundary = Boundary(uid)
    try:
        boundary.proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        boundary.proc = None
    calls.forget_keys()
    if sys.platform == "linux":
        _enter_namespaces(boundary)
    if calls.available():
        boundary.in_force += ["system calls"] if "network" in boundary.in_force else ["network", "system calls"]
    if uid is not None:
        boundary.in_force.insert(0, "user")
    return boundary


def _enter_namespaces(boundary: Boundary) -> None:
    root = os.geteuid() == 0
    try:
        _enter_user_namespace(boundary.uid if root else None)
        boundary.in_force.append("user namespace")
        if not root:
            boundary.uid = INNER_USER
    except OSError:
        if not root:
            return
    for flag, name in ((NEWNET, "network"), (NEWUTS, ""), (NEWIPC, "")):
        try:
            unshare(flag)
        except OSError:
            continue
        if name:
            boundary.in_force.append(name)
    try:
        unshare(NEWPID)
    except OSError:
        pass
    else:
        _go_on_inside()
        boundary.pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        boundary.in_force.append("processes")
    try:
        unshare(NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        _enter_private_root()
        boundary.in_force.append("files")
    except OSError:
        pass


def _go_on_inside() -> None:
    """Go on as the first process of a new process namespace; this process waits for it.

    From there a further namespace can be made for each child, and left again: a process may only return to a process
    namespace that belongs to its user namespace.
    """
    inner = os.fork()
    if inner == 0:
        die_with_parent()
        return
    _, status = os.waitpid(inner, 0)
    os._exit(max(0, os.waitstatus_to_exitcode(status)))


def _enter_user_namespace(uid: int | None) -> None:
    """Enter a user namespace in which this process has all rights, and in which no further one can be made.

    The map must be written from outside it, by a helper that this process forks first.
    """
    outer = os.geteuid()
    if uid is None:
        maps = {"setgroups": "deny", "uid_map": f"{INNER_USER} {outer} 1", "gid_map": f"{INNER_USER} {os.getegid()} 1"}
    else:
        maps = {"uid_map": f"0 0 1\n{uid} {uid} 1", "gid_map": f"0 0 1\n{uid} {uid} 1"}
    reader, writer = os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        status = 1
        try:
            os.close(writer)
            if os.read(reader, 1):
                for name, text in maps.items():
                    with open(f"/proc/{target}/{name}", "w") as file:
                        file.write(text)
                status = 0
        finally:
            os._exit(status)
    os.close(reader)
    try:
        unshare(NEWUSER)
        os.write(writer, b"x")
    finally:
        os.close(writer)
        _, status = os.waitpid(helper, 0)
    if status != 0:
        raise PermissionError("the map of users could not be written")
    try:
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    except OSError:
        pass


def _enter_private_root() -> None:
    """Change to a root that holds the system's libraries, Python and its packages, all read-only, and an empty /tmp.

    The checks and the grader are not in it, of this copy of the course or another: what is needed of them is loaded.
    """
    root = tempfile.mkdtemp(prefix="root-")
    above = os.open(os.path.dirname(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m,nr_inodes=4000")
    for folder in ("tmp", "dev"):
        os.mkdir(f"{root}/{folder}")
    for device in DEVICES:
        _bind(device, root, flags=MS_NOSUID | MS_NOEXEC)
    os.symlink(FOLDER, f"{root}/dev/shm")
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
    for path in (*SYSTEM_FILES, *shown()):
        if os.path.exists(path):
            _bind(path, root)
    for path in hiding.copies(shown()):
        _hide(root + path)
    mount("none", root, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(root)
    number = PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError("no number of pivot_root is known for this processor")
    _call("syscall", ctypes.c_long(number), b".", b".")
    _call("umount2", b".", MNT_DETACH)
    os.chdir("/")
    os.rmdir(os.path.basename(root), dir_fd=above)
    os.close(above)


def shown() -> list[str]:
    """Return the folders of the outer root that answers see in theirs, under each of their names."""
    return [path for path in SYSTEM if os.path.isdir(path) and not os.path.islink(path)] + _python_folders()


def _hide(path: str) -> None:
    """Put something empty in the place of a folder or a file. What cannot be hidden is found by a child, and told."""
    try:
        if os.path.isdir(path):
            mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0755,size=4k")
        else:
            mount("/dev/null", path, None, MS_BIND)
    except OSError:
        pass


def _python_folders() -> list[str]:
    """Return the folders of Python, of its packages, and of this package: shortest first, none inside another."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    wanted = [sys.prefix, sys.base_prefix, *(sysconfig.get_paths()[name] for name in names)]
    wanted += [
        entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages")) and os.path.isdir(entry)
    ]
    wanted += [str(Path(__file__).resolve().parents[1])]
    wanted += [os.path.realpath(path) for path in wanted]
    found: list[str] = []
    for path in sorted(set(wanted), key=len):
        if not any(_inside(path, outer) for outer in (*SYSTEM, *found)):
            found.append(path)
    return found


def _inside(path: str, outer: str) -> bool:
    return path == outer or path.startswith(outer.rstrip("/") + "/")


def _bind(path: str, root: str, flags: int = MS_NOSUID | MS_NODEV | MS_RDONLY) -> None:
    """Show `path` at the same place below `root`."""
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w"):
            pass
    mount(path, target, None, MS_BIND | MS_REC)
    mount("none", target, None, MS_REMOUNT | MS_BIND | flags | _locked(target))


def _locked(path: str) -> int:
    """Return the flags of a mount, which a user namespace may not take away."""
    found = os.statvfs(path).f_flag
    pairs = {
        os.ST_NODEV: MS_NODEV,
        os.ST_NOEXEC: MS_NOEXEC,
        os.ST_NOATIME: MS_NOATIME,
        os.ST_NODIRATIME: MS_NODIRATIME,
        os.ST_RELATIME: MS_RELATIME,
    }
    return sum(flag for bit, flag in pairs.items() if found & bit)


def _no_shared_memory(proc: int | None) -> None:
    """Allow no shared memory and no messages in this process's own namespace; the memory limit does not see them."""
    for name in ("shmmax", "shmall", "msgmni"):
        try:
            with open(os.open(f"sys/kernel/{name}", os.O_WRONLY, dir_fd=proc), "w") as file:
                file.write("0")
        except (OSError, TypeError):  # the filter of system calls refuses them too
            pass


def _drop_capabilities() -> None:
    """Give up every capability, and the way to get one back through a program with the set-user-id bit."""
    if sys.platform != "linux":
        return
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _limit(limits: Limits, virtual_size: int, own_processes: int) -> None:
    """Set the limits of this process; they pass on to what it starts."""
    wanted = {
        "RLIMIT_CPU": limits.cpu,
        "RLIMIT_FSIZE": limits.file,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes + own_processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_AS": virtual_size + limits.memory if virtual_size else resource.RLIM_INFINITY,
    }
    for name, value in wanted.items():
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that is too long then fails to be written, with an OSError


# Reading /proc ---------------------------------------------------------------------------------------


def _processes(proc: int | None) -> list[int]:
    return [int(name) for name in os.listdir(proc) if name.isdigit()] if proc is not None else []


def _read(proc: int | None, path: str) -> str:
    if proc is None:
        return ""
    try:
        with open(os.open(path, os.O_RDONLY, dir_fd=proc), errors="replace") as file:
            return file.read()
    except OSError:  # it has ended meanwhile
        return ""


def _virtual_size(proc: int | None) -> int:
    fields = _read(proc, "self/statm").split()
    return int(fields[0]) * resource.getpagesize() if fields else 0


def _resident(proc: int | None, process: str) -> int:
    fields = _read(proc, f"{process}/statm").split()
    return int(fields[1]) * resource.getpagesize() if len(fields) > 1 else 0


def _own_processes(proc: int | None, uid: int | None, in_force: Iterable[str]) -> int:
    """Return how many processes of this user run already, where the process limit counts those too."""
    if "user namespace" in in_force or uid is not None or proc is None:
        return 0
    count = 0
    for each in _processes(proc):
        status = dict(line.split(":", 1) for line in _read(proc, f"{each}/status").splitlines() if ":" in line)
        if status.get("Uid", "").split()[:1] == [str(os.getuid())]:
            count += int(status.get("Threads", "1"))
    return count


# Users -----------------------------------------------------------------------------------------------


def free_users(count: int) -> list[int]:
    """Return numbers of users that nobody has and that own no process, or fewer if there are not as many.

    They are drawn, so that two gradings at the same time take different ones.
    """
    import pwd
    import secrets

    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            taken.add(int(process.joinpath("status").read_text().split("Uid:")[1].split()[0]))
        except (OSError, IndexError, ValueError):
            pass
    free = [uid for uid in range(60_001, 65_000) if uid not in taken]
    return secrets.SystemRandom().sample(free, min(count, len(free)))
