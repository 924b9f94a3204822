"""Grading what students hand in: ``gancourse exercises grade submissions/ --out grades.csv``.

``submissions`` finds files, ``names`` whose they are; ``cells``, ``bindings`` and ``notebooks`` the code that an
answer needs, and ``reading`` has that done in a process of its own. ``sandbox`` and ``zygote`` run it in another, which
``isolation``, ``hiding`` and ``calls`` keep apart; ``worker`` judges what comes back, ``journal`` and ``tables`` keep
and write the results.
What this stops, and what it does not, is in book/instructors/grader.md. Nothing here loads torch before a grading.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gancourse.grading.names import CHOICES

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``gancourse exercises grade``."""
    parser.add_argument("submissions", type=Path, help="a folder of notebooks, or the zip that the LMS hands out")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the CSV to write")
    parser.add_argument(
        "--set", metavar="WORD", help="the set, such as game or 01 (default: the one that notebooks name)"
    )
    parser.add_argument("--format", choices=("plain", "canvas", "moodle"), default="plain", help="columns of the CSV")
    parser.add_argument("--assignment", metavar="TITLE", help="the assignment's name in the CSV and the feedback")
    parser.add_argument("--feedback", type=Path, metavar="DIR", help="write a Markdown page for each student")
    parser.add_argument("--seed-file", type=Path, metavar="FILE", help="a secret from which the inputs are drawn")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="notebooks at the same time (default: 1)")
    parser.add_argument("--students", choices=CHOICES, default="auto", help="what tells whose a file is")
    parser.add_argument("--wall", type=float, default=20.0, metavar="S", help="seconds for one answer (default: 20)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MB", help="memory for one answer (default: 1024)")
    parser.add_argument("--restart", action="store_true", help="forget what was graded before")
    parser.add_argument("--weak-isolation", action="store_true", help="grade even if answers can reach your files")


def run(arguments: argparse.Namespace) -> None:
    """Grade a folder or a zip, as the command line asks.

    Raises:
        UserError: an option is wrong, or answers cannot be kept away from the grader's files.
    """
    from gancourse.grading import command

    command.run(arguments)
