"""The command ``gancourse exercises grade``: it hands notebooks to workers and writes what comes back.

This process loads no torch, reads no notebook and runs nothing of it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gancourse
from gancourse.checks import sets
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError
from gancourse.grading import isolation, sandbox, tables
from gancourse.grading.byhand import ByHand
from gancourse.grading.isolation import Limits
from gancourse.grading.journal import Journal, fingerprint, write_whole
from gancourse.grading.submissions import EMPTY, Found, Submission, collect
from gancourse.grading.tables import Row, Task

EVERY = 100
"""The CSV is written each time that this many more submissions are graded, and at the end."""

SHOWN = 20
"""So many skipped files are named one by one."""

PATIENCE = 600.0
"""Seconds beyond the limit of an answer after which a worker is taken to be stuck. One that is busy is ended sooner, by
its limit of processor time; the clock depends on what else the machine does."""

LAST_WORDS = 5.0
"""Seconds in which a worker that has sent its last is expected to end."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
REFERENCES = "the references of the checks"

MEANINGS = {
    "user": "a user of their own",
    "user namespace": "no rights outside, and no way to new ones",
    "network": "no network",
    "processes": "no sight of other processes",
    "files": "a file system with nothing but Python, and an empty folder",
    "system calls": "no memory beside the limit, no keys, no sockets but local ones",
}


def run(arguments: argparse.Namespace) -> None:
    """Grade what the command line names.

    Raises:
        UserError: something that the person at the keyboard can put right; what is graded stands in the journal.
    """
    sandbox.needs_posix()
    try:
        _run(arguments)
    except BrokenPipeError:  # nobody reads what is printed
        raise
    except OSError as error:
        raise UserError(_trouble(error, arguments.out)) from error


def _trouble(error: OSError, out: Path) -> str:
    """Return what to do about a disk that is full, or a file that cannot be written."""
    name = error.filename
    where = f" ({os.fsdecode(name) if isinstance(name, (str, bytes)) else out.parent})"
    if error.errno in sandbox.FULL:
        told, cure = f"The disk is full{where}", "Make room"
    else:
        told, cure = f"{error.strerror or error}{where}", "Put it right"
    return (
        f"{told}. The table that was there is as it was, and what is graded stands in the journal. "
        f"{cure} and call the command again; it goes on where it stopped."
    )


def _run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    folder = arguments.submissions.is_dir()  # only a zip is unpacked
    with contextlib.nullcontext("") if folder else tempfile.TemporaryDirectory(prefix="grading-") as scratch:
        found = collect(arguments.submissions, Path(scratch), arguments.students)
        _say_found(found)
        if not found.submissions:
            print(f"There is no notebook in {arguments.submissions}. Nothing is written.")
            return
        words = sets_of(arguments.set) or choose_sets(found, arguments.assignment)
        _say_other_sets(found, words)
        settings: dict[str, Any] = {"sets": words, "course": gancourse.__version__, "code": fingerprint(words)}
        settings |= {"wall": arguments.wall, "memory": arguments.memory}
        byhand = ByHand(arguments.out)
        path = arguments.out.with_name(arguments.out.name + ".journal")
        with Journal(path, settings, _seed(arguments.seed_file), arguments.restart) as journal:
            Grading(arguments, found, words, journal, byhand).run()


def _check(arguments: argparse.Namespace) -> None:
    sets_of(arguments.set)
    for name, value in (("--jobs", arguments.jobs), ("--wall", arguments.wall), ("--memory", arguments.memory)):
        if value <= 0:
            raise UserError(f"{name} {value}: more than 0 is needed.")
    for option, folder in (("--out", arguments.out.parent), ("--feedback", arguments.feedback)):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UserError(f"{option}: {folder} is not a folder.")
    if arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a folder; a file such as {arguments.out / 'grades.csv'} is needed.")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)


