"""What is graded already: one line of JSON for each submission, on the disk before the next one counts.

A grading that was killed goes on where it stopped. Lines are keyed by the hash of the submission's bytes, so a file
that was handed in again unchanged is not graded again. The first line holds the settings; other settings, another file.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from gancourse.errors import UserError
from gancourse.files import flush_to_disk

VERSION = 1
PACKAGE = Path(__file__).resolve().parents[1]
JUDGES = ("checks/probes", "checks/core", "grading/worker", "grading/zygote")

SAID = {
    "sets": "other sets",
    "course": "another version of the course",
    "code": "other code of the checks",
    "wall": "another --wall",
    "memory": "another --memory",
}


def fingerprint(words: Sequence[str]) -> str:
    """Return a hash of the code that verdicts on these sets come from: their checks, and all that those import."""
    work = [*JUDGES, *(f"checks/sets/{word}" for word in words)]
    found: dict[str, str] = {}
    while work:
        module = work.pop()
        path = PACKAGE / f"{module}.py" if (PACKAGE / f"{module}.py").is_file() else PACKAGE / module / "__init__.py"
        if module not in found and path.is_file():
            code = path.read_bytes()
            found[module] = hashlib.sha256(code).hexdigest()
            work += _imported(code)
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


def _imported(code: bytes) -> Iterator[str]:
    """Yield what may be modules of this package that some code imports, as paths below it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (
            name.removeprefix("gancourse.").replace(".", "/") for name in names if name.startswith("gancourse.")
        )


class Journal:
    """The journal of one CSV file. A context manager; it holds a lock as long as it is open.

    Args:
        settings: what must be the same for results to be comparable: sets, version of the course, code of the checks.
        seed: the seed of the inputs; when a journal is there and None is given, the journal's counts.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], seed: int | None, restart: bool = False) -> None:
        self.path = path
        self.records: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self._file = self._open(restart)
        try:
            self._load(settings, seed)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        """Return the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and let go of the lock."""
        self._file.close()

    def _open(self, restart: bool) -> IO[bytes]:
        import fcntl

        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # any other error: this file system has no locks
            file.close()
            raise UserError(f"Another grading is writing {self.path}. Wait for it, or give another --out.") from None
        except OSError:
            pass
        if restart:
            file.truncate(0)
        return file

    def _load(self, settings: Mapping[str, Any], seed: int | None) -> None:
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]  # a line that was cut by a crash is graded again
        self._file.truncate(len(whole))
        self._file.seek(0, os.SEEK_END)
        lines = whole.splitlines()
        if not lines:
            import secrets

            self.seed = secrets.randbelow(2**31) if seed is None else seed
            self._write({"journal": VERSION, "settings": dict(settings), "seed": self.seed})
            return
        try:
            header = json.loads(lines[0])
            old, self.seed = dict(header["settings"]), header["seed"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self.path} is not a journal of this grader. Move it away, or use --restart.") from None
        new = dict(settings)
        others = [SAID.get(key, f"another {key}") for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        if seed is not None and seed != self.seed:
            others.append("another seed")
        if others:
            raise UserError(
                f"{self.path} belongs to a grading with {', '.join(others)}; old and new points do not mix. "
                "Use --restart to grade everything again, or give another --out."
            )
        for line in lines[1:]:
            try:
                record = json.loads(line)
                self.records[record["digest"]] = record
            except (ValueError, KeyError, TypeError):
                self.damaged += 1

    def add(self, record: dict[str, Any]) -> None:
        """Store the result of one submission; it is on the disk when this returns."""
        self._write(record)
        self.records[record["digest"]] = record

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        flush_to_disk(self._file.fileno())


def write_whole(path: Path, text: str, sync: bool = True) -> None:
    """Write a file so that it is there as a whole or not at all, even if the disk is full.

    Args:
        sync: even if the machine stops. This takes a moment for each file.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if sync:
                flush_to_disk(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
