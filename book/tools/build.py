"""Build the site from the committed notebooks, and the package's wheel beside it.

    python book/tools/build.py            the site goes to _build/html
    python book/tools/build.py --out DIR  the site goes to DIR/_build/html

No notebook is executed. Every warning is an error. Chapters opened on Colab install the wheel from the
published site, at _static/wheel/.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(title: str, command: list[str], **options) -> bool:
    """Run one step quietly and say how long it took; on failure show what it printed."""
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", **options)
    took = f"({time.monotonic() - start:.0f} s)"
    if done.returncode:
        told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        print(f"{title}: FAILED {took}\n{told}", flush=True)
        return False
    print(f"{title} {took}", flush=True)
    return True


def build_site(out: Path) -> bool:
    """Build every page afresh: a page built before would keep its old sidebar and hide its warnings."""
    shutil.rmtree(out / "_build" / "html", ignore_errors=True)
    command = ["-c", "from jupyter_book.cli.main import main; main()", "build", str(ROOT)]
    flags = ["--path-output", str(out), "-W", "-n", "--keep-going", "--all", "--quiet"]
    return run("Built the site", [sys.executable, *command, *flags], cwd=ROOT, env=os.environ | {"MPLBACKEND": "Agg"})


def build_wheel(folder: Path) -> bool:
    """Build the wheel from a clean copy, so that nothing left over from earlier builds gets into it."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        shutil.copytree(ROOT / "gancourse", source / "gancourse", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        command += ["--disable-pip-version-check", "--wheel-dir", str(folder), str(source)]
        # One fixed time stamp: the same sources give the same bytes.
        return run(
            "Built the wheel",
            [sys.executable, *command],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1577836800"},
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT, help="folder that gets _build/html (the repository)")
    out = parser.parse_args().out.resolve()
    html = out / "_build" / "html"
    if not (build_site(out) and build_wheel(html / "_static" / "wheel")):
        return 1
    page = html / "index.html"
    print(f"\nOpen {page} in a browser, or run `make serve` and go to http://localhost:8000/")
    return 0


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
