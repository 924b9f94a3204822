"""The site builds without a warning, loads nothing from another host, and has no dead end."""

from __future__ import annotations

import base64
import io
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from browser import shared_build
from bs4 import BeautifulSoup
from PIL import Image

import gancourse

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "book" / "tools"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Build the site, once, into a folder of its own."""
    return shared_build(tmp_path_factory)


@pytest.fixture(scope="session")
def site(built) -> Path:
    html, done = built
    if done.returncode:
        pytest.skip("the site did not build")
    return html


@pytest.fixture(scope="session")
def soups(site) -> dict[Path, BeautifulSoup]:
    """Return every built page, parsed."""
    files = [f for f in site.rglob("*.html") if "_static" not in f.relative_to(site).parts]
    return {file: BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser") for file in files}


def test_site_builds_without_a_warning(built):
    _, done = built
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_vendored_files_are_the_listed_ones():
    done = subprocess.run([sys.executable, str(TOOLS / "vendor.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_vendored_packages_bring_their_licences():
    folders = [folder for folder in (ROOT / "book/_static/vendor").iterdir() if folder.is_dir()]
    assert len(folders) == 3
    assert all((folder / "LICENSE").stat().st_size > 500 for folder in folders)


def test_configured_scripts_are_vendored():
    config = CONFIG["sphinx"]["config"]
    scripts = [config["mathjax_path"], *config["nb_ipywidgets_js"]]
    assert all((ROOT / "book/_static" / script).is_file() for script in scripts)


def test_every_public_module_has_a_place_in_the_api_pages():
    modules = {info.name for info in pkgutil.walk_packages(gancourse.__path__, "gancourse.")}
    public = {name for name in modules if not any(part.startswith("_") for part in name.split("."))}
    public = {name for name in public if not name.startswith("gancourse.checks.sets")}  # they hold the solutions
    text = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "book/api").glob("*.md"))
    documented = re.findall(r"automodule:: (\S+)", text)
    assert sorted(documented) == sorted(public)


def test_every_page_is_listed_and_every_listed_page_is_built(site):
    pages = [page for page in (ROOT / "book").rglob("*.md") if "_static" not in page.parts]
    written = {str(page.relative_to(ROOT).with_suffix("")) for page in pages}
    written |= {str(page.relative_to(ROOT).with_suffix("")) for page in (ROOT / "notebooks").glob("*.ipynb")}
    written |= {f"notebooks/exercises/{page.stem}" for page in (ROOT / "notebooks/exercises").glob("*.ipynb")}
    assert sorted(PAGES) == sorted(written)
    assert all((site / f"{page}.html").is_file() for page in PAGES)
    assert (site / "index.html").is_file()


def test_nothing_is_loaded_from_another_host(site, soups):
    attributes = {
        "script": "src",
        "img": "src",
        "iframe": "src",
        "source": "src",
        "video": "src",
        "object": "data",
    }
    outside = []
    for page, soup in soups.items():
        loaded = [tag.get(attribute, "") for name, attribute in attributes.items() for tag in soup.find_all(name)]
        links = [tag for tag in soup.find_all("link") if "canonical" not in tag["rel"]]
        loaded += [tag["href"] for tag in links]
        styles = [tag.get_text() for tag in soup.find_all("style")] + [t["style"] for t in soup.find_all(style=True)]
        loaded += [url for style in styles for url in css_addresses(style)]
        outside += [f"{page.name}: {url}" for url in loaded if urlsplit(url).netloc]
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        outside += [f"{sheet.name}: {url}" for url in css_addresses(text) if urlsplit(url).netloc]
    assert outside == []


def css_addresses(text: str) -> list[str]:
    """Return what a style sheet loads, by url(…) or @import."""
    return re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", text)


def test_local_links_lead_somewhere(soups):
    dead = []
    for page, soup in soups.items():
        found = [(tag, tag[name]) for name in ("href", "src") for tag in soup.find_all(attrs={name: True})]
        for _, address in found:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            if not target.exists():
                dead.append(f"{page.name}: {address}")
            elif parts.fragment and target in soups and not soups[target].find(id=unquote(parts.fragment)):
                dead.append(f"{page.name}: {address}, no such place on the page")
    assert dead == []


def test_pictures_have_a_description(soups):
    silent = [f"{page.name}: {tag.get('src', '')[:80]}" for page, soup in soups.items()
              for tag in soup.select("article img") if not tag.get("alt", "").strip()]  # fmt: skip
    assert silent == []


def test_book_pages_describe_themselves(site, soups):
    pages = [site / f"{page}.html" for page in PAGES if page.startswith("book/")]
    assert pages
    for page in pages:
        tag = soups[page].find("meta", attrs={"name": "description"})
        assert tag and len(tag["content"]) > 15, page.name


def test_chapters_have_a_colab_button_at_the_right_address(soups):
    repository = CONFIG["repository"]
    slug = repository["url"].removeprefix("https://github.com/")
    start = f"{CONFIG['launch_buttons']['colab_url']}/github/{slug}/blob/{repository['branch']}/"
    chapters = [page for page in PAGES if page.startswith("notebooks/")]
    linked = {
        tag["href"]
        for soup in soups.values()
        for tag in soup.find_all("a", href=True)
        if "colab.research" in tag["href"]
    }
    assert linked == {f"{start}{page}.ipynb" for page in chapters}


def test_sources_are_not_published(site):
    assert not (site / "_sources").exists()
    assert not list(site.rglob("*.ipynb"))


def test_wheel_is_published_and_complete(site):
    (wheel,) = (site / "_static" / "wheel").glob("*.whl")
    assert wheel.name == f"gancourse-{gancourse.__version__}-py3-none-any.whl"
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = [f for f in (ROOT / "gancourse").rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert {f.relative_to(ROOT).as_posix() for f in package} <= inside
    names = zipfile.ZipFile(wheel)
    metadata = names.read(next(name for name in inside if name.endswith("/METADATA"))).decode()
    bounds = re.findall(r"^Requires-Dist: [\w.-]+(.*)$", metadata, re.M)
    assert bounds and all(bound.startswith(">=") and "," not in bound for bound in bounds)


def test_tables_that_a_cell_displays_are_tables(soups):
    """A Markdown output that is rendered without tables shows its pipes as text."""
    for file, soup in soups.items():
        for paragraph in soup.select("div.cell_output p"):
            assert "|---" not in paragraph.text, f"{file.name}: a table is shown as text: {paragraph.text[:60]!r}"
    chapter = next(soup for file, soup in soups.items() if file.name == "02_first_gan.html")
    assert len(chapter.select("div.cell_output table")) >= 3


# Chapter pages ---------------------------------------------------------------------------------------

CHAPTERS = [page for page in PAGES if re.fullmatch(r"notebooks/\d\d_\w+", page)]
NOTEBOOKS = {page: nbformat.read(ROOT / f"{page}.ipynb", as_version=4) for page in CHAPTERS}


@pytest.fixture
def chapter_soups(site, soups) -> dict[str, BeautifulSoup]:
    return {page: soups[site / f"{page}.html"] for page in CHAPTERS}


def test_chapters_have_their_number_in_heading_title_and_sidebar(site, chapter_soups, soups):
    for page, soup in chapter_soups.items():
        number, title = int(page[10:12]), NOTEBOOKS[page].metadata["gancourse"]["title"]
        heading = soup.select_one("article h1")
        assert heading.find(string=True) == f"Chapter {number} · {title}"
        assert soup.title.text.startswith(f"Chapter {number} · {title}")
        for file, other in soups.items():
            links = other.select(f'.bd-sidebar-primary a[href$="{page.split("/")[1]}.html"]')
            places = {link.text.strip(): (file.parent / link["href"]).resolve() for link in links}
            if other.select(".bd-sidebar-primary nav a") and file != site / f"{page}.html":
                assert places[f"{number}. {title}"] == site / f"{page}.html", file.name


def test_notebook_pages_describe_themselves_by_their_question(site, soups):
    pages = [page for page in PAGES if page.startswith("notebooks/")]
    told = {}
    for page in pages:
        tag = soups[site / f"{page}.html"].find("meta", attrs={"name": "description"})
        assert tag, page
        told[page] = tag["content"]
        assert 50 <= len(tag["content"]) <= 320 and not re.search(r"[\\${}*]", tag["content"]), tag["content"]
    assert len(set(told.values())) == len(pages)
    for page in CHAPTERS:
        asked = NOTEBOOKS[page].cells[0].source.split("**Question.** ")[1]
        words = re.sub(r"\[([^]]*)\]\([^)]*\)|[*$]", r"\1", asked)
        assert words.startswith(told[page][:60]), page


def test_the_link_to_colab_is_a_badge(site, soups):
    for page in (page for page in PAGES if page.startswith("notebooks/")):
        (image,) = soups[site / f"{page}.html"].select("article a[href*=colab] img")
        assert image["alt"] == "Open in Colab"
        assert image.parent["href"].endswith(f"/{page}.ipynb")


def test_numbers_of_equations_stand_beside_the_formulas(chapter_soups):
    for page, soup in chapter_soups.items():
        prose = "\n".join(cell.source for cell in NOTEBOOKS[page].cells if cell.cell_type == "markdown")
        written = re.findall(r"\\tag\{([\d.]+)\}", prose)
        shown = [tag.find(string=True).strip("()") for tag in soup.select("div.math .eqno")]
        assert shown == written
        assert all("\\tag" not in block.text for block in soup.select("div.math"))


def test_mentions_of_equations_are_links(chapter_soups):
    """Every (N.M) in the text of a chapter that is an equation's number leads to that equation."""
    places = {}
    for page, soup in chapter_soups.items():
        for block in soup.select("div.math[id]"):
            places[block.select_one(".eqno").find(string=True)] = (page.split("/")[1], block["id"])
    across = 0
    for page, soup in chapter_soups.items():
        for text in soup.select_one("article").find_all(string=re.compile(r"\(\d\.\d+\)")):
            if text.find_parent(["pre", "code", "h1", "h2", "h3", "script", "style", "figure"]):
                continue
            if text.find_parent(class_=["math", "gc-book", "output"]):
                continue
            for mention in re.findall(r"\(\d\.\d+\)", text):
                if mention in places:
                    assert text.parent.name == "a", f"{page}: {mention} in {text[:80]!r}"
        for link in soup.select("a.equation-link"):
            where, _, anchor = link["href"].partition("#")
            other, expected = places[link.text]
            assert (where or page.split("/")[1] + ".html", anchor) == (f"{other}.html", expected)
            across += bool(where)
    assert across >= 3  # chapters 3 and 4 lean on earlier ones