def _seed(path: Path | None) -> int | None:
    """Return the seed that a file gives: any bytes will do, as long as nobody else knows them."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"--seed-file {path} cannot be read: {error.strerror}.") from None
    if not data.strip():
        raise UserError(f"--seed-file {path} is empty. Put a line into it that nobody can guess.")
    return int.from_bytes(hashlib.sha256(data.strip()).digest()[:4], "big") // 2


def _say_found(found: Found) -> None:
    """Say what was not looked at, and what is odd about the names."""
    for path, reason in [*found.skipped.items()][:SHOWN]:
        print(f"skipped: {path} ({reason})")
    if len(found.skipped) > SHOWN:
        print(f"skipped: {len(found.skipped) - SHOWN:,} more")
    empty = sum(submission.fault == EMPTY for submission in found.submissions)
    if empty:
        print(f"{empty:,} of {len(found.submissions):,} files are empty")
    for note in found.notes:
        print(f"note: {note}")
    for number, students in found.shared().items():
        print(f"WARNING: {len(students)} rows have the number {number}: {', '.join(students)}; look at their files")


def _nothing_found(record: dict[str, Any]) -> bool:
    """Return whether a file can be read, and answers no exercise at all."""
    exercises = record.get("exercises", {}).values()
    return bool(exercises) and all(each["hint_id"] == "missing" for each in exercises)


def sets_of(given: str | None) -> list[str]:
    """Return the sets that ``--set`` names, by word or chapter: one, or several with commas between them.

    Raises:
        UserError: there is no such set.
    """
    words = [sets.word(word.strip()) for word in given.split(",")] if given is not None else []
    return list(dict.fromkeys(words))


def choose_sets(found: Found, assignment: str | None = None) -> list[str]:
    """Return the set that notebooks name; if they name several, the one that stands in the assignment's title.

    It is never chosen by numbers: what one student hands in must not change the possible points of all.

    Raises:
        UserError: no notebook names one, or they name several and the title does not tell.
    """
    title = re.findall(r"\w+", (assignment or "").lower())
    count = Counter(word for submission in found.submissions for word in submission.words if word in INDEX)
    words = [word for word in INDEX if count[word]]
    titled = [word for word in words if word in title or INDEX[word][0] in title]
    words = titled if len(titled) == 1 else words
    if not words:
        empty = sum(submission.fault == EMPTY for submission in found.submissions)
        told = f" ({len(found.submissions):,} files, {empty:,} of them empty)" if empty else ""
        raise UserError(f"No notebook says which exercises it answers{told}. Give --set, one of: {', '.join(INDEX)}.")
    if len(words) > 1:
        named = ", ".join(f"{word} ({count[word]})" for word in words)
        raise UserError(
            f"The notebooks name several sets, here with the number of files: {named}. Give the one of this assignment "
            "with --set, or several with commas between them."
        )
    print(f"set: {words[0]}")
    return words


def _say_other_sets(found: Found, words: list[str]) -> None:
    """Warn if the notebooks name sets, and never one of those that are graded."""
    count = Counter(word for submission in found.submissions for word in submission.words & set(INDEX))
    if count and not any(count[word] for word in words):
        others = ", ".join(f"{word} ({number})" for word, number in count.most_common())
        print(f"WARNING: no notebook names the set {', '.join(words)}; they name {others}. Is it the right --set?")


class Grading:
    """One grading: workers, the journal, the points that were given by hand, and the tables."""

    def __init__(
        self, arguments: argparse.Namespace, found: Found, words: list[str], journal: Journal, byhand: ByHand
    ) -> None:
        self.arguments, self.found, self.words, self.journal = arguments, found, words, journal
        self.byhand = byhand
        self.fleeting: dict[str, dict[str, Any]] = {}  # results that are not kept: the file has changed meanwhile
        self.limits = Limits(wall=arguments.wall, cpu=int(arguments.wall) + 1, memory=arguments.memory * 2**20)
        self.tasks: list[Task] = []
        self.answers = 0
        self.lock = threading.Lock()
        self.problem: BaseException | None = None
        self.assignment = arguments.assignment or f"Exercises {', '.join(words)}"

    def run(self) -> None:
        """Grade what is not graded yet, then write everything."""
        todo = {s.digest: s for s in self.found.submissions if s.digest and s.digest not in self.journal.records}
        done = len({s.digest for s in self.found.submissions if s.digest}) - len(todo)
        if done:
            print(f"{done} submissions are graded already; see {self.journal.path}")
        if self.journal.damaged:
            print(f"{self.journal.damaged} damaged lines of {self.journal.path} are left out")
        if self.byhand.kept:
            print(
                f"{self.arguments.out} has been changed since it was written: the points of {self.byhand.taken} texts "
                f"are taken over, and the table as it is now is kept as {self.byhand.kept}"
            )
        users = self._users(min(self.arguments.jobs, max(1, len(todo))))
        start = time.monotonic()
        first = Worker(self._settings(users[0]) | {"look": True})
        try:
            self.tasks = [Task(**each) for each in first.hello["exercises"]]
            self._say_isolation(first.hello)
            pending: queue.SimpleQueue[Submission] = queue.SimpleQueue()
            for submission in todo.values():
                pending.put(submission)
            start = time.monotonic()
            threads = [threading.Thread(target=self._serve, args=(pending, None, uid)) for uid in users[1:]]
            for thread in threads:
                thread.start()
            self._serve(pending, first, users[0])
            for thread in threads:
                thread.join()
        finally:
            first.stop()
        if self.problem is not None:
            raise self.problem
        seconds = time.monotonic() - start
        self.write()
        self.write_feedback()
        self._say_result(len(todo), seconds)

    def _users(self, jobs: int) -> list[int | None]:
        if os.geteuid() != 0:
            return [None] * jobs
        users = isolation.free_users(jobs)
        if len(users) < jobs:
            raise UserError("You are root, and there is no free user to run answers as. Grade as an ordinary user.")
        return list(users)

    def _settings(self, uid: int | None) -> dict[str, Any]:
        """Return what a worker is told. `paths` are those that no answer may reach."""
        paths = {
            "the CSV's folder": self.arguments.out.parent,
            "the journal": self.journal.path,
            "the submissions": self.arguments.submissions,
            REFERENCES: Path(gancourse.__file__).parent / "checks" / "sets",
        }
        if self.arguments.seed_file:
            paths["the seed file"] = self.arguments.seed_file
        resolved = {name: str(path.resolve()) for name, path in paths.items()}
        settings = {"uid": uid, "limits": asdict(self.limits), "words": self.words, "seed": self.journal.seed}
        return settings | {"paths": resolved, "look": False}

    def _say_isolation(self, hello: dict[str, Any]) -> None:
        """Say what keeps answers apart, as measured by a child, and refuse if it is not enough.

        Raises:
            UserError: answers run as root, or can reach the grader's files.
        """
        held = [name for name in MEANINGS if name in hello["in_force"]]
        if hello["seen"].get("open") and "system calls" in held:
            held.remove("system calls")
        print("answers run with: " + ("; ".join(MEANINGS[name] for name in held) or "limits only"))
        if missing := [name for name in MEANINGS if name not in held and name != "user"]:
            print("this system does not give: " + "; ".join(MEANINGS[name] for name in missing))
        seen = hello["seen"]
        if seen["user"] == 0:
            raise UserError("Answers would run as root. Grade as an ordinary user, or in the container.")
        reached = sorted({*seen["readable"], *seen["writable"]} - {REFERENCES})
        if reached and not self.arguments.weak_isolation:
            raise UserError(
                f"Here an answer can reach your files: {', '.join(reached)}. Another system or the container keeps "
                "them apart; as root, taking the rights of others away (chmod -R go-rwx) does. "
                "--weak-isolation grades anyway."
            )
        if reached:
            print(f"WARNING: answers can reach {', '.join(reached)}; do not trust these points blindly")
        places = seen.get("references", [])
        if places or REFERENCES in seen["readable"]:
            where = f" in {', '.join(places[:SHOWN])}" if places else ""
            print(f"WARNING: answers can read {REFERENCES}{where}; one that does gets its points")

    def _serve(self, pending: queue.SimpleQueue[Submission], worker: Worker | None, uid: int | None) -> None:
        """Grade until nothing is left or something is wrong with the grader itself."""
        try:
            while self.problem is None:
                try:
                    submission = pending.get_nowait()
                except queue.Empty:
                    return
                worker = worker or Worker(self._settings(uid))
                record = self._grade(worker, submission)
                with self.lock:
                    if record.pop("changed", False):
                        self.fleeting[submission.digest] = record
                        continue
                    self.journal.add(record)
                    self.answers += sum(each["hint_id"] != "missing" for each in record["exercises"].values())
                    if len(self.journal.records) % EVERY == 0:
                        self.write()
                        print(f"{len(self.journal.records)} graded", flush=True)
        except BaseException as error:
            self.problem = error
        finally:
            if worker is not None:
                worker.stop()

    def _grade(self, worker: Worker, submission: Submission) -> dict[str, Any]:
        """Return the record of one submission, whatever it does to the worker."""
        exercises: dict[str, dict[str, Any]] = {}
        faults: list[str] = []
        unreadable = False
        words = sorted(submission.words & set(self.words))
        for attempt in range(2):
            request = {"file": str(submission.file), "digest": submission.digest, "words": words}
            request["skip"] = list(exercises)
            running = None
            for reply in worker.ask(request, self.limits.wall * 2 + PATIENCE):
                if "starts" in reply:
                    running = reply["starts"]
                elif "exercise" in reply:
                    exercises[reply["exercise"]] = reply
                    running = None
                else:
                    faults = reply.get("faults", faults)
                    unreadable = unreadable or reply.get("unreadable", False)
                    if reply.get("done"):
                        record = {"digest": submission.digest, "faults": faults, "unreadable": unreadable}
                        changed = {"changed": True} if reply.get("changed") else {}
                        return record | changed | {"exercises": exercises}
            hung = worker.hung()
            worker.restart()  # the exercise that it was at is lost; all others too, if it hung or died a second time
            if running is None:
                faults, unreadable = ["reading it stopped the grader's reader"], True
                break
            exercises[running] = _lost(running, "judging what it sent back took too long, or stopped the judge")
            if hung or attempt:
                hint = f"not judged, because {running} stopped the judge"
                for task in self.tasks:
                    if task.name not in exercises and (not words or task.name.split(".")[0] in words):
                        exercises[task.name] = _lost(task.name, hint)
                break
        return {"digest": submission.digest, "faults": faults, "unreadable": unreadable, "exercises": exercises}

    # Writing -----------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Return one row for each student who handed anything in."""
        owners: dict[str, list[str]] = {}
        for submission in self.found.submissions:
            if submission.digest:
                owners.setdefault(submission.digest, []).append(submission.path)
        rows, shared = [], self.found.shared()
        for (number, student), submissions in self.found.students().items():
            row = Row(student, number, [s.path for s in submissions])
            if others := [other for other in shared.get(number, []) if other != student]:
                row.notes.append(f"{', '.join(others)} has the number {number} too")
            for submission in submissions:
                record = self.journal.records.get(submission.digest) or self.fleeting.get(submission.digest, {})
                if submission.fault:
                    record = {"faults": [submission.fault]}
                elif not record:
                    record = {"faults": ["not graded yet"]}
                tables.combine(row, record, submission.path)
                if _nothing_found(record):
                    told = ", ".join(sorted(submission.words & set(INDEX))) or "no set"
                    row.notes.append(f"none of the names that are asked for; the file names {told}")
                if other := next((path for path in owners.get(submission.digest, []) if path != submission.path), ""):
                    row.notes.append(f"the same file as {other}")
            if len(submissions) > 1:
                row.notes.append(f"{len(submissions)} files; for each exercise a right answer in any of them counts")
            rows.append(row)
        self.byhand.fill(rows, self.tasks)
        return rows

    def write(self) -> None:
        """Write the CSV, and keep the points that were given by hand."""
        self.byhand.look()
        rows = self.rows()
        text = tables.table(rows, self.tasks, self.arguments.format, self.assignment)
        write_whole(self.arguments.out, text)
        self.byhand.remember(rows, self.tasks, text)

    def write_feedback(self) -> None:
        """Write a page for each student."""
        if self.arguments.feedback is not None:
            self.arguments.feedback.mkdir(parents=True, exist_ok=True)
            for name, row in tables.pages(self.rows()):
                text = tables.feedback(row, self.tasks, self.assignment)
                write_whole(self.arguments.feedback / name, text, sync=False)

    def _say_result(self, graded: int, seconds: float) -> None:
        rows = self.rows()
        if graded:
            rate = self.answers / max(seconds, 1e-9)
            print(f"{graded} notebooks, {self.answers} answers in {seconds:.1f} s: {rate:.1f} answers a second")
        faulty = sum(bool(row.faults) for row in rows)
        twice = sum(len(row.files) > 1 for row in rows)
        copied = sum(any("the same file" in note for note in row.notes) for row in rows)
        print(f"{len(rows)} students in {self.arguments.out}: {faulty} with faults, {twice} with several files", end="")
        print(f", {copied} with a file that another one has too" if copied else "")
        for task in self.tasks:
            if task.by_hand:
                states = Counter("with points" if task.name in row.given else tables.state(row, task) for row in rows)
                print(f"by hand: {task.name} ({', '.join(f'{number} {state}' for state, number in states.items())})")
        if above := sum(row.given.get(task.name, 0) > task.points for row in rows for task in self.tasks):
            print(f"WARNING: {above} texts have more points by hand than there are; the notes say which")
        if absent := self.byhand.absent(rows):
            print(f"{absent} students with points by hand are not among these; theirs are kept in {self.byhand.path}")
        if any(row.best for row in rows) and all(_nothing_found({"exercises": row.best}) for row in rows if row.best):
            names = ", ".join(task.answer for task in self.tasks)
            print(f"WARNING: no notebook defines any of the names that {', '.join(self.words)} asks for: {names}")
        if self.arguments.feedback is not None:
            print(f"feedback in {self.arguments.feedback}")
        if self.arguments.format != "plain" and any(not row.number for row in rows):
            print(f"some students have no number in their files' names; {self.arguments.format} will ask who they are")


