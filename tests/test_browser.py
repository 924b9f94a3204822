"""Every page of the site in headless Chromium: two widths, light and dark, no other host within reach."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import browser as tools
import pytest
import torch
import yaml

from gancourse import plots

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PAGES = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))

CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]


@pytest.mark.parametrize("page", PAGES)
def test_page(browser, site, page):
    found = tools.examine(browser, f"{site[1]}{page}.html")
    if found:
        pytest.fail(tools.report(page, found), pytrace=False)


def test_pages_that_nobody_wrote(browser, site):
    html, address = site
    files = [file.relative_to(html).as_posix() for file in html.rglob("*.html")]
    others = [file for file in files if not file.startswith("_static/") and file.removesuffix(".html") not in PAGES]
    assert {"index.html", "genindex.html", "search.html"} <= set(others)
    found = {page: tools.examine(browser, address + page) for page in sorted(others) if page != "index.html"}
    if any(found.values()):
        pytest.fail("\n".join(tools.report(*item) for item in found.items() if item[1]), pytrace=False)


def test_front_door_leads_to_the_first_page(browser, site):
    with browser.tab() as tab:
        tab.call("Page.navigate", url=site[1])
        assert tab.wait(lambda: tab.evaluate("location.pathname").endswith(f"/{PAGES[0]}.html"))


def test_a_page_that_goes_while_it_is_asked_is_asked_again(browser, site):
    """As on a busy machine, where the question arrives between two pages."""
    there = f"{site[1]}genindex.html"
    leave = f"location.href === '{there}' || new Promise(() => location.assign('{there}'))"
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}search.html")
        with pytest.raises(tools.Left):
            tab.evaluate(leave)
        assert tab.open(f"{site[1]}search.html")
        assert tab.wait(lambda: tab.evaluate(leave))


def test_search_finds_something(browser, site):
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}search.html?q=discriminator")
        assert tab.wait(lambda: tab.evaluate("document.querySelectorAll('#search-results li a').length"))
        assert tab.faults == []


def test_the_colour_button_works_and_is_remembered(browser, site):
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}{PAGES[0]}.html")
        try:
            for _ in range(3):  # the button goes round: as the system, light, dark
                tab.click(".theme-switch-button")
                if tab.evaluate(tools.THEME) == "dark":
                    break
            assert tab.evaluate(tools.THEME) == "dark"
            assert tab.open(f"{site[1]}{PAGES[-1]}.html")
            assert tab.evaluate(tools.THEME) == "dark"
        finally:
            tab.evaluate("localStorage.clear()")


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_opens_its_own_notebook_on_colab(browser, site, page):
    repository = CONFIG["repository"]
    slug = repository["url"].removeprefix("https://github.com/")
    start = f"{CONFIG['launch_buttons']['colab_url']}/github/{slug}/blob/{repository['branch']}/"
    assert (ROOT / f"{page}.ipynb").is_file()
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}{page}.html")
        button = "document.querySelectorAll('.article-header-buttons a[href*=colab]')"
        assert tab.evaluate(f"[...{button}].map((link) => link.href)") == [f"{start}{page}.ipynb"]
        linked = set(tab.evaluate("[...document.querySelectorAll('a[href*=colab]')].map((link) => link.href)"))
        assert linked <= {f"{start}{chapter}.ipynb" for chapter in CHAPTERS}
        tab.click(".dropdown-launch-buttons button")
        assert tab.evaluate(f"{button}[0].checkVisibility()")


# The tester itself: a page without a fault, and one with every fault that it must see.

BOOK = """<div class="gc-book" data-gc-book="{key}"><figure>1</figure><figure>2</figure><button>Play</button>
<input type="range" max="1" value="1" aria-label="Frame {key}"></div><script>{{
  const book = document.querySelector('[data-gc-book="{key}"]'), button = book.querySelector("button");
  const show = (shown) => book.querySelectorAll("figure").forEach((figure, k) => {{
    figure.style.visibility = k === shown ? "visible" : "hidden";
    figure.classList.toggle("gc-on", k === shown); }});
  show({first}); button.onclick = () => {{ {click} }}; }}</script>"""
PLAY = 'button.textContent = "Pause"; show(0); setTimeout(() => show(1), 100);'
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="
SOUND = f"""<p>Plain words, <code>$$</code> in code, <span class="math"><mjx-container>x</mjx-container></span>,
<img src="{PIXEL}" alt="A white pixel"></p>{BOOK.format(key="sound", first=1, click=PLAY)}"""
FAULTS = {
    "script": ("<script>missing()</script>", r"error in a script: ReferenceError: missing"),
    "promise": ("<script>Promise.reject(new Error('late'))</script>", r"error in a script: Error: late"),
    "console": ("<script>console.error('a complaint', 7)</script>", r"error in the console: a complaint 7"),
    "file": ('<script src="gone.js"></script>', r"gets 404 for http://127\.0\.0\.1:\d+/gone\.js"),
    "image": ('<img src="gone.png" alt="Gone">', r"image not loaded: gone\.png"),
    "outside": ('<img src="https://example.org/a.png" alt="A">', r"another host for https://example\.org/a\.png"),
    "late": ("<script>fetch('https://example.org/b').catch(() => 0)</script>", r"another host for .*example\.org/b"),
    "frame": ('<iframe src="https://example.org/f" title="F"></iframe>', r"another host for https://example\.org/f"),
    "style": ("<style>p { background: url(https://example.org/s.png) }</style>", r"another host for .*/s\.png"),
    "socket": ("<script>new WebSocket('ws://example.org/w')</script>", r"another host for ws://example\.org/w"),
    "alt": (f'<img src="{PIXEL}">', r"image without alt text"),
    "empty alt": (f'<img src="{PIXEL}" alt=" ">', r"image with empty alt text"),
    "filter": (f'<img src="{PIXEL}" alt="A" style="filter: contrast(2)">', r"image shown through contrast\(2\)"),
    "contrast": ('<p id="pale" style="color: #999; background: #fff">Pale</p>',
                 r"px light.*px dark.*axe color-contrast \(serious\).*#pale, #999999 on #ffffff: 2\.8"),
    "dark": ('<p id="dim">Dim</p><style>#dim { background: #fff } '
             "@media (prefers-color-scheme: dark) { #dim { color: #ccc } }</style>",
             r"page, 1280 px dark, 390 px dark: axe color-contrast .*#dim"),
    "label": ('<input id="bare">', r"axe label \(critical\).*#bare"),
    "folded": ('<details><summary>More</summary><input id="folded"></details>', r"axe label \(critical\).*#folded"),
    "nameless": ("<details><summary></summary>Words</details>", r"axe summary-name \(serious\)"),
    "unrendered": (r'<span class="math">\(y\)</span>', r"formula not rendered: \\\(y\\\)"),
    "wrong": ('<mjx-container><mjx-merror data-mjx-error="Missing }">x</mjx-merror></mjx-container>', r"Missing \}"),
    "dollars": ("<p>Then $$x + y$$ follows.</p>", r"raw formula in the text: Then \$\$x \+ y\$\$ follows"),
    "tag": (r"<p>x = y \tag{1.2}</p>", r"raw formula in the text: x = y \\tag"),
    "input": ("<p>Math input error</p>", r"raw formula in the text: Math input error"),
    "wide": ('<div id="wide" style="width: 500px">Wide</div>', r"page, 390 px \w+, 390 px \w+: .*sideways.*#wide"),
    "number": ('<div class="math" style="overflow: hidden"><mjx-container>x</mjx-container>'
               '<span class="eqno" style="margin-left: 1500px">(1.2)</span></div>',
               r"number of an equation out of sight: \(1\.2\)"),
    "formula": ('<div class="math" id="long"><mjx-container display style="display: block; overflow: auto">'
                '<p style="width: 2000px">x</p></mjx-container></div>', r"1280 px .*formula that does not fit.*: long"),
    "columns": (f'<pre style="overflow: auto; width: 99px">{"x" * 84}</pre>', r"84 columns of code do not fit: xxx"),
    "no hint": ('<pre id="mute" style="overflow: auto; width: 50px">A long line</pre>', r"nothing says so: #mute"),
    "mode": ('<script>document.documentElement.dataset.theme = "light"</script>', r"dark: the page's mode is light"),
    "first": (BOOK.format(key="first", first=0, click=PLAY), r"flip-book shows frames 0 instead of 1"),
    "idle": (BOOK.format(key="idle", first=1, click=""), r"flip-book 2: after a click on Play .* 'Play'"),
    "stuck": (BOOK.format(key="stuck", first=1, click='button.textContent = "Pause"'),
              r"flip-book 3: Play does not begin at the first frame"),
}  # fmt: skip
PAGE = """<!doctype html><html lang="en"><head><title>A page</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"></head><body><main><article><h1>A page</h1>
{}</article></main></body></html>"""


@pytest.fixture(scope="session")
def told(browser, tmp_path_factory) -> dict[str, str]:
    """Return what the tester says of a sound page, of one with all faults, and of one that is not there."""
    folder = tmp_path_factory.mktemp("pages")
    flip_book = plots.flip_book(torch.rand(3, 4, 1, 8, 8), [0, 10, 20], fps=10).data
    (folder / "sound.html").write_text(PAGE.format(SOUND + flip_book), encoding="utf-8")
    (folder / "faulty.html").write_text(PAGE.format("\n".join(body for body, _ in FAULTS.values())), encoding="utf-8")
    with tools.serve(folder) as address:
        pages = ("sound", "faulty", "missing")
        return {page: tools.report("page", tools.examine(browser, f"{address}{page}.html")) for page in pages}


def test_tester_finds_nothing_on_a_sound_page(told):
    assert told["sound"] == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_tester_sees(told, fault):
    assert re.search(FAULTS[fault][1], told["faulty"]), told["faulty"]


def test_tester_sees_that_a_page_is_missing(told):
    assert "page, 1280 px light: gets 404 for" in told["missing"]


def test_no_other_host_is_within_reach(browser, site):
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}search.html")
        port = urlsplit(site[1]).port
        ask = "fetch('http://{}:{}', {{mode: 'no-cors'}}).then(() => 'an answer', () => 'nothing')"
        assert tab.evaluate(ask.format("127.0.0.1", port)) == "an answer"
        assert tab.evaluate(ask.format("localhost", port)) == "nothing"


def test_axe_is_the_listed_one():
    folder = tools.AXE.parent
    listed = re.findall(r"^([0-9a-f]{64})  (.+)$", (folder / "VENDOR.md").read_text(encoding="utf-8"), re.M)
    present = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    del present["VENDOR.md"]
    assert {name: digest for digest, name in listed} == present


@pytest.mark.parametrize("on_ci, outcome", [(False, pytest.skip.Exception), (True, pytest.fail.Exception)])
def test_what_is_absent_is_skipped_here_and_fails_on_a_build_server(monkeypatch, on_ci, outcome):
    monkeypatch.setattr(tools, "ON_CI", on_ci)
    with pytest.raises(outcome, match="no browser"):
        tools.absent("no browser")
