"""The package and the chapters fit what Colab has installed, and every address follows _config.yml."""

import re
import subprocess
import tomllib

import chapters
import colab
import pytest

ROOT = chapters.ROOT
LISTING = colab.versions_file()
VERSIONS = colab.colab_versions(LISTING)
CONFIG = chapters.config()
OFFLINE = r"NewConnectionError|Max retries|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|Connection broken"


def test_the_list_of_versions_is_read():
    assert colab.colab_python(LISTING) == "3.13"
    assert len(VERSIONS) > 500
    assert str(VERSIONS["torch"]).startswith("2.") and "pillow" in VERSIONS


def test_requirements_admit_colab():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    problems = colab.requirement_problems(pyproject, VERSIONS, colab.colab_python(LISTING))
    assert not problems, "\n".join(problems)


def test_requirements_have_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    capped = [line for line in project["dependencies"] if re.search(r"==|~=|<", line)]
    assert not capped, f"exact pins belong into requirements.txt, not into pyproject.toml: {capped}"


def test_the_package_needs_nothing_newer_than_colab_has():
    problems = colab.package_problems(ROOT / "gancourse")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_a_chapter_imports_what_colab_has(path):
    canonical = colab.install_cell(CONFIG, chapters.version())
    file = path.relative_to(ROOT).as_posix()
    problems = colab.import_problems(chapters.read(path), file, VERSIONS, canonical)
    assert not problems, "\n".join(problems)


def test_pip_resolves_with_colabs_versions():
    try:
        done = colab.resolve(timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index did not answer within two minutes")
    if "No module named pip" in done.stderr:
        pytest.skip("this environment has no pip")
    if done.returncode and re.search(OFFLINE, done.stderr):
        pytest.skip("the package index cannot be reached from here")
    errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert done.returncode == 0, "\n".join(errors)


def test_every_address_of_the_repository_follows_the_configuration():
    repository, site = CONFIG["repository"]["url"], CONFIG["html"]["baseurl"]
    files = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", *ROOT.glob("*.md")]
    for folder, pattern in (("gancourse", "*.py"), ("book", "*.md"), ("notebooks", "*.ipynb")):
        files += (ROOT / folder).rglob(pattern)
    wrong = []
    for path in (path for path in files if path.is_file()):
        text = path.read_text(encoding="utf-8")
        for address in re.findall(r"https://(?:github\.com/[\w.-]+/gancourse|[\w.-]+\.github\.io/gancourse)\b/?", text):
            if address.rstrip("/") not in (repository.rstrip("/"), site.rstrip("/")):
                wrong.append(f"{path.relative_to(ROOT)}: {address}")
    assert not wrong, "\n".join(wrong)