def _lost(name: str, hint: str) -> dict[str, Any]:
    """Return the record of an exercise that could not be judged."""
    fault = {"ok": False, "hint_id": "judge-error", "hint": hint, "notes": [], "text": "", "seconds": 0.0}
    return {"exercise": name} | fault


class Worker:
    """A comparing process; see `gancourse.grading.worker`."""

    program: tuple[str, ...] = ("-m", "gancourse.grading.worker")

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.restart()

    def restart(self) -> None:
        """Start the process, anew if need be.

        Raises:
            UserError: it does not come up.
        """
        self.stop()
        command = [sys.executable, *self.program]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        }
        self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment | sandbox.QUIET | dict.fromkeys(THREADS, "1"),
        )
        self.unread = b""
        self._send(self.settings)  # not as an argument: the seed is a secret, and arguments are for all to see
        hello = self._line(sandbox.START_SECONDS * 2)
        if hello is None:
            self.stop()
            raise UserError("The grader's own processes do not start; what they said is above.")
        self.hello = hello

    def ask(self, request: dict[str, Any], patience: float) -> Sequence[dict[str, Any]]:
        """Return the replies to a request; the last one has ``done``, unless the worker hung or died."""
        replies: list[dict[str, Any]] = []
        self._send(request)
        while reply := self._line(patience):
            replies.append(reply)
            if reply.get("done"):
                break
        return replies

    def hung(self) -> bool:
        """Return whether a process that sends no more is stuck, or has used all its processor time; else it died."""
        assert self.process is not None
        try:
            return self.process.wait(LAST_WORDS) == -signal.SIGXCPU
        except subprocess.TimeoutExpired:
            return True

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            pass  # it has died; no reply will come

    def _line(self, patience: float) -> dict[str, Any] | None:
        """Return the next line, None if none comes."""
        assert self.process is not None and self.process.stdout is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not chunk:
                return None
            self.unread += chunk
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line)

    def stop(self) -> None:
        """End the process; its sandbox ends with it."""
        process = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        self.process = None
