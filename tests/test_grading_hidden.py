"""Right answers are out of reach in every installation: each copy of the references, under each of its names.

An environment outside of ``/tmp`` is made for this, since answers see a folder of their own there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import submissions as made
from test_grading import UID, arguments

from gancourse.checks import probes
from gancourse.grading import hiding, isolation
from gancourse.grading.command import Grading

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading needs fork")

#: An answer that walks the disk and looks for right answers, in ways of its own.
WALK = """
import os
def answer():
    found = []
    for folder, folders, files in os.walk("/"):
        for name in files:
            path = os.path.join(folder, name)
            places = ("checks/sets/", "tests/mutants/", "notebooks/solutions/", "/.git/")
            if any(place in folder + "/" for place in places):
                found.append(path)
            if name.startswith("gancourse") and os.path.getsize(path):
                found.append(path)
    raise ValueError(found)
"""

#: What is run in the environment: two clean parents, one of which does not hide anything.
ASK = """
import json, sys
from gancourse.grading.isolation import Limits
from gancourse.grading.sandbox import Sandbox
uid, walk, program, cases = json.loads(sys.stdin.readline())
limits = Limits(wall=120, cpu=120)
with Sandbox(uid, limits, **({"program": tuple(program)} if program else {})) as box:
    seen = box.report({}, look=True)
    text = box.run([(walk, "cell 1")], "answer", cases, "call").text
    print(json.dumps([box.in_force, seen["references"], json.loads(text)[0]["message"]]))
"""

CARELESS = (
    "-c",
    "from gancourse.grading import isolation, zygote\nisolation._hide = lambda path: None\nzygote.main()",
)


def checkout(folder: Path) -> None:
    """Make what a clone of the course looks like."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(made.ROOT / "gancourse", folder / "gancourse", ignore=ignored)
    for name in ("notebooks/solutions", "tests/mutants"):
        shutil.copytree(made.ROOT / name, folder / name, ignore=ignored)
    (folder / ".git").mkdir()
    (folder / ".git" / "packed").write_text("history")


@pytest.fixture(scope="module")
def environment() -> Iterator[Path]:
    """An environment with the course installed, a checkout and an archive in it, and a link that leads to it."""
    for place in ("/var/tmp", os.path.expanduser("~")):
        if os.access(place, os.W_OK) and not os.path.realpath(place).startswith("/tmp"):
            break
    else:
        pytest.skip("there is no folder outside of /tmp to write to")
    top = Path(tempfile.mkdtemp(prefix="gancourse-test-", dir=place))
    try:
        top.chmod(0o755)
        real = top / "real"
        command = [sys.executable, "-m", "venv", "--without-pip", str(real)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this Python makes no virtual environments")
        (packages,) = real.glob("lib/python*/site-packages")
        others = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
        (packages / "others.pth").write_text("\n".join(others))
        shutil.copytree(made.ROOT / "gancourse", packages / "gancourse")
        checkout(real / "src" / "gancourse")
        (real / "share").mkdir()
        (real / "share" / "gancourse-0.1.0-py3-none-any.whl").write_bytes(b"PK")
        (top / "named").symlink_to("real")
        yield top
    finally:
        shutil.rmtree(top)


def ask(python: Path, walk: str = WALK, program: tuple[str, ...] = (), path: str = "") -> tuple[list[str], str]:
    """Return which right answers a child finds, and what an answer that walks the disk has found."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [str(python), "-c", ASK],
        input=json.dumps([UID, walk, program, probes.to_json([probes.Case()])]) + "\n",
        capture_output=True,
        text=True,
        env=kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    in_force, references, message = json.loads(done.stdout.splitlines()[-1])
    if "files" not in in_force:
        pytest.skip("this system gives answers no file system of their own")
    return references, message


@pytest.mark.parametrize("reached", ["by the link", "with the checkout in front"])
def test_no_copy_of_the_references_is_in_reach(environment: Path, reached: str) -> None:
    python = environment / ("named" if "link" in reached else "real") / "bin" / "python"
    references, message = ask(python, path=str(environment / "real/src/gancourse") if "checkout" in reached else "")
    assert references == [] and message.startswith("it stops with ValueError: []"), message


def test_what_is_not_hidden_is_told(environment: Path) -> None:
    """A child that looks for itself finds what an answer would find, however it came to be there."""
    references, message = ask(environment / "named" / "bin" / "python", program=CARELESS)
    ends = ("site-packages/gancourse/checks", "src/gancourse/gancourse/checks", "mutants", "solutions", ".git", ".whl")
    for end in ends:
        for name in ("real", "named"):
            assert any(place.startswith(f"{environment / name}/") and place.endswith(end) for place in references), end
    assert "ValueError: ['" in message


def test_the_command_says_what_answers_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grading = Grading.__new__(Grading)
    grading.arguments = arguments(str(tmp_path), "--out", str(tmp_path / "g.csv"))
    seen: dict[str, Any] = {"user": 60_001, "readable": [], "writable": [], "references": ["/opt/x/checks"]}
    grading._say_isolation({"in_force": ["user"], "seen": seen})
    assert "WARNING: answers can read the references of the checks in /opt/x/checks" in capsys.readouterr().out
    grading._say_isolation({"in_force": ["user"], "seen": seen | {"references": []}})
    assert "WARNING" not in capsys.readouterr().out


def test_copies_are_found_by_what_they_hold(tmp_path: Path) -> None:
    for path in (
        "a/site-packages/gancourse/checks/sets/__pycache__/game.cpython-311.pyc",  # compiled only
        "a/site-packages/gancourse/checks/build.py",
        "a/site-packages/gancourse/grading/worker.py",
        "a/site-packages/gancourse/losses.py",
        "b/renamed/checks/sets/lsgan.py",
        "c/sets/game.py",
        "c/sets/lsgan.py",
        "d/sets/game.py",  # some other package
        "d/checks/game.py",
        "e/tests/mutants/game.py",
        "e/tests/mutants/cgan.py",
        "e/notebooks/solutions/01_two_players.ipynb",
        "e/notebooks/exercises/01_two_players.ipynb",
        "e/.git/HEAD",
        "f/gancourse.git/HEAD",
        "f/gancourse-0.2.0.tar.gz",
        "f/other-0.2.0.tar.gz",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "gancourse.zip").touch()  # nothing in it
    (tmp_path / "g" / ".git").mkdir()
    (tmp_path / "link").symlink_to("a")
    found = sorted(os.path.relpath(path, tmp_path) for path in hiding.copies([str(tmp_path)]))
    expected = [
        "a/site-packages/gancourse/checks",
        "a/site-packages/gancourse/grading",
        "b/renamed/checks",
        "c/sets",
        "e/.git",
        "e/notebooks/solutions",
        "e/tests/mutants",
        "f/gancourse-0.2.0.tar.gz",
        "f/gancourse.git",
    ]
    assert found == expected
    twice = sorted(hiding.copies([str(tmp_path / "a"), str(tmp_path / "link")]))
    assert twice == [f"{tmp_path}/{top}/{end[2:]}" for top in ("a", "link") for end in expected[:2]]


def test_this_checkout_is_found() -> None:
    assert str(made.ROOT / "gancourse" / "checks") in set(hiding.copies([str(made.ROOT)]))
    assert str(Path(hiding.__file__).resolve().parents[1]) in isolation.shown() or any(
        isolation._inside(str(made.ROOT), path) for path in isolation.shown()
    )
