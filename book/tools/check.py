"""Run every check, or the ones named, and say at the end what passed and how long it took.

python book/tools/check.py                everything, as `make test` does
python book/tools/check.py lint types     only these
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIES = Path("_build") / "checked" / "notebooks"

# Two processes run at once, each with one thread: more threads than cores make PyTorch many times slower.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
PYTEST = ["pytest", "-n", "2"]
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600", "--dist", "loadscope"]

CHECKS: dict[str, tuple[list[str], dict[str, str]]] = {
    "lint": (["ruff", "check", "--quiet", "--output-format", "concise"], {}),
    "format": (["ruff", "format", "--check", "--quiet", "--output-format", "concise"], {}),
    "types": (["mypy", "gancourse"], {}),
    # One file stays with one process, so that what its tests share, such as the built site, is made once.
    "tests": ([*PYTEST, "--dist", "loadfile", "tests"], {"MPLBACKEND": "Agg"}),
    # A notebook draws with the backend of its own kernel. `smoke` proves that every line runs; CI: no download.
    "notebooks": ([*PYTEST, *NBVAL, COPIES.as_posix()], {"GANCOURSE_PROFILE": "smoke", "CI": "true"}),
}


def copy_notebooks() -> None:
    """Copy the notebooks to where nothing lies from an earlier run; what they write stays out of the way."""
    shutil.rmtree(ROOT / COPIES, ignore_errors=True)
    for notebook in (ROOT / "notebooks").rglob("*.ipynb"):
        copy = ROOT / COPIES / notebook.relative_to(ROOT / "notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, copy)


def run(name: str) -> tuple[bool, float]:
    """Run one check and return whether it passed and its seconds."""
    command, environment = CHECKS[name]
    print(f"\n== {name}: {' '.join(command)}", flush=True)
    start = time.monotonic()
    if name == "notebooks":
        copy_notebooks()
    base = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    env = base | ENVIRONMENT | environment
    passed = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=env).returncode == 0
    return passed, time.monotonic() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CHECK", help=f"any of {', '.join(CHECKS)} (default: all)")
    names = parser.parse_args().names or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        parser.error(f"there is no check called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    results = {name: run(name) for name in names}
    print("\n== summary")
    for name, (passed, seconds) in results.items():
        print(f"{'passed' if passed else 'FAILED'}  {name:<10} {seconds:6.1f} s")
    good = sum(passed for passed, _ in results.values())
    print(f"in {sum(seconds for _, seconds in results.values()):.0f} s\n")
    print(f"checks: {good} passed, {len(results) - good} failed")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
