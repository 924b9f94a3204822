"""The pages without code say what is true: terms, symbols, commands, versions, licences.

Dead links and pictures without a text are found by tests/test_chapters.py and tests/test_site.py.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import chapters
import colab
import pytest
import yaml

import gancourse
from gancourse import cli, hub, runtime, systems, training

ROOT = Path(__file__).resolve().parents[1]
CONFIG = chapters.config()
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced code of some languages, also inside a list."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.M | re.S)
    return [re.sub(rf"^{indent}", "", code, flags=re.M) for indent, name, code in found if name in languages]


# Glossary --------------------------------------------------------------------------------------------


def terms() -> list[str]:
    (body,) = re.findall(r"^```\{glossary\}\n(.*?)^```", page("book/glossary.md"), re.M | re.S)
    return re.findall(r"^(\S.*)$", body, re.M)


def test_no_term_is_explained_twice():
    lowered = [term.lower() for term in terms()]
    assert len(lowered) >= 40
    assert len(set(lowered)) == len(lowered)


def test_terms_are_in_alphabetical_order():
    keys = [re.sub(r"\W", "", term).lower().replace("é", "e") for term in terms()]
    assert keys == sorted(keys)


def test_a_term_is_explained_in_few_sentences():
    (body,) = re.findall(r"^```\{glossary\}\n(.*?)^```", page("book/glossary.md"), re.M | re.S)
    for entry in body.strip().split("\n\n"):
        term, _, text = entry.partition("\n")
        assert 5 <= len(text.split()) <= 70, term


# Notation --------------------------------------------------------------------------------------------

ALIASES = {r"\varepsilon": r"\epsilon", r"\operatorname{KL}": r"\mathrm{KL}", r"\|": r"\lVert"}


def symbols(math: str) -> set[str]:
    """Return the symbols whose meaning must not change between chapters: Greek letters, distributions, losses."""
    for other, ours in ALIASES.items():
        math = math.replace(other, ours)
    greek = r"\\(?:alpha|beta|gamma|delta|epsilon|eta|theta|lambda|mu|pi|psi|sigma|Sigma|phi|tau|rho|xi|zeta)(?![a-z])"
    found = set(re.findall(greek, math))
    found |= {f"p_{name}" for name in re.findall(r"(?<![A-Za-z])p_\{?(?:\\text\{|\\mathrm\{)?(data|[a-z])\b", math)}
    found |= {f"L_{name}" for name in re.findall(r"\bL_\{?([A-Z])\b", math)}
    return found | set(re.findall(r"\\mathrm\{(?:KL|JSD)\}|\bW_1\b", math))


def formulas(text: str) -> str:
    text = re.sub(r"```.*?```|`[^`\n]*`", " ", text, flags=re.S)
    return " ".join(re.findall(r"\$\$.*?\$\$|\$[^$\n]+\$", text, re.S))


@cache
def known_symbols() -> set[str]:
    rows = re.findall(r"^\| (\$.*?) \| (.*?) \|", page("book/notation.md"), re.M)
    return set().union(*(symbols(formulas(f"{symbol} {meaning}")) for symbol, meaning in rows))


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_a_chapter_s_symbols_are_in_the_notation(path):
    prose = "\n".join(cell.source for cell in chapters.read(path).cells if cell.cell_type == "markdown")
    prose = prose.split("\n## What the papers")[0]  # there, papers speak in their own letters
    missing = symbols(formulas(prose)) - known_symbols()
    assert not missing, f"book/notation.md does not explain {sorted(missing)}"


@pytest.mark.parametrize("name", ["refresher", "glossary"])
def test_a_page_s_symbols_are_in_the_notation(name):
    assert symbols(formulas(page(f"book/{name}.md"))) <= known_symbols()


def test_no_symbol_is_explained_twice():
    listed = re.findall(r"^\| (\$.*?) \|", page("book/notation.md"), re.M)
    assert len(listed) > 40 and len(set(listed)) == len(listed)


def test_code_names_of_the_notation_exist():
    from gancourse import systems
    from gancourse.systems.configs import keys

    names = {"g_lr", "d_lr", "beta1", "beta2", "averaging", "latent_dim"}
    assert all(f"`{name}`" in page("book/notation.md") for name in names)
    assert names <= set().union(*keys(systems.recipe("digits-mlp").config))


# How to use ------------------------------------------------------------------------------------------


def test_the_install_cell_is_the_chapters_own():
    (cell,) = [code for code in blocks(page("book/how_to_use.md"), "ipython3") if "pip" in code]
    assert cell.strip() == colab.install_cell(CONFIG, chapters.version()).strip()


def console(name: str) -> list[list[str]]:
    """Return the shell commands of a page, as words, those of notebook cells too."""
    text = page(name)
    lines = "\n".join(blocks(text, "console", "powershell")).replace("\\", "/").splitlines()
    lines += [line[1:] for code in blocks(text, "ipython3") for line in code.splitlines() if line.startswith("!")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("name", ["book/how_to_use.md", "CONTRIBUTING.md"])
def test_commands_of_a_page_exist(name):
    commands = console(name)
    known = {"make", "gancourse", "git", "cd", "source", "pip", "jupyter", "export", "py", "python"}
    assert len(commands) > 8
    for words in commands:
        program = Path(words[0]).name
        assert program in known, words
        assert program != "make" or set(words[1:]) <= MAKE_TARGETS, words
        files = [word for word in words[1:] if word.endswith((".py", ".txt"))]
        assert all((ROOT / file).is_file() for file in files), words
        if program == "gancourse":
            check_gancourse(words[1:])


def check_gancourse(words: list[str]) -> None:
    """A command that parses, and names a recipe, a reference run, or a run's folder."""
    given = vars(cli.build_parser().parse_args(words))
    if given["command"] == "train":
        recipe = systems.recipe(given["recipe"])
        recipe.at(given["profile"] or "smoke", **training.parse_settings(given["set"]))
    elif given["command"] in ("sample", "evaluate"):
        assert given["name"].startswith("runs/") or given["name"] in hub.registry()