def test_previous_and_next_pass_by_the_exercises(site, soups):
    way = [page for page in PAGES if not page.startswith("notebooks/exercises/")]
    for k, page in enumerate(way):
        soup = soups[site / f"{page}.html"]
        for selector, j in ((".prev-next-area .left-prev", k - 1), (".prev-next-area .right-next", k + 1)):
            link = soup.select_one(selector)
            expected = way[j] if 0 <= j < len(way) else None
            found = (site / f"{page}.html").parent.joinpath(link["href"]).resolve() if link else None
            assert found == (site / f"{expected}.html" if expected else None), page


def test_exercises_hang_below_their_chapter(chapter_soups):
    for page, soup in chapter_soups.items():
        (link,) = soup.select(f'.bd-sidebar-primary a[href$="exercises/{page.split("/")[1]}.html"]')
        above = link.find_parent("li").find_parent("li").find("a")
        assert above["href"] == "#"  # the page itself


def test_the_map_shows_every_chapter_with_picture_and_minutes(site, soups):
    entries = soups[site / "book" / "index.html"].select(".chapter-entry")
    assert len(entries) == len(CHAPTERS)
    for page, entry in zip(CHAPTERS, entries, strict=True):
        record = NOTEBOOKS[page].metadata["gancourse"]
        assert {link["href"] for link in entry.select("a")} == {f"../{page}.html"}
        assert record["title"] in entry.select_one(".chapter-title").text
        assert re.findall(r"[\d.]+", entry.select_one(".chapter-minutes").text) == [
            f"{record['minutes'][key]:g}" for key in ("cpu", "gpu")
        ]
        image = entry.find("img")
        assert len(image["alt"]) > 30
        file = (site / "book" / image["src"]).resolve()
        assert 500 < file.stat().st_size <= 20_000


