"""Every chapter keeps the chapter contract; every page's links and pictures are sound."""

import warnings

import chapters
import contract
import pytest

CHAPTERS = chapters.chapters()
PAGES = contract.pages()


def listed(violations):
    return "\n" + "\n".join(map(str, violations))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_the_contract(path):
    violations = contract.check(contract.Chapter(path))
    assert not violations, listed(violations)


@pytest.mark.parametrize("name", contract.TOO_WIDE_TODAY)
def test_a_chapter_that_may_still_be_too_wide_is_too_wide(name):
    """The list of contract.py only shrinks: who keeps the rule must leave it."""
    found = list(contract.too_wide(contract.Chapter(*chapters.chosen([name]))))
    assert found, f"{name} keeps the rule width now; take it out of TOO_WIDE_TODAY"
    lines = "\n".join(f"  cell {cell}: {what}" for cell, what in found)
    warnings.warn(f"{name} has lines that the page cannot show whole:\n{lines}", stacklevel=1)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(chapters.ROOT).as_posix())
def test_links_and_pictures_of_a_page(path):
    violations = contract.check_page(path)
    assert not violations, listed(violations)


def test_every_notebook_is_a_chapter_with_a_number_of_its_own():
    found = {path.name for path in (chapters.ROOT / "notebooks").glob("*.ipynb")}
    assert found == {path.name for path in CHAPTERS}, "chapters are called NN_name.ipynb"
    numbers = [chapters.number(path) for path in CHAPTERS]
    assert len(set(numbers)) == len(numbers), f"two chapters have one number: {numbers}"


def test_every_chapter_is_on_the_site():
    contents = (chapters.ROOT / "_toc.yml").read_text(encoding="utf-8")
    missing = [path.stem for path in CHAPTERS if f"notebooks/{path.stem}" not in contents]
    assert not missing, f"_toc.yml does not list {missing}"
