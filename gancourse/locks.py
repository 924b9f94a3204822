"""One training in one folder: a file says whose the folder is, and a second training is refused.

No file system's own locks are asked for, since network and cloud drives have none. The lock is a file that only one can
create; it names host, process and a word of its own. Its heartbeat is the time of its last change, by the clock of the
file system. A lock whose process is gone is taken over at once on the same host; from another host, which cannot be
asked, one whose heartbeat is older than two minutes. Only who has created a second file, the claim, may take a lock
over, and looks at it once more first: of many that find the same stale lock, one gets it.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import socket
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gancourse.errors import UserError
from gancourse.files import CLAIM, LOCK, remove, sweep, write_failed

HEARTBEAT = 20.0
"""Seconds between two heartbeats."""
STALE = 120.0
"""Seconds without a heartbeat after which a lock of another host counts no more."""
_MOST_TRIES = 20
_PAUSE = 0.05
"""Seconds until the next try while another takes the lock over, which is done within milliseconds."""


def boot_time() -> float | None:
    """Return when this machine was started, in seconds since 1970, or None where that cannot be read."""
    try:
        return time.time() - float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def host() -> dict[str, str]:
    """Return what tells this host from others: its name, and where it can be read its start and its process space.

    Containers may share a name, and each counts its processes anew.
    """
    found = {"host": socket.gethostname()}
    try:
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        found["space"] = os.readlink("/proc/self/ns/pid")
    except OSError:
        pass
    return found


def _state(pid: int) -> tuple[str, str] | None:
    """Return a process's state, a letter, and when it was started, in the system's own units; None: unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return None


def alive(pid: int, since: str | None = None) -> bool:
    """Whether a process of this host runs, and, if it is known, was started at `since`: numbers are used again.

    One that was killed and that its parent has not noticed yet is gone.
    """
    if sys.platform == "win32":
        return _alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    now = _state(pid)
    return now is None or (now[0] not in "ZX" and since in (None, now[1]))


def _alive_on_windows(pid: int) -> bool:
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x1000, False, pid)
    if not handle:
        return kernel.GetLastError() == 5  # it is somebody else's
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == 259


