"""Where right answers lie on a disk: the references of every copy of this course, and what else gives them away.

The clean parent asks this of all that answers will see, and hides what is found; a child asks it again from inside, as
an answer would, so that the grader can say what could not be hidden.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from gancourse.checks.sets import INDEX

ARCHIVES = (".whl", ".zip", ".egg", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
NOT_DISKS = ("/proc", "/sys", "/dev")


def copies(tops: Iterable[str]) -> Iterator[str]:
    """Yield the folders and files below these folders that hold right answers, under each name that leads there.

    An installation, a checkout with its history, mutants, solutions notebooks and archives. What is empty or cannot be
    read is left out. Symbolic links are followed at the top only: what they lead to is found where it lies.
    """
    names: dict[str, list[str]] = {}
    for top in tops:
        names.setdefault(os.path.realpath(top), []).append(top.rstrip("/"))
    for real, aliases in names.items():
        for place in _below(real):
            for alias in aliases:
                yield alias + place[len(real.rstrip("/")) :]


def _below(top: str) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in NOT_DISKS]
        found = {name for name in folders if _tells(folder, name)}
        if os.path.basename(folder) == "gancourse" and "checks" in found and "grading" in folders:
            found.add("grading")
        for name in sorted(found):
            if _holds_something(os.path.join(folder, name)):
                yield os.path.join(folder, name)
        folders[:] = [name for name in folders if name not in found]
        for name in files:
            path = os.path.join(folder, name)
            if name.startswith("gancourse") and name.endswith(ARCHIVES) and _holds_something(path):
                yield path


def _tells(folder: str, name: str) -> bool:
    """Return whether a folder holds right answers, by its name and the names of its files."""
    path = os.path.join(folder, name)
    if name == ".git" or (name.startswith("gancourse") and name.endswith(".git")):
        return True
    if name == "checks":
        return _known(os.path.join(path, "sets")) > 0
    if name in ("sets", "mutants"):
        return _known(path) > 1
    return name == "solutions" and any(f"{chapter}.ipynb" in _listed(path) for chapter, _ in INDEX.values())


def _known(folder: str) -> int:
    """Return how many of the exercise sets have a module in a folder, as source or compiled."""
    stems = {name.split(".")[0] for each in (folder, os.path.join(folder, "__pycache__")) for name in _listed(each)}
    return len(stems & set(INDEX))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _holds_something(path: str) -> bool:
    if os.path.isdir(path):
        return bool(_listed(path))
    return os.access(path, os.R_OK) and os.path.getsize(path) > 0
