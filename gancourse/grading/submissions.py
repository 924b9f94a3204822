"""What was handed in: the notebooks of a folder, or of a zip as Canvas and Moodle hand it out, and whose they are."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gancourse.checks.sets import INDEX
from gancourse.errors import UserError
from gancourse.grading import names
from gancourse.grading.sandbox import FULL

MAX_FILE = 256 * 2**20
"""Bytes of one notebook; with its outputs it is seldom more than a hundredth of this."""

MAX_TOTAL = 16 * 2**30
"""Bytes of all notebooks in one zip, unpacked."""

NO_NOTEBOOK = "no notebook"
EMPTY = "it is empty"
OUTSIDE = "its name points out of the zip"
LINK, LINK_OUT = "a symbolic link", "a symbolic link out of the folder; it is not followed"
ODD = (OUTSIDE, LINK, LINK_OUT)
"""Faults of files that no LMS hands out."""

_MENTIONS = re.compile(rb"""(?:check|summary|solved)\(\s*\\?["'](\w+)""")
_DECLARES = re.compile(rb'"exercises"\s*:\s*"(\w+)"')


@dataclass
class Submission:
    """One file that was handed in.

    Args:
        path: where it was found, relative to the folder or inside the zip.
        student: the student's name, as far as the file's name tells it.
        number: the number that the LMS has for the student, or nothing.
        file: where its bytes lie now, None if it cannot be read.
        digest: of its bytes.
        fault: why it cannot be graded.
        words: the exercise sets that it mentions.
    """

    path: str
    student: str
    number: str = ""
    file: Path | None = None
    digest: str = ""
    fault: str = ""
    words: frozenset[str] = frozenset()


@dataclass
class Found:
    """All that was found.

    Args:
        skipped: path → why it was not looked at.
        lms: ``canvas``, ``moodle`` or ``plain``: the convention that the names follow.
        notes: what an instructor should know of the names, in sentences.
    """

    submissions: list[Submission] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    lms: str = "plain"
    notes: list[str] = field(default_factory=list)

    def students(self) -> dict[tuple[str, str], list[Submission]]:
        """Return (number, student) → what they handed in, in the order of names."""
        grouped: dict[tuple[str, str], list[Submission]] = {}
        for submission in self.submissions:
            grouped.setdefault((submission.number, submission.student), []).append(submission)
        return dict(sorted(grouped.items(), key=lambda item: (item[0][1].lower(), item[0][0])))

    def shared(self) -> dict[str, list[str]]:
        """Return number → students, for numbers that several rows have: an import would mix them up."""
        told: dict[str, list[str]] = {}
        for number, student in self.students():
            if number:
                told.setdefault(number, []).append(student)
        return {number: students for number, students in told.items() if len(students) > 1}


def collect(source: Path, scratch: Path, by: str = "auto") -> Found:
    """Return what a folder or a zip holds. Bytes of a zip are written to `scratch`, under names of our own.

    Args:
        by: whose a file is, see `names.owners`.

    Raises:
        UserError: there is nothing of that name, or it is neither folder nor zip.
    """
    if not source.exists():
        raise UserError(f"There is no {source}. Give the folder with the notebooks, or the zip from the LMS.")
    found = Found()
    if source.is_dir():
        entries = _folder(source, found)
    elif zipfile.is_zipfile(source):
        entries = _zip(source, scratch, found)
    else:
        raise UserError(
            f"{source} is neither a folder nor a zip that can be opened. A zip may be broken: fetch it anew."
        )
    each = sorted(entries, key=lambda entry: entry[0])
    owners, naming = names.owners([path for path, *_ in each], by, {path for path, _, fault in each if fault in ODD})
    found.lms, found.notes = naming.convention, naming.notes
    for (path, file, fault), owner in zip(each, owners, strict=True):
        submission = Submission(path, owner.student, owner.number, file, fault=fault)
        if file is not None:
            _look(submission)
        found.submissions.append(submission)
    _add_other_files(found, naming)
    return found


def _add_other_files(found: Found, naming: names.Naming) -> None:
    """Give a row to whoever handed in something else than a notebook, where an LMS says who that is."""
    known = {(submission.number, submission.student) for submission in found.submissions}
    for path, reason in found.skipped.items():
        owner = names.at(path, naming)
        if reason == NO_NOTEBOOK and owner is not None and (owner.number, owner.student) not in known:
            fault = "it is no notebook; a file that ends in .ipynb is asked for"
            found.submissions.append(Submission(path, owner.student, owner.number, fault=fault))


def _wanted(path: str, found: Found) -> bool:
    """Return whether a path is a notebook; other files are named as skipped, a computer's own leftovers are not."""
    parts = PurePosixPath(path).parts
    if any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts):
        return False
    if not path.lower().endswith(".ipynb"):
        found.skipped[path] = NO_NOTEBOOK
        return False
    return True


