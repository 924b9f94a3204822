"""Whose a file is, as the names tell it that an LMS has made.

Canvas: ``lastfirst_12345_67890_file.ipynb``, with ``_LATE`` behind the name of a late one. Moodle:
``First Last_12345_assignsubmission_file_/file.ipynb``, or the same without folders. Both put their own part in front of
whatever a student calls a file, so only the first place in a name that reads as one of them counts. Which convention
holds, and how deep in the folders, is decided once for a whole download.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from gancourse.errors import UserError

LMS = {"canvas": "lastfirst_12345_67890_name.ipynb", "moodle": "First Last_12345_assignsubmission_file_"}
"""Convention → an example of its names."""

CHOICES = ("auto", "file", "folder", *LMS)
DEEPEST = 8
"""So many folders are looked into for names that an LMS has made."""

# Canvas keeps letters, digits and underscores of a name; no number of an LMS begins with 0 or has more than 18 digits.
_NUMBER = r"[1-9][0-9]{0,17}"
_WORD = r"[^\s\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
_CANVAS = re.compile(rf"(?P<name>{_WORD}+?)(?:_LATE|_late)?_(?P<id>{_NUMBER})_(?P<file>{_NUMBER})_.", re.DOTALL)
_CANVAS_GOES_ON = re.compile(rf"(?P<id>{_NUMBER})_(?P<file>{_NUMBER})_.", re.DOTALL)
_NAMELESS = re.compile(rf"(?:LATE_)?(?P<name>anon_(?P<id>[A-Za-z0-9]{{5}}))_(?P<file>{_NUMBER})_.", re.DOTALL)
_MOODLE = re.compile(rf"(?P<name>.+?)_(?P<id>{_NUMBER})_assignsubmission_[a-z]+(?:_|\Z)", re.DOTALL)


class Owner(NamedTuple):
    """Whose a file is: the student's name, the number that the LMS has for them, or nothing, and the convention."""

    student: str
    number: str = ""
    convention: str = "plain"


@dataclass(frozen=True)
class Reading:
    """What a name says in the convention of an LMS.

    Args:
        at: where the number begins.
        file: the number that Canvas has for the file.
        other: what it says if its first number belongs to the student's name, as in ``team_2_12345_67890_name.ipynb``.
    """

    owner: Owner
    at: int
    file: str = ""
    other: Reading | None = None


@dataclass
class Naming:
    """What was decided for a download.

    Args:
        convention: ``canvas``, ``moodle`` or ``plain``.
        level: the number of folders above the part of a path that tells the student.
        strangers: files that do not follow the convention of the LMS.
        notes: what an instructor should know, in sentences.
    """

    convention: str = "plain"
    level: int = 0
    strangers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Parts = tuple[str, ...]
Voice = tuple[str, int]


def owners(paths: Sequence[str], by: str = "auto", odd: Collection[str] = ()) -> tuple[list[Owner], Naming]:
    """Return the owner of each file of a download, and what was decided.

    Args:
        odd: those of the paths that no LMS hands out, such as links; they have no voice in the decision.
        by: ``file`` (each file is a student), ``folder`` (each folder), ``canvas`` or ``moodle`` (their names), or
            ``auto``: the LMS that made more than half of the entries, else the file if it lies at the top, else the
            top folder.

    Raises:
        UserError: an LMS is asked for that made none of these names.
    """
    split = [_parts(path) for path in paths]
    if by == "file":
        return [Owner(_without_ending(path)) for path in paths], Naming()
    if by == "folder":
        found = ["/".join(parts[:-1]) or _without_ending(path) for parts, path in zip(split, paths, strict=True)]
        return [Owner(name) for name in found], Naming()
    voters = [parts for parts, path in zip(split, paths, strict=True) if path not in odd]
    naming = Naming(*_elected(_voices(voters), len({parts[0] for parts in voters}), by))
    if by in LMS and naming.convention != by:
        first = f"; the first is {paths[0]}" if paths else ""
        raise UserError(f"--students {by}: no file is named as {by.title()} names them, like {LMS[by]}{first}.")
    if naming.convention == "plain":
        naming.level = _wrapped(split)
        return _plain(split, naming), naming
    return _of_lms(split, paths, naming), naming


def whose(path: str, by: str = "auto") -> Owner:
    """Return the owner of a file that is alone in its download."""
    return owners([path], by)[0][0]


def at(path: str, naming: Naming) -> Owner | None:
    """Return whose a file is by the convention of its download, None if its name does not follow that of an LMS."""
    parts = _parts(path)
    reading = read(parts[naming.level]) if len(parts) > naming.level else None
    return reading.owner if reading and reading.owner.convention == naming.convention else None


def read(part: str) -> Reading | None:
    """Return what one part of a path says, None if no LMS has made it.

    Where a name can be read in both conventions, the one that begins further left was there before the student's.
    """
    part = unicodedata.normalize("NFC", part)
    found = []
    if match := _CANVAS.match(part):
        other = None
        if after := _CANVAS_GOES_ON.match(part, match.start("file")):
            name = Owner(part[: match.end("id")], after["id"], "canvas")
            other = Reading(name, after.start("id"), after["file"])
        found.append(Reading(Owner(match["name"], match["id"], "canvas"), match.start("id"), match["file"], other))
    if match := _NAMELESS.match(part):
        found.append(Reading(Owner(match["name"], "", "canvas"), match.start("id"), match["file"]))
    if match := _MOODLE.match(part):
        found.append(Reading(Owner(match["name"], match["id"], "moodle"), match.start("id")))
    return min(found, key=lambda reading: reading.at, default=None)


