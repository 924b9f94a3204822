"""How pages read where tests/test_browser.py does not look: on paper, on a phone, without JavaScript, and by search."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
DENSE = "03_what_the_game_optimises"  # the chapter with the most formulas
DRAWN = "04_why_training_fails"  # a chapter with a flip-book, and references to chapter 3
PAPER = 688  # CSS pixels between the margins of A4

# What a printed page must not have: boxes that cut, and numbers of equations beside the paper.
ON_PAPER = r"""() => {
  const faults = [], right = document.documentElement.clientWidth;
  const seen = (node) => node.checkVisibility({opacityProperty: true, visibilityProperty: true});
  for (const node of document.querySelectorAll("article *, .bd-content, .bd-main")) {
    const style = getComputedStyle(node);
    const cuts = ["auto", "scroll", "hidden", "clip"].includes(style.overflowX);
    if (!cuts || node.closest("mjx-assistive-mml, .visually-hidden") || !node.clientWidth) continue;
    if (node.scrollWidth > node.clientWidth + 1 || /auto|scroll/.test(style.overflowX)) {
      faults.push(`${node.localName}.${node.className} cuts or scrolls`);
    }
  }
  for (const number of document.querySelectorAll(".eqno")) {
    if (!seen(number) || number.getBoundingClientRect().right > right) faults.push(`${number.textContent} is cut`);
    const formula = number.parentElement.querySelector("mjx-math");
    if (formula.getBoundingClientRect().right > number.getBoundingClientRect().left + 1) {
      faults.push(`${number.textContent} lies on its formula`);
    }
  }
  for (const pre of document.querySelectorAll("article pre")) {
    if (!seen(pre)) faults.push(`code that is not printed: ${pre.textContent.slice(0, 40)}`);
    if (pre.scrollWidth > pre.clientWidth + 1) faults.push(`a line is cut: ${pre.textContent.slice(0, 40)}`);
    for (const part of pre.querySelectorAll("*")) {
      const {color} = getComputedStyle(part);
      if (color !== "rgb(0, 0, 0)") { faults.push(`code in ${color}`); break; }
    }
  }
  for (const text of document.querySelectorAll("article p, article li, article h2")) {
    if (!["rgb(0, 0, 0)", "rgb(51, 51, 51)"].includes(getComputedStyle(text).color)) {
      faults.push(`text in ${getComputedStyle(text).color}: ${text.textContent.slice(0, 40)}`);
    }
  }
  const machinery = ".bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-area, .copybtn, .headerlink";
  for (const part of document.querySelectorAll(machinery)) if (seen(part)) faults.push(`${part.className} is printed`);
  return [...new Set(faults)].slice(0, 20);
}"""


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_chapter_on_paper_is_whole_and_black_on_white(browser, site, mode):
    """The style sheet alone does it: no script is told that the page is printed."""
    with browser.tab(PAPER, mode) as tab:
        assert tab.open(f"{site[1]}notebooks/{DENSE}.html")
        tab.set_mode(mode)
        assert tab.wait(lambda: tab.is_in(mode))
        tab.call("Emulation.setEmulatedMedia", media="print")
        assert tab.evaluate(f"({ON_PAPER})()") == []


def test_a_chapter_becomes_a_pdf(browser, site):
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}notebooks/{DENSE}.html")
        tab.evaluate("document.querySelector('article details').open = false")
        pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 10
        assert not tab.evaluate("document.querySelector('article details').open")  # folded again afterwards


def results(browser, site, query: str) -> tuple[list[str], str]:
    """Return the pages that a search shows, the first one first, and what it says of the first."""
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}search.html?q={query}")
        done = "/finished|did not match/.test(document.querySelector('#search-results .search-summary')?.textContent)"
        assert tab.wait(lambda: tab.evaluate(done))
        links = "[...document.querySelectorAll('#search-results li > a')].map((link) => link.getAttribute('href'))"
        found = tab.evaluate(links)
        said = "document.querySelector('#search-results li .context')?.textContent"
        assert tab.wait(lambda: tab.evaluate(said) is not None)
        assert tab.faults == []
        return found, tab.evaluate(said)


def rank(page: str) -> int:
    return 0 if re.match(r"notebooks/\d\d_", page) else 2 if page.startswith("book/api/") else 1


def test_search_does_not_mind_accents(browser, site):
    (plain, words), (accented, same) = (results(browser, site, query) for query in ("frechet", "Fréchet"))
    assert plain[0].startswith("notebooks/05_measuring.html")
    assert "Fréchet" in words and "Fréchet" in same
    pages = [{hit.partition("#")[0] for hit in found} for found in (plain, accented)]
    assert {"notebooks/05_measuring.html", "book/glossary.html"} <= pages[0]
    assert pages[1] >= {hit for hit in pages[0] if rank(hit) == 0}


@pytest.mark.parametrize("query", ["frechet", "discriminator", "loss", "Jensen"])
def test_chapters_rank_above_functions(browser, site, query):
    found = [rank(page) for page in results(browser, site, query)[0]]
    assert found[0] == 0
    assert found == sorted(found)


def test_a_function_that_is_named_in_full_comes_first(browser, site):
    assert results(browser, site, "discriminator_loss")[0][0].startswith("book/api/losses.html#")


def test_charts_on_a_phone_stay_readable_and_say_that_they_scroll(browser, site):
    with browser.tab(390) as tab:
        assert tab.open(f"{site[1]}notebooks/{DENSE}.html")
        tab.wait(lambda: tab.evaluate("document.querySelector('.scrolls-on')"))
        wide = """[...document.querySelectorAll("article .cell_output img")]
          .filter((chart) => chart.naturalWidth >= 640)
          .map((chart) => [chart.clientWidth >= 500, chart.closest(".cell_output").matches(".scrolls-on")])"""
        found = tab.evaluate(wide)
        assert len(found) >= 5 and all(large and told for large, told in found)
        box = "document.querySelector('.cell_output.scrolls-on')"
        tab.evaluate(f"window.box = {box}; box.scrollLeft = box.scrollWidth")
        assert tab.wait(lambda: not tab.evaluate("box.matches('.scrolls-on')"))  # at the end nothing more is promised


def test_a_mention_leads_to_the_equation(browser, site):
    with browser.tab() as tab:
        assert tab.open(f"{site[1]}notebooks/{DRAWN}.html")
        link = 'a.equation-link[href*="03_what"]'
        anchor = tab.evaluate(f"document.querySelector('{link}').hash.slice(1)")
        tab.click(link)
        assert tab.wait(lambda: tab.evaluate("location.pathname").endswith(f"{DENSE}.html"))
        assert tab.wait(lambda: tab.evaluate(f"document.getElementById('{anchor}')?.querySelector('mjx-math') != null"))
        assert tab.evaluate("location.hash") == f"#{anchor}"


@pytest.mark.parametrize("width", [1280, 390])
def test_without_javascript_a_chapter_can_be_read(browser, site, width):
    with browser.tab(width) as tab:
        tab.call("Emulation.setScriptExecutionDisabled", value=True)
        tab.call("Page.navigate", url=f"{site[1]}notebooks/{DRAWN}.html")
        assert tab.wait(lambda: tab.loaded)
        assert tab.evaluate("document.querySelector('.no-script').checkVisibility()")
        assert "TeX" in tab.evaluate("document.querySelector('.no-script').textContent")
        numbers = "[...document.querySelectorAll('.eqno')].every((number) => number.checkVisibility())"
        assert tab.evaluate(numbers)
        assert tab.evaluate("document.querySelector('#equation-4-8').textContent").count("\\theta") > 0
        ink = "getComputedStyle(document.querySelector('article p')).color"
        ground = "getComputedStyle(document.body).backgroundColor"
        assert tab.evaluate(ink) != tab.evaluate(ground)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        last = "[...document.querySelectorAll('.gc-book')].every((book) => [...book.querySelectorAll('figure')].at(-1)"
        assert tab.evaluate(f"{last}.checkVisibility({{visibilityProperty: true}}))")


def test_columns_of_a_shown_table_stand_apart(browser, site):
    with browser.tab(1280, "light") as tab:
        assert tab.open(f"{site[1]}notebooks/{DRAWN}.html")
        cells = "[...document.querySelectorAll('table.gc-table :is(td, th)')]"
        gaps = f"{cells}.map((cell) => [getComputedStyle(cell).paddingLeft, getComputedStyle(cell).paddingRight])"
        found = [float(side.removesuffix("px")) for pair in tab.evaluate(gaps) for side in pair]
        assert found and min(found) >= 8


# What a phone must not do: hide a caption or an arrow, pile words up, or break a number from its spread.
ON_A_PHONE = r"""() => {
  const faults = [], short = (node) => node.textContent.trim().slice(0, 40);
  for (const caption of document.querySelectorAll("article table.gc-table caption")) {
    const {right} = caption.getBoundingClientRect();
    if (right > innerWidth - 48) faults.push(`caption under the edge: ${short(caption)}`);
  }
  for (const cell of document.querySelectorAll("article table.gc-table td")) {
    const lines = cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight);
    const {length} = cell.textContent;
    if (length > 60 && length < 200 && lines > 9) faults.push(`a pile: ${short(cell)}`);
    if (length > 30 && cell.style.textAlign === "right" && cell.clientWidth > 250) {
      faults.push(`a list of numbers on one line: ${short(cell)}`);
    }
  }
  for (const arrow of document.querySelectorAll(".prev-next-area i")) {
    const {left, right} = arrow.getBoundingClientRect(), box = arrow.closest("a").getBoundingClientRect();
    if (left < box.left - 0.5 || right > box.right + 0.5) faults.push(`an arrow is cut: ${short(arrow.closest("a"))}`);
  }
  for (const link of document.querySelectorAll("article a.reference")) {
    const plain = getComputedStyle(document.documentElement).getPropertyValue("--pst-color-link").trim();
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = plain;
    if (!link.querySelector("code") && getComputedStyle(link).color !== getComputedStyle(probe).color) {
      faults.push(`a link of another colour: ${short(link)}`);
    }
    probe.remove();
  }
  return faults;
}"""


@pytest.mark.parametrize("chapter", ["02_first_gan", "03_what_the_game_optimises", "08_wgan", "09_wgan_gp"])
def test_tables_links_and_arrows_on_a_phone(browser, site, chapter):
    with browser.tab(390, "dark") as tab:
        assert tab.open(f"{site[1]}notebooks/{chapter}.html")
        assert tab.evaluate(f"({ON_A_PHONE})()") == []


def test_a_number_and_its_spread_stand_on_one_line_where_there_is_room(browser, site):
    with browser.tab(1280) as tab:
        assert tab.open(f"{site[1]}notebooks/02_first_gan.html")
        cells = "[...document.querySelectorAll('table.gc-table td')].filter((cell) => cell.textContent.includes('±'))"
        assert set(tab.evaluate(f"{cells}.map((cell) => getComputedStyle(cell).whiteSpace)")) == {"nowrap"}
        lines = """(cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return new Set([...range.getClientRects()].map(({top}) => Math.round(top))).size;
        }"""
        assert set(tab.evaluate(f"{cells}.map({lines})")) == {1}
        assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
