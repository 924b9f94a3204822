"""Every chapter keeps the chapter contract; every page's links and pictures are sound."""

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