def test_the_thumbnail_is_the_tagged_picture_or_the_richest(tmp_path):
    import site_chapters

    def cell(colour, size, *tags):
        buffer = io.BytesIO()
        Image.new("RGB", size, colour).save(buffer, "PNG")
        data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
        made = nbformat.v4.new_code_cell(metadata={"tags": list(tags), "mystnb": {"image": {"alt": f"All {colour}."}}})
        made.outputs = [nbformat.v4.new_output("display_data", data=data)]
        return made

    small, large, tagged = cell("red", (30, 30)), cell("blue", (900, 900)), cell("green", (20, 20), "thumbnail")
    target = tmp_path / "made" / "it.webp"
    notebook = nbformat.v4.new_notebook(cells=[small, large])
    assert site_chapters.thumbnail(notebook, target) == (target, "All blue")
    assert Image.open(target).size == (200, 200)
    assert site_chapters.thumbnail(nbformat.v4.new_notebook(cells=[small, large, tagged]), target)[1] == "All green"
    assert site_chapters.thumbnail(nbformat.v4.new_notebook(), target) == (None, "")


def test_words_are_indexed_without_accents(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    terms = index[index.index('"terms":') :]
    assert re.search(r'"?frechet"?:', terms)
    assert not re.search(r"fr(é|\\u00e9)chet", terms[: terms.index('"titles"')])