def test_python_shown_to_readers_runs(capsys):
    (code,) = [code for code in blocks(page("book/how_to_use.md"), "python") if "banner" in code]
    exec(compile(code, "how_to_use.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+) ", printed, re.M)[:5] == ["recipe", "device", "profile", "expect", "band"]


def test_every_profile_is_explained():
    assert tuple(re.findall(r"^\| `(\w+)` \|", page("book/how_to_use.md"), re.M))[:3] == runtime.PROFILES


def test_the_files_of_a_run_are_listed():
    (section,) = re.findall(r"^## What a run leaves behind\n(.*?)^```", page("book/how_to_use.md"), re.M | re.S)
    listed = {name.rstrip("/") for name in re.findall(r"^`([^`]+)`\n: ", section, re.M)}
    assert listed == training.RUN_FILES


# Citation, changelog, licences -----------------------------------------------------------------------


def test_citation_follows_the_package_and_the_configuration():
    citation = yaml.safe_load(page("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The gancourse authors"}]
    assert citation["version"] == gancourse.__version__
    assert citation["url"] == CONFIG["html"]["baseurl"]
    assert citation["repository-code"] == CONFIG["repository"]["url"]
    assert (citation["title"], citation["license"]) == (CONFIG["title"], "MIT")


def test_changelog_begins_with_this_version():
    (version, date), *_ = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", page("CHANGELOG.md"), re.M)
    assert version == gancourse.__version__
    assert date == str(yaml.safe_load(page("CITATION.cff"))["date-released"])
    assert f"[{version}]: {CONFIG['repository']['url']}/releases/tag/v{version}" in page("CHANGELOG.md")


def test_licences_name_everything_that_is_shipped():
    text = page("book/licences.md")
    vendored = re.findall(r"^\| \[(\S+)\].*?\| (\S+) \|$", page("book/_static/vendor/VENDOR.md"), re.M)
    assert len(vendored) >= 3
    for name, licence in vendored:
        assert re.search(rf"^\| \[{re.escape(name)}\].*\| {re.escape(licence)} \|$", text, re.M), name
    data = re.findall(r"^## `\S+`: (.+)$", page("gancourse/datasets/mini/ATTRIBUTION.md"), re.M)
    assert len(data) == len(list((ROOT / "gancourse/datasets/mini").glob("*.xz")))
    assert all(re.search(rf"^{re.escape(name)}$", text, re.M) for name in data)
    for folder in (path for path in (ROOT / "tests" / "vendor").glob("*") if path.is_dir()):
        assert f"[{folder.name}]" in text
    for file in re.findall(r"\{source\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        assert (ROOT / file).is_file(), file
    assert f"version {gancourse.__version__}" in text


def test_contributing_maps_every_test_file():
    named = set(re.findall(r"`tests/(\w+\.py)`", page("CONTRIBUTING.md")))
    there = {path.name for path in (ROOT / "tests").glob("*.py")} - {"conftest.py"}
    assert there <= named, f"CONTRIBUTING.md does not say what {sorted(there - named)} keeps"


def test_files_named_by_contributing_exist():
    named = re.findall(r"`((?:gancourse|book|tests|notebooks|\.ci)/[\w./-]+|_\w+\.yml)`", page("CONTRIBUTING.md"))
    known = [path for path in named if not re.search(r"NAME|NN_name|test_NAME", path)]
    assert len(known) > 20 and all((ROOT / path).exists() for path in known)
