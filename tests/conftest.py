"""What every test starts from: one thread, the smallest profile, no download, and the maintainer's tools.

Tests that look at pages share one Chromium and the built site, by the fixtures ``browser`` and ``site``.
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Tests never download data. Whether this run is a public host's is kept for the tests that must know.
os.environ.setdefault("GANCOURSE_TESTS_ON_CI", os.environ.get("CI", ""))
os.environ["CI"] = "true"

os.environ.setdefault("GANCOURSE_PROFILE", "smoke")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

# More threads than cores make PyTorch many times slower, and tests run two at a time.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

# At the end of the path: the tools' names must not hide a package's.
sys.path.append(str(ROOT / "book" / "tools"))


def main(capsys, *arguments):
    """Run a command of gancourse in this process; return status, output and errors."""
    from gancourse import cli

    try:
        status = cli.main([str(a) for a in arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    import browser as tools

    if os.name != "posix":
        tools.absent("browser tests need the pipes of Linux")
    if tools.CHROMIUM is None:
        tools.absent("no Chromium here; on Debian: apt-get install chromium")
    try:
        running = tools.Browser(tools.CHROMIUM, tmp_path_factory.mktemp("chromium") / "profile")
    except RuntimeError as error:
        tools.absent(f"Chromium does not start: {error}")
    yield running
    running.close()


@pytest.fixture(scope="session")
def site(browser, tmp_path_factory):
    """Return the folder of the built site and the address at which it is served, under its published path."""
    import browser as tools
    import yaml

    html, done = tools.shared_build(tmp_path_factory)
    if done.returncode:
        tools.absent("the site did not build; test_site.py shows why")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    with tools.serve(html, urlsplit(config["html"]["baseurl"]).path) as address:
        yield html, address