def _folder(source: Path, found: Found) -> Iterator[tuple[str, Path | None, str]]:
    root = source.resolve()

    def unreadable(error: OSError) -> None:
        found.skipped[_clean(os.path.relpath(error.filename, root))] = f"cannot be opened ({error.strerror})"

    for folder, folders, files in os.walk(root, onerror=unreadable, followlinks=False):
        for name in sorted(folders):
            path = Path(folder, name)
            if path.is_symlink():
                found.skipped[_clean(str(path.relative_to(root)))] = "a symbolic link to a folder; it is not followed"
        for name in sorted(files):
            path = Path(folder, name)
            shown = _clean(str(path.relative_to(root)))
            if not _wanted(shown, found):
                continue
            file, fault = _usable(path, root)
            if fault:
                found.skipped[shown] = fault
            yield shown, file, fault


def _usable(path: Path, root: Path) -> tuple[Path | None, str]:
    """Return a path if it can be graded, or why it cannot."""
    try:
        resolved = path.resolve(strict=True)
        if not resolved.is_relative_to(root):
            return None, LINK_OUT
        status = resolved.stat()
        if not stat.S_ISREG(status.st_mode):
            return None, "no regular file"
        if status.st_size > MAX_FILE:
            return None, f"it has {status.st_size / 2**20:.0f} MB; at most {MAX_FILE // 2**20} MB are read"
        with open(resolved, "rb") as file:
            file.read(1)
    except (OSError, RuntimeError) as error:
        return None, f"cannot be opened ({getattr(error, 'strerror', None) or 'a loop of links'})"
    return resolved, ""


def _zip(source: Path, scratch: Path, found: Found) -> Iterator[tuple[str, Path | None, str]]:
    left = MAX_TOTAL
    with zipfile.ZipFile(source) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        shared = _wrapper(source, [info.filename for info in infos])
        for number, info in enumerate(infos):
            path = _clean(info.filename.replace("\\", "/").removeprefix(shared))
            if not _wanted(path, found):
                continue
            fault = ""
            if path.startswith("/") or ".." in PurePosixPath(path).parts or re.match(r"[A-Za-z]:", path):
                fault = OUTSIDE
            elif stat.S_ISLNK(info.external_attr >> 16):
                fault = LINK
            elif info.flag_bits & 1:
                fault = "it is encrypted"
            file = scratch / f"{number:06}.ipynb"
            if not fault:
                try:
                    left -= _unpack(archive, info, file, min(MAX_FILE, left))
                except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
                    if isinstance(error, OSError) and error.errno in FULL:  # no fault of the file
                        raise
                    fault = f"cannot be unpacked ({error})"
                except Exception as error:  # zlib.error, lzma.LZMAError and whatever else a damaged stream raises
                    fault = f"cannot be unpacked ({type(error).__name__})"
            if fault:
                found.skipped[path] = fault
            yield path, None if fault else file, fault


def _wrapper(source: Path, paths: list[str]) -> str:
    """Return the one folder that a zip puts around everything, if it is named like the zip."""
    prefix = f"{source.stem}/"
    return prefix if paths and all(path.startswith(prefix) for path in paths) else ""


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path, limit: int) -> int:
    """Write one entry to a file, and return its size. What a zip says of a size is not believed."""
    size = 0
    with archive.open(info) as stream, open(file, "wb") as target:
        while chunk := stream.read(1 << 20):
            size += len(chunk)
            if size > limit:
                target.truncate(0)
                raise ValueError(f"unpacked it has more than {limit // 2**20} MB")
            target.write(chunk)
    return size


def _look(submission: Submission) -> None:
    """Fill in digest and mentioned sets. Other words are not kept: a file may mention any number."""
    assert submission.file is not None
    digest, words, tail, size = hashlib.sha256(), set(), b"", 0
    known = {word.encode(): word for word in INDEX}
    try:
        with open(submission.file, "rb") as file:
            while chunk := file.read(1 << 20):
                size += len(chunk)
                digest.update(chunk)
                text = tail + chunk
                for pattern in (_MENTIONS, _DECLARES):
                    words |= {known[match[1]] for match in pattern.finditer(text) if match[1] in known}
                tail = chunk[-200:]
    except OSError as error:
        submission.file, submission.fault = None, f"cannot be read ({error.strerror})"
        return
    if not size:
        submission.fault = EMPTY
        return
    submission.digest = digest.hexdigest()
    submission.words = frozenset(words)


def _clean(path: str) -> str:
    """Return a path as text that can be printed and written. Paths that differ still do: what cannot be is escaped."""
    return "".join(each if each.isprintable() and each != "\\" else _escaped(each) for each in path)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return "\\\\" if character == "\\" else character.encode("unicode_escape").decode()
