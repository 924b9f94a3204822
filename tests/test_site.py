"""The site builds without a warning, loads nothing from another host, and has no dead end."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from browser import shared_build
from bs4 import BeautifulSoup

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
