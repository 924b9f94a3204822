"""The GitHub workflows name only what exists, run what they should, and may do no more than they need."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import colab
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
# YAML 1.1 reads the key `on` as true; read as text it stays what it is.
WORKFLOWS: dict[str, Any] = {name: yaml.load(text, yaml.BaseLoader) for name, text in TEXTS.items()}
JOBS = [(name, job_name, job) for name, flow in WORKFLOWS.items() for job_name, job in flow["jobs"].items()]
IDS = [f"{name}:{job_name}" for name, job_name, _ in JOBS]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))

ACTIONS = {"actions/checkout", "actions/setup-python", "actions/upload-pages-artifact", "actions/deploy-pages"}
"""GitHub's own. Anyone else's would run with our permissions; a new one is added here on purpose."""


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return job.get("steps", [])


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step["run"] for step in steps(job) if "run" in step)


def supported() -> list[str]:
    """Return the Pythons from the package's lower bound to Colab's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (low,) = re.fullmatch(r">=3\.(\d+)", project["requires-python"]).groups()
    high = colab.colab_python(colab.versions_file()).removeprefix("3.")
    return [f"3.{minor}" for minor in range(int(low), int(high) + 1)]


def test_the_four_workflows_are_there():
    assert set(WORKFLOWS) == {"tests.yml", "publish.yml", "links.yml", "colab.yml"}
    assert all(flow["name"] == Path(name).stem for name, flow in WORKFLOWS.items())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_does_not_pile_up(name):
    flow = WORKFLOWS[name]
    assert flow["permissions"] == {"contents": "read"}
    assert flow["concurrency"]["group"] and flow["concurrency"]["cancel-in-progress"] in ("true", "false")
    assert "workflow_dispatch" in flow["on"]
    assert "pull_request_target" not in flow["on"] and "workflow_run" not in flow["on"]
    assert "secrets" not in TEXTS[name]


@pytest.mark.parametrize(("name", "job_name", "job"), JOBS, ids=IDS)
def test_a_job_has_a_limit_and_no_more_rights_than_it_needs(name, job_name, job):
    if "uses" in job:
        assert (ROOT / job["uses"]).is_file()
        return
    assert job["runs-on"] == "ubuntu-latest"
    assert 0 < int(job["timeout-minutes"]) <= 60
    extra = {"pages": "write", "id-token": "write"} if (name, job_name) == ("publish.yml", "deploy") else None
    assert job.get("permissions") == extra


@pytest.mark.parametrize(("name", "job_name", "job"), JOBS, ids=IDS)
def test_actions_are_known_and_pinned_to_a_major_version(name, job_name, job):
    for step in steps(job):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            action, version = step["uses"].split("@")
            assert action in ACTIONS and re.fullmatch(r"v\d+", version), step["uses"]


@pytest.mark.parametrize(("name", "job_name", "job"), JOBS, ids=IDS)
def test_commands_name_what_exists(name, job_name, job):
    text = commands(job)
    assert set(re.findall(r"\bmake ([a-z]+)", text)) <= TARGETS
    named = re.findall(r"(?<![\w./-])((?:tests|book|notebooks|gancourse|\.ci)(?:/[\w.-]+)+|requirements\.txt)", text)
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"{name} names {missing}"


@pytest.mark.parametrize(("name", "job_name", "job"), JOBS, ids=IDS)
def test_commands_cannot_be_injected(name, job_name, job):
    """What others may choose, such as a branch's name, never becomes part of a shell command."""
    assert "${{" not in commands(job)


def test_every_supported_python_is_tested():
    job = WORKFLOWS["tests.yml"]["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == supported()
    assert job["container"]["image"].startswith("python:${{ matrix.python }}-")


def test_other_workflows_use_colab_s_python():
    used = [step["with"]["python-version"] for _, _, job in JOBS for step in steps(job) if "setup-python" in str(step)]
    assert used and set(used) == {supported()[-1]}


def test_tests_install_the_listed_debian_packages_and_run_make_test():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "bash .ci/run" in commands(WORKFLOWS["tests.yml"]["jobs"]["test"])
    assert ".ci/packages.txt" in script and re.search(r"^make test$", script, re.M)
    assert "chromium" in (ROOT / ".ci" / "packages.txt").read_text(encoding="utf-8").split()


def test_every_commit_is_tested_once_and_main_before_it_is_published():
    tests, publish = WORKFLOWS["tests.yml"], WORKFLOWS["publish.yml"]
    branch = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["branch"]
    assert {"pull_request", "workflow_call"} <= set(tests["on"])
    assert tests["on"]["push"] == {"branches-ignore": [branch]}
    assert publish["on"]["push"] == {"branches": [branch]}
    jobs = publish["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert (jobs["build"]["needs"], jobs["deploy"]["needs"]) == ("tests", "build")
    assert jobs["deploy"]["if"] == f"github.ref == 'refs/heads/{branch}'"
    # A called workflow in its caller's group would wait for its caller, which waits for it.
    assert tests["concurrency"]["group"] != publish["concurrency"]["group"]


def test_the_built_site_is_what_is_uploaded():
    build = WORKFLOWS["publish.yml"]["jobs"]["build"]
    assert "make book" in commands(build)
    (upload,) = [step for step in steps(build) if "upload-pages-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == "_build/html"
    assert "_build/html/_static/wheel/gancourse-*.whl" in commands(build)


@pytest.mark.parametrize("name", ["links.yml", "colab.yml"])
def test_runs_once_a_week(name):
    (entry,) = WORKFLOWS[name]["on"]["schedule"]
    minute, hour, *rest = entry["cron"].split()
    assert minute.isdigit() and hour.isdigit() and rest[:2] == ["*", "*"] and rest[2] in list("0123456")


def test_colab_workflow_uses_the_newest_list_of_versions():
    text = commands(WORKFLOWS["colab.yml"]["jobs"]["colab"])
    assert set(re.findall(r"tests/colab-versions-[\d-]+\.txt", text)) == {f"tests/{colab.versions_file().name}"}
    assert "--constraint" in text and "dist/*.whl" in text