class FolderLock:
    """The lock of a run's folder; within ``with lock:`` it is at work, and the last one to leave lets go of it.

    Between taking it and working, a newer run of the same process may take it over: a notebook's cell was run again.

    Args:
        folder: the folder, which is there.

    Raises:
        UserError: a training is at work in the folder, or nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self.token = secrets.token_hex(8)
        self.pid = os.getpid()
        self.working = 0
        self._end = threading.Event()
        self._held = False
        self._refused: UserError | None = None
        self._close: Any = None
        self.take()

    def take(self) -> None:
        """Take the folder, if this lock does not hold it.

        Raises:
            UserError: a training is at work in it, a newer run has had it, or nothing can be written there.
        """
        with _guard:
            if self._held:
                return
            if self._close is not None and _latest.get(self._key()) != self.token:
                raise UserError(self._newer())
            before = _mine.get(self._key())
            if before is not None and before._held and before.pid == os.getpid():
                if before.working:
                    raise UserError(self._told("this very process"))
                before.release()
            self._create()
            self._held = True
            _mine[self._key()] = self
            _latest[self._key()] = self.token
            self._end = threading.Event()
            self._close = weakref.finalize(self, _let_go, self.path, self.token, self._end, self.pid)
            threading.Thread(target=_beat, args=(self.path, self.token, self._end), daemon=True).start()

    def _key(self) -> Path:
        return self.path.resolve()

    def _told(self, who: str) -> str:
        return (
            f"Another training is at work in {self.folder}: {who}. "
            "Wait until it ends, stop it, or choose another --out."
        )

    def _newer(self) -> str:
        return f"A newer run has taken the folder {self.folder}. Set this one up again, with resume=True."

    def _create(self) -> None:
        pid, mine = os.getpid(), _state(os.getpid())
        text = json.dumps({"pid": pid, "started": mine and mine[1], **host(), "token": self.token}) + "\n"
        self._refused = None
        try:
            for _ in range(_MOST_TRIES):
                created = _create_whole(self.path, text, self.token) or self._take_over(text)
                if created and self._settled():
                    sweep(self.folder, [re.escape(LOCK[1:]), re.escape(CLAIM[1:])])
                    return
        except BaseException as error:  # also interrupted: nobody would know that nobody is at work
            if self._is_mine():
                remove(self.path)
            if isinstance(error, OSError):
                raise write_failed(self.path, error) from None
            raise
        raise self._refused or UserError(self._told("its lock changes hands again and again"))

    def _is_mine(self) -> bool:
        return _parsed(_read(self.path) or "").get("token") == self.token

    def _settled(self) -> bool:
        """Wait until nobody else is replacing the lock; return whether the one that is there is still ours."""
        for _ in range(_MOST_TRIES):
            if self._is_unclaimed():
                break
            time.sleep(_PAUSE)
        return self._is_mine()

    def _is_unclaimed(self) -> bool:
        """Return whether there is no claim; move one away that counts no more."""
        claim = self.folder / CLAIM
        try:
            dead = self._free(claim)
        except UserError as error:
            self._refused = error
            return False
        if dead is not None:
            self._move_away(claim, dead)
        return dead is None

    def _take_over(self, text: str) -> bool:
        """Replace a lock that counts no more by one of this text; return whether that came about.

        Raises:
            UserError: the lock is held.
            OSError: nothing can be written there.
        """
        if self._free(self.path) is None:
            return False  # it went away meanwhile
        claim = self.folder / CLAIM
        try:
            if not _create_whole(claim, text, self.token):
                if not self._is_unclaimed():
                    time.sleep(_PAUSE)
                return False
            found = self._free(self.path)
            if found is not None:
                self._move_away(self.path, found)
            return _create_whole(self.path, text, self.token)
        finally:
            if _read(claim) == text:
                remove(claim)

    def _free(self, path: Path) -> str | None:
        """Return the text of a lock that counts no more, or None if there is none.

        Raises:
            UserError: it is held.
        """
        found = _read(path)
        if found is not None:
            held, why = self._is_held(path, found)
            if held:
                raise UserError(self._told(why))
        return found

    def _is_held(self, path: Path, found: str) -> tuple[bool, str]:
        """Return whether the lock of this text counts, and by whom it is held, in words."""
        lock = _parsed(found)
        age = self._age(path)
        name = str(lock.get("host", "an unknown host"))
        here = host()
        if all(lock.get(key) == value for key, value in here.items()):
            pid = lock.get("pid")
            if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1 or pid == os.getpid():
                return False, ""  # an earlier process of this number, or the fork of one: ours would be known
            return alive(pid, lock.get("started")), f"process {pid} of this machine"
        if age is None or age > STALE:
            return False, ""
        booted = boot_time()
        again = name == here["host"] and lock.get("boot") != here.get("boot")
        if again and booted is not None and age > 2 * HEARTBEAT and time.time() - age < booted:
            return False, ""  # this machine was started again since
        wait = f"if that session is over, the folder is free in {STALE - max(age, 0):.0f} seconds"
        return True, f"process {lock.get('pid', 'unknown')} of {name}; {wait}"

    def _age(self, path: Path) -> float | None:
        """Return the seconds since a lock's last heartbeat, by the clock of the file system; None: it is gone."""
        probe = self.folder / f"{LOCK}.{self.token}.tmp"
        try:
            beat = path.stat().st_mtime
        except OSError:
            return None
        try:
            probe.write_bytes(b"")
            now = probe.stat().st_mtime
        except OSError:
            now = time.time()
        finally:
            remove(probe)
        return now - beat

    def _move_away(self, path: Path, found: str) -> None:
        """Take a lock that counts no more out of the way; if it is another by now, put that one back."""
        aside = self.folder / f"{LOCK}.{self.token}.tmp"
        if _read(path) != found:
            return
        try:
            os.replace(path, aside)
        except FileNotFoundError:
            return
        taken = _read(aside)
        if taken is not None and taken != found:
            _create_whole(path, taken, self.token)
        remove(aside)

    def check(self) -> None:
        """See that the folder is still ours.

        Raises:
            UserError: another training has taken it over, since this one gave no sign of life, or its file was changed.
        """
        if not self._held:
            raise UserError(self._newer())
        found = _read(self.path)
        if found is None:  # somebody has tidied up
            with _guard:
                self._create()
        elif not self._is_mine():
            raise UserError(
                f"Another training has taken over {self.folder}, since this one gave no sign of life for two minutes. "
                "This one stops here; what it has written is kept."
            )

    def release(self) -> None:
        """Let go of the folder."""
        with _guard:
            if self._held:
                self._held = False
                _mine.pop(self._key(), None)
                self._close()

    def __enter__(self) -> FolderLock:
        """Begin to work; the lock is taken if it is not held."""
        self.take()
        self.working += 1
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        """End to work."""
        self.working -= 1
        if not self.working:
            self.release()


_guard = threading.RLock()
"""Held while a thread of this process takes a lock or lets go of it."""


def _renew_guard() -> None:
    """In a fork, forget who held the guard: the thread is not there."""
    global _guard
    _guard = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_guard)

_mine: weakref.WeakValueDictionary[Path, FolderLock] = weakref.WeakValueDictionary()
"""The locks that this process holds."""
_latest: dict[Path, str] = {}
"""Lock → the token of the last run of this process that has held it."""


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> str | None:
    """Return what a lock says, or None if it is not there; what cannot be read says nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def _create_whole(path: Path, text: str, token: str) -> bool:
    """Create a file with its text in one stroke, where the file system has links; return False if there is one.

    Raises:
        OSError: nothing can be written there.
    """
    scratch = path.with_name(f"{path.name}.{token}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8")
        try:
            os.link(scratch, path)
            return True
        except (FileExistsError, FileNotFoundError):  # there is one; or our scratch file was tidied away
            return False
        except (OSError, NotImplementedError, AttributeError):
            pass  # no links here
    finally:
        remove(scratch)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        return True
    except FileExistsError:
        return False


def _beat(path: Path, token: str, end: threading.Event) -> None:
    while not end.wait(HEARTBEAT):
        found = _read(path)
        if found is None or _parsed(found).get("token") != token:
            continue  # the training itself finds out, at its next look
        try:
            os.utime(path)
        except OSError:
            try:
                with open(path, "r+b", buffering=0) as file:
                    file.write(found[:1].encode())  # what stands there in every lock, also if it is another's by now
            except OSError:
                pass


def _let_go(path: Path, token: str, end: threading.Event, pid: int) -> None:
    end.set()
    if pid == os.getpid() and _parsed(_read(path) or "").get("token") == token:
        remove(path)