# The decision ----------------------------------------------------------------------------------------


def _voices(split: Iterable[Parts], depth: int = 0) -> Counter[Voice]:
    """Count what the entries of a folder say: each has one voice, however many files a student puts into it."""
    groups: dict[str, list[Parts]] = {}
    for parts in split:
        groups.setdefault(parts[depth], []).append(parts)
    voices: Counter[Voice] = Counter()
    for name, group in groups.items():
        if reading := read(name):
            voices[reading.owner.convention, depth] += 1
            continue
        inner = [parts for parts in group if len(parts) > depth + 1]
        if inner and depth < DEEPEST:
            voice = _elected(_voices(inner, depth + 1), len({parts[depth + 1] for parts in inner}))
            if voice[0] in LMS:
                voices[voice] += 1
    return voices


def _elected(voices: Counter[Voice], entries: int, by: str = "auto") -> Voice:
    """Return the convention and depth that most voices are for, ``plain`` if half of the entries have none."""
    if by in LMS:
        voices = Counter({voice: number for voice, number in voices.items() if voice[0] == by})
    elif voices.total() * 2 <= entries:
        return "plain", 0
    return min(voices, key=lambda voice: (-voices[voice], voice), default=("plain", 0))


def _wrapped(split: Sequence[Parts]) -> int:
    """Return how many folders hold everything, if there are several entries in the last of them."""
    depth = 0
    while split and all(len(parts) > depth + 1 for parts in split) and len({parts[depth] for parts in split}) == 1:
        depth += 1
    return depth if len({parts[depth] for parts in split}) > 1 else 0


# Owners ----------------------------------------------------------------------------------------------


def _plain(split: Sequence[Parts], naming: Naming) -> list[Owner]:
    apart = _several(split, naming.level)
    if naming.level:
        folder = "/".join(split[0][: naming.level])
        naming.notes.append(
            f"all notebooks lie in the folder {folder}; each file or folder in it is taken for a student. "
            "If it is one student's, say --students folder"
        )
    if apart:
        naming.notes.append(
            f"files in {_some(apart)} are named as an LMS names them, most others are not: each is a row of its own, "
            "without a number. Grade them apart, or say --students canvas or --students moodle"
        )
    return [Owner(_label(parts, naming.level, naming.level, apart)) for parts in split]


def _of_lms(split: Sequence[Parts], paths: Sequence[str], naming: Naming) -> list[Owner]:
    readings: list[Reading | None] = []
    for parts in split:
        reading = read(parts[naming.level]) if len(parts) > naming.level else None
        readings.append(reading if reading and reading.owner.convention == naming.convention else None)
    sizes = {len(reading.file) for reading in readings if reading and not reading.other}
    apart = _several([parts for parts, reading in zip(split, readings, strict=True) if not reading], naming.level)
    found = []
    for parts, path, reading in zip(split, paths, readings, strict=True):
        if reading is None:
            naming.strangers.append(path)
            found.append(Owner(_label(parts, 0, naming.level, apart)))
            continue
        other = reading.other if len(reading.file) not in sizes else None
        found.append(other.owner if other and len(other.file) in sizes else reading.owner)
    if naming.strangers:
        naming.notes.append(
            f"{len(naming.strangers)} of {len(paths)} files are not named as {naming.convention.title()} names them; "
            f"their rows have no number: {_some(naming.strangers)}"
        )
    return found


def _several(split: Iterable[Parts], level: int) -> list[str]:
    """Return the folders below which names of an LMS tell of several students."""
    told: dict[str, set[tuple[str, str]]] = {}
    for parts in split:
        inner = next((reading for part in parts[level + 1 :][:DEEPEST] if (reading := read(part))), None)
        if inner:
            told.setdefault("/".join(parts[: level + 1]), set()).add(inner.owner[:2])
    return [folder for folder, students in told.items() if len(students) > 1]


def _label(parts: Parts, first: int, level: int, apart: Sequence[str]) -> str:
    """Return the name of a student whom no LMS has named: the file at the top, or the folder."""
    end = min(level + 1, len(parts))
    if "/".join(parts[:end]) in apart:
        end += next((number for number, part in enumerate(parts[end:][:DEEPEST], 1) if read(part)), 0)
    label = "/".join(parts[first:end])
    return _without_ending(label) if end == len(parts) else label


def _parts(path: str) -> Parts:
    return tuple(part for part in PurePosixPath(path).parts if part not in ("/", "..")) or (path,)


def _without_ending(path: str) -> str:
    return path[: -len(".ipynb")] if path.lower().endswith(".ipynb") else path


def _some(names: Sequence[str], number: int = 5) -> str:
    more = f" and {len(names) - number:,} more" if len(names) > number else ""
    return ", ".join(names[:number]) + more
