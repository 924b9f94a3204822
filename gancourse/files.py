"""Where files lie and how they are written: homes and caches, whole files, and what others leave in a folder."""

from __future__ import annotations

import errno
import functools
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gancourse.errors import UserError

LOCK = ".gancourse.lock"
"""The file by which a training says that a folder is its own; see ``gancourse.locks``."""
CLAIM = f"{LOCK}.claim"
"""The file by which it says that it is replacing a lock that counts no more."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a file system says when nothing more fits."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What it says when somebody may not write."""
LOST = (*FULL, errno.EIO)
"""What a flush says when bytes did not reach the disk; anything else means that the file system cannot flush."""

JUNK = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", "icon\r", "lost+found", "__macosx"}
JUNK |= {".ipynb_checkpoints", ".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems", ".dropbox"}
JUNK |= {".tmp.drivedownload", ".tmp.driveupload", "$recycle.bin", "system volume information"}
_JUNK = re.compile(r"\._.*|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+|\.trash-\d+|\.~lock\..*#", re.IGNORECASE)
_TRIES = 5


class DiskFull(UserError):
    """Nothing more fits on the disk; what was there before is unchanged."""


# ----------------------------------------------------------------------------------------------- homes and caches


def home() -> Path | None:
    """Return the home directory, or None: a container may run as a user whom the system does not know."""
    try:
        found = Path.home()
    except (RuntimeError, KeyError, OSError):
        return None
    return found if found.is_absolute() else None


def expanded(name: str, what: str) -> tuple[Path | None, str]:
    """Return the absolute path that `name` means, ``~`` and ``~user`` included, or None and the reason.

    Args:
        name: a path.
        what: where it was given, for the reason: ``"GANCOURSE_DATA"``.
    """
    try:
        path = Path(name).expanduser()
    except (RuntimeError, KeyError, OSError):
        return None, f"{what}={name} names a home directory that this system does not know"
    try:
        return path.absolute(), ""
    except OSError:  # the folder we stand in was removed
        return None, f"{what}={name} starts from the present folder, and that is not there any more"


def usual_cache() -> tuple[Path | None, str]:
    """Return the folder where downloads are kept, or None and the reason why there is none.

    ``GANCOURSE_CACHE``, else ``gancourse`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.
    """
    if named := os.environ.get("GANCOURSE_CACHE"):
        return expanded(named, "GANCOURSE_CACHE")
    xdg, at_home = os.environ.get("XDG_CACHE_HOME", ""), home()
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "gancourse", ""
    if at_home is None:
        return None, "this user has no home directory"
    return at_home / ".cache" / "gancourse", ""


def spare_cache() -> Path:
    """Return the folder for downloads where the usual one cannot be had, among the system's temporary files."""
    who = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"gancourse-{who}"


def cache() -> tuple[Path, str]:
    """Return a folder where downloads can be written, and why it is not the usual one ("" where it is)."""
    path, why = usual_cache()
    if path is not None:
        if _writable(path):
            return path, ""
        why = f"{path} cannot be written"
    return spare_cache(), f"{why}; set GANCOURSE_CACHE to a folder of your own"


def caches() -> list[Path]:
    """Return the folders where earlier downloads may lie."""
    return [path for path in (usual_cache()[0], spare_cache()) if path is not None]


@functools.cache
def _writable(folder: Path) -> bool:
    """Whether files can be written into `folder`, which is created if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def can_write(folder: Path) -> bool:
    """Whether `folder` could be written, without creating anything: asked of the nearest folder that is there."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


# --------------------------------------------------------------------------------------- what lies in a folder


def is_junk(name: str) -> bool:
    """Whether a file of this name was left by a desktop, a file system or a notebook, and belongs to nobody."""
    return name.lower() in JUNK or _JUNK.fullmatch(name) is not None


def is_leftover(name: str, of: Iterable[str]) -> bool:
    """Whether `name` is what a killed process of ours left of writing one of the files `of` (names or patterns)."""
    return any(re.fullmatch(rf"\.{pattern}\.[^.]*\.tmp", name) for pattern in of)


def contents(folder: Path, files: Iterable[str]) -> list[str]:
    """Return the names in a folder of ours, sorted, without junk, leftovers of `files`, the lock and a claim to it.

    Raises:
        OSError: it cannot be read.
    """
    own = [re.escape(name.removeprefix(".")) for name in (*files, LOCK, CLAIM)]
    names = (path.name for path in folder.iterdir())
    return sorted(n for n in names if n not in (LOCK, CLAIM) and not is_junk(n) and not is_leftover(n, own))


def sweep(folder: Path, patterns: Iterable[str]) -> None:
    """Remove from a folder what killed processes have left of writing files of these names (regular expressions)."""
    patterns = list(patterns)
    try:
        left = [path for path in folder.iterdir() if is_leftover(path.name, patterns)]
    except OSError:
        return
    for path in left:
        remove(path)


def remove(path: Path) -> None:
    """Remove a file if it is there and can be removed; it is nobody's any more."""
    try:
        path.unlink()
    except OSError:
        pass


# ------------------------------------------------------------------------------------------------ writing


def write_failed(path: Path, error: OSError) -> UserError:
    """Return the error for people that stands for an :class:`OSError` met while writing `path`."""
    if error.errno in FULL:
        return DiskFull(
            f"The disk is full: {path} could not be written, and what was there before is unchanged. "
            "Free some space, then try again."
        )
    if error.errno in FORBIDDEN:
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


_swept: set[tuple[Path, str]] = set()


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never half of one.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and are then renamed. Network and
    cloud drives may refuse to flush, or to set permissions: only writing and renaming must work. What killed processes
    have left of writing this file is removed.

    Raises:
        UserError: the disk is full, permission is missing, or the folder does not exist. The old file is intact.
    """
    path = Path(path)
    if (path.parent, path.name) not in _swept:
        _swept.add((path.parent, path.name))
        sweep(path.parent, [re.escape(path.name)])
    try:
        for left in reversed(range(_TRIES)):
            try:
                return _replace(path, data)
            except FileNotFoundError:  # another process that writes this file has swept
                if not left or not path.parent.is_dir():
                    raise
    except OSError as error:
        raise write_failed(path, error) from None


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            flush_to_disk(file.fileno())
        try:
            os.chmod(temporary, 0o644)
        except OSError:
            pass
        os.replace(temporary, path)
    except BaseException:
        remove(Path(temporary))
        raise


def flush_to_disk(handle: int) -> None:
    """Flush an open file to the disk, where the file system can.

    Raises:
        OSError: bytes that were written are lost: the disk is full or broken.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in LOST:
            raise
