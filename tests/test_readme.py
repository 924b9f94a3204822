"""The README's commands exist, and the cheap ones run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gancourse import cli, hub, systems

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BLOCKS = re.findall(r"^```(console|bash|powershell)\n(.*?)^```", README, re.M | re.S)
COMMANDS = [shlex.split(line.replace("\\", "/"), comments=True) for _, text in BLOCKS for line in text.splitlines()]
COMMANDS = [command for command in COMMANDS if command]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def first_words(*words: str) -> list[list[str]]:
    return [command for command in COMMANDS if command[0] in words]


def shown(command: list[str]) -> str:
    return " ".join(command)


def test_first_screen_has_both_commands_and_a_picture():
    screen = "\n".join(README.splitlines()[:14])
    assert "make book" in screen and "make test" in screen
    picture = re.search(r"!\[[^\]]{20,}\]\(([^)]+)\)", screen)
    assert picture and (ROOT / picture[1]).is_file()


def test_every_command_is_of_a_known_kind():
    known = {"make", "gancourse", "git", "cd", "source", "pip", "jupyter", "py", ".venv/Scripts/python"}
    assert {command[0] for command in COMMANDS} <= known


@pytest.mark.parametrize("command", first_words("make"), ids=shown)
def test_make_target_exists(command):
    assert set(command[1:]) <= set(TARGETS)


def test_issue_commands_are_all_make_targets():
    assert {"book", "test", "serve", "outputs", "data", "lint"} <= set(TARGETS)


@pytest.mark.parametrize("command", first_words("gancourse"), ids=shown)
def test_gancourse_command_parses_and_names_what_exists(command):
    arguments = vars(cli.build_parser().parse_args(command[1:]))
    made_before = {c[i + 1] for c in COMMANDS for i, word in enumerate(c[:-1]) if word == "--out"}
    if "recipe" in arguments:
        assert arguments["recipe"] in systems.names()
    if arguments["command"] in ("sample", "evaluate"):
        assert arguments["name"] in made_before | set(hub.registry())
    if arguments["command"] == "describe":
        assert arguments["name"] in systems.names()


@pytest.mark.parametrize("command", first_words("py", ".venv/Scripts/python"), ids=shown)
def test_python_command_names_files_that_exist(command):
    files = [word for word in command[1:] if word.endswith((".py", ".txt"))]
    assert all((ROOT / file).is_file() for file in files)
    assert files or "venv" in command or command[-2:] == ["-e", "."]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["doctor"]], ids=shown)
def test_cheap_command_runs(arguments, tmp_path):
    env = os.environ | {"CI": "true"}  # never download
    command = [sys.executable, "-m", "gancourse", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_addresses_follow_the_configuration():
    repository, site = CONFIG["repository"]["url"], CONFIG["html"]["baseurl"]
    slug = repository.removeprefix("https://github.com/")
    ours = [url for url in re.findall(r"https?://[^\s)>\]`]+", README) if slug.split("/")[0] in url]
    assert repository in ours and site in ours
    assert all(url.startswith((repository, site)) for url in ours)


def test_relative_links_exist():
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert links and all((ROOT / link.split("#")[0]).exists() for link in links)
