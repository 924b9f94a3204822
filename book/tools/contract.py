"""Check the chapter contract, and the links and pictures of every page.

python book/tools/contract.py                every chapter and page: violations, words, lines of code
python book/tools/contract.py 02_first_gan   only this chapter

Each violation names file, cell and rule. A cell's number counts all cells from 1. What a chapter needs:

metadata     `gancourse`: `kind` (system or theory), `title` (the text of the H1), `minutes` {cpu, gpu}, and
             the record that `make outputs` writes, made at the cpu or gpu profile.
opening      The first cell has the only H1, the link to Colab, and paragraphs that start with **Question.**,
             **Objectives.** (then a list), **Prerequisites.** and **Time and hardware.**, in this order.
install      The first code cell is what `python book/tools/colab.py --install-cell` prints. One more line
             `%pip install -q --no-deps …` may follow, for packages that Colab lacks.
setup        The second code cell, and no other, calls `banner(…)`.
equation     Display math stands between `$$`. A result carries `\\tag{N.M}`, and a code cell tagged
             `checks-N.M` asserts it. Math without a number stands in a cell tagged `definition` or
             `derivation-step`; in a `definition` a `\\tag` needs no check. Numbered math has no `\\\\` in it
             (write `\\cr`): Sphinx would wrap it into `split`, where MathJax refuses `\\tag`.
prediction   At least one paragraph starts with **Prediction.**, and the next cell is code that tests it.
section      A chapter ends with COMMON_SECTIONS, a system chapter with SYSTEM_SECTIONS.
figure       A cell that shows an image shows one, described in its metadata mystnb: {image: {alt: …}}. HTML
             that a cell shows labels its own pictures and loads nothing from other hosts.
size         2000–4200 words of prose, 150–380 lines of code (sliders and the install cell not counted), less than 3 MB.
slider       A cell tagged `widget-live` calls live(…), holds nothing else that a reader needs, stores no output, and
             stands right after a code cell that shows the picture still, or with one Markdown cell between them.
markdown     Plain Markdown that Colab shows too: no MyST. Relative links lead somewhere; images have a text.
width        Code and what it prints have at most 84 columns, so that the page shows whole lines. The install cell's
             address may be longer.
output       Executed from top to bottom; no error, no stderr, no local path, no object address, no widget.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import chapters
import colab
import outputs
from nbformat import NotebookNode
from prose import Block, Prose, dead, outside, read_html

WORDS = (2000, 4200)
CODE_LINES = (150, 380)
MEGABYTES = 3.0
GPU_MINUTES = 15
ALT_LENGTH = (20, 400)
COLUMNS = 84

LEADS = ("Question", "Objectives", "Prerequisites", "Time and hardware")
TRAINING, WRONG = "A real training run", "What goes wrong"
SOURCES = "What the papers and tutorials disagree on"
SUMMARY, REFERENCES, EXERCISES = "Summary", "References", "Exercises"
COMMON_SECTIONS = (SUMMARY, REFERENCES, EXERCISES)
SYSTEM_SECTIONS = (TRAINING, WRONG, SOURCES, *COMMON_SECTIONS)
UNNUMBERED = {"definition", "derivation-step"}

_TAG = re.compile(r"\\tag(\*?)\s*\{([^}]*)\}")
_MENTION = re.compile(r"\b[Ee]quations?\s+\((\d+\.\d+)\)")
_LOCAL_PATH = re.compile(
    r"(?<![\w.:/<-])(/(?:home|root|Users|tmp|var/folders|private|mnt|work|workspace|content|builds)/[^\s'\"<>)]*)"
    r"|\b[A-Z]:\\Users\\"
)
_OBJECT_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]{6,}>|&lt;[^&]* at 0x[0-9a-fA-F]{6,}")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class Violation:
    """One thing that breaks the contract: where, which rule, and what is wrong."""

    file: str
    place: str
    rule: str
    what: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.place}" if self.place else self.file
        return f"{where}, rule {self.rule}: {self.what}"


Found = tuple[int, str]
"""Cell (0: the notebook as a whole) and what is wrong."""


class Item(NamedTuple):
    """A block of Markdown or a code cell, with the number of the cell it lies in."""

    cell: int
    block: Block | None


class Chapter:
    """A chapter notebook, read once for all rules."""

    def __init__(self, path: Path, root: Path = chapters.ROOT) -> None:
        self.path = path
        self.root = root
        self.file = path.relative_to(root).as_posix()
        self.number = chapters.number(path)
        self.notebook = chapters.read(path)
        self.record: dict[str, Any] = self.notebook.metadata.get("gancourse", {})
        self.cells: list[tuple[int, NotebookNode]] = list(enumerate(self.notebook.cells, 1))

    @cached_property
    def code(self) -> list[tuple[int, NotebookNode]]:
        """The code cells that are not empty, with their numbers."""
        return [(k, cell) for k, cell in self.cells if cell.cell_type == "code" and cell.source.strip()]

    @cached_property
    def prose(self) -> list[tuple[int, NotebookNode, Prose]]:
        """The Markdown cells with their numbers, read."""
        return [(k, cell, Prose(cell.source)) for k, cell in self.cells if cell.cell_type == "markdown"]

    @cached_property
    def calls(self) -> dict[int, set[str]]:
        """Code cell → the last names of the functions and methods that it calls; ``assert`` counts as one."""
        found: dict[int, set[str]] = {}
        for k, cell in self.code:
            try:
                tree = ast.parse(chapters.python(cell.source))
            except SyntaxError:
                found[k] = set()
                continue
            nodes = list(ast.walk(tree))
            functions = [node.func for node in nodes if isinstance(node, ast.Call)]
            found[k] = {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in functions}
            if any(isinstance(node, ast.Assert) for node in nodes):
                found[k].add("assert")
        return found

    @cached_property
    def sections(self) -> dict[str, list[Item]]:
        """Text of each level-2 heading → what stands under it, in the chapter's order."""
        found: dict[str, list[Item]] = {}
        current: list[Item] = []
        prose = {k: read for k, _, read in self.prose}
        for k, _ in self.cells:
            for block in prose[k].blocks if k in prose else [None]:
                if block and block.kind == "heading" and block.level <= 2:
                    current = found.setdefault(block.text.strip(), [])
                current.append(Item(k, block))
        return found

    @property
    def words(self) -> int:
        """Words of prose, without code, math, HTML and addresses."""
        return sum(read.words for _, _, read in self.prose)

    @property
    def code_lines(self) -> int:
        """Lines of code that are neither blank nor comments, without those of sliders and of the install cell."""
        cells = (cell for _, cell in self.code if not (chapters.is_live(cell) or chapters.is_install(cell.source)))
        lines = (line.strip() for cell in cells for line in cell.source.splitlines())
        return sum(bool(line) and not line.startswith("#") for line in lines)


# The rules: each yields (cell, what is wrong) --------------------------------------------------------


def metadata(chapter: Chapter) -> Iterator[Found]:
    """Kind, title, minutes, and a record of the profile."""
    record = chapter.record
    if record.get("kind") not in ("system", "theory"):
        yield 0, f"metadata gancourse.kind is {record.get('kind')!r}; it must be 'system' or 'theory'"
    if not record.get("title"):
        yield 0, "metadata gancourse.title is missing; it repeats the text of the H1"
    minutes = _minutes(chapter)
    if set(minutes) != {"cpu", "gpu"}:
        yield 0, 'metadata gancourse.minutes must be {"cpu": …, "gpu": …}, in minutes above 0'
    elif minutes["gpu"] > GPU_MINUTES:
        yield 0, f"metadata gancourse.minutes says {minutes['gpu']} at gpu; the limit is {GPU_MINUTES}"
    if record.get("profile") not in ("cpu", "gpu"):
        yield 0, f"outputs were made at profile {record.get('profile')!r}; run `make outputs` at cpu or gpu"


def _minutes(chapter: Chapter) -> dict[str, float]:
    given = chapter.record.get("minutes")
    pairs = given.items() if isinstance(given, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, int | float) and value > 0}


def opening(chapter: Chapter) -> Iterator[Found]:
    """Title, link to Colab, question, objectives, prerequisites, time and hardware."""
    if not chapter.prose or chapter.prose[0][0] != 1:
        yield 1, "the first cell must be Markdown with title, question and objectives"
        return
    blocks = chapter.prose[0][2].blocks
    title = blocks[0].text if blocks and blocks[0].kind == "heading" and blocks[0].level == 1 else None
    if title is None:
        yield 1, "the first block must be the H1 title"
    elif chapter.record.get("title") != title:
        yield 1, f"the H1 is {title!r}, but metadata gancourse.title is {chapter.record.get('title')!r}"
    link = colab.badge(chapters.config(chapter.root), chapter.file)
    if not any(block.text.strip() == link for block in blocks if block.kind == "paragraph"):
        yield 1, f"a paragraph must be this link, alone: {link}"
    yield from _leads(chapter, blocks)
    for k, _, prose in chapter.prose[1:]:
        for block in prose.blocks:
            if block.kind == "heading" and block.level == 1:
                yield k, f"a second H1, {block.text!r}; use ## for sections"


def _leads(chapter: Chapter, blocks: list[Block]) -> Iterator[Found]:
    at: dict[str, int] = {}
    for lead in LEADS:
        starts = [i for i, b in enumerate(blocks) if b.kind == "paragraph" and b.text.startswith(f"**{lead}.**")]
        if starts:
            at[lead] = starts[0]
        else:
            yield 1, f"no paragraph starts with **{lead}.**"
    if list(at.values()) != sorted(at.values()):
        yield 1, f"the order must be {', '.join(LEADS)}"
    if "Question" in at:
        k = at["Question"]
        if "?" not in blocks[k].text:
            yield 1, "the paragraph **Question.** asks nothing: it has no question mark"
        if "Objectives" in at and at["Objectives"] > k + 1:
            yield 1, "the question must be one paragraph, with **Objectives.** right after it"
    if "Objectives" in at:
        after = blocks[at["Objectives"] + 1 : at["Objectives"] + 2]
        if not after or after[0].kind != "list" or len(after[0].items) < 2:
            yield 1, "a list of two or more objectives must follow **Objectives.**"
    if "Time and hardware" in at:
        text = blocks[at["Time and hardware"]].text
        for key, value in _minutes(chapter).items():
            if not re.search(rf"(?<![\d.]){re.escape(str(value))}(?![\d]|\.\d)", text):
                yield 1, f"**Time and hardware.** does not name the {value} minutes of metadata ({key})"


def headings(chapter: Chapter) -> Iterator[Found]:
    """No level is left out, or the site warns."""
    level = 1
    for k, _, prose in chapter.prose:
        for block in prose.blocks:
            if block.kind == "heading":
                if block.level > level + 1:
                    yield k, f"the heading {block.text!r} jumps from level {level} to {block.level}"
                level = block.level


def install(chapter: Chapter) -> Iterator[Found]:
    """The first code cell, and no other, installs; Colab's own PyTorch and NumPy stay."""
    if not chapter.code:
        yield 0, "there is no code cell"
        return
    first, cell = chapter.code[0]
    canonical = colab.install_cell(chapters.config(chapter.root), chapters.version(chapter.root))
    extra = colab.extra_packages(cell.source, canonical)
    if extra is None:
        yield first, "the first code cell must be what `python book/tools/colab.py --install-cell` prints"
    for name in extra or []:
        if re.split(r"[\[<>=!~]", name)[0].lower() in colab.UNTOUCHABLE:
            yield first, f"it installs {name}; Colab's own build must stay"
    for k, other in chapter.code[1:]:
        if chapters.is_install(other.source):
            yield k, "only the first code cell may install packages"


def setup(chapter: Chapter) -> Iterator[Found]:
    """The second code cell prints the banner: device, profile, expected minutes and band."""
    calling = [k for k, names in chapter.calls.items() if "banner" in names]
    if len(chapter.code) > 1 and calling != [chapter.code[1][0]]:
        where = f"cell {', '.join(map(str, calling))}" if calling else "no cell"
        yield chapter.code[1][0], f"the second code cell, and no other, must call banner(…); {where} does"


def equation(chapter: Chapter) -> Iterator[Found]:
    """Results are numbered and checked; everything else says what it is."""
    numbered: dict[str, int] = {}
    exempt: set[str] = set()
    for k, cell, prose in chapter.prose:
        marks = set(chapters.tags(cell))
        for text, label in prose.math:
            found = _TAG.findall(text)
            shown = " ".join(text.split())[:50]
            if label:
                yield k, f"a MyST label after $$ … $$ ({shown}); number it with \\tag"
            if "\n\n" in re.sub(r"[ \t]+", "", text.strip()):
                yield k, f"a blank line inside $$ … $$ ({shown})"
            if not found:
                if not marks & UNNUMBERED:
                    what = "a result needs one and a check; else tag the cell definition or derivation-step"
                    yield k, f"$$ {shown} $$ has no \\tag{{{chapter.number}.M}}: {what}"
                continue
            yield from _numbered(chapter, k, text, found, numbered)
            if "definition" in marks:
                exempt |= {name for _, name in found}
        yield from ((k, what) for what in prose.loose_math)
        for name in _MENTION.findall(cell.source):
            if name.startswith(f"{chapter.number}.") and not _has_tag(chapter, name):
                yield k, f"equation ({name}) is mentioned, but no equation has \\tag{{{name}}}"
    yield from _checks(chapter, numbered, exempt)


def _numbered(
    chapter: Chapter, k: int, text: str, found: list[tuple[str, str]], numbered: dict[str, int]
) -> Iterator[Found]:
    for star, name in found:
        if star or not re.fullmatch(rf"{chapter.number}\.[1-9]\d*", name):
            yield k, f"\\tag{star}{{{name}}} is not of the form \\tag{{{chapter.number}.M}}"
        elif name in numbered:
            yield k, f"\\tag{{{name}}} is used twice; cell {numbered[name]} has it too"
        numbered.setdefault(name, k)
    if len(found) > 1:
        yield k, f"one $$ … $$ carries {len(found)} tags; write one equation each"
    if r"\\" in text:
        yield k, f"\\tag{{{found[0][1]}}} stands with \\\\; write \\cr instead, or the site cannot show it"


def _has_tag(chapter: Chapter, name: str) -> bool:
    return any(name == tag for _, _, p in chapter.prose for text, _ in p.math for _, tag in _TAG.findall(text))


def _checks(chapter: Chapter, numbered: dict[str, int], exempt: set[str]) -> Iterator[Found]:
    checks: dict[str, int] = {}
    for k, cell in chapter.cells:
        for tag in (tag for tag in chapters.tags(cell) if tag.startswith("checks-")):
            name = tag.removeprefix("checks-")
            checks[name] = k
            if name not in numbered:
                yield k, f"the cell is tagged {tag}, but no equation has \\tag{{{name}}}"
            if not any(call.startswith("assert") for call in chapter.calls.get(k, set())):
                yield k, f"the cell is tagged {tag}, but asserts nothing"
    for name, k in numbered.items():
        if name not in checks and name not in exempt:
            yield k, f"no code cell is tagged checks-{name}, so nothing asserts \\tag{{{name}}}"


def prediction(chapter: Chapter) -> Iterator[Found]:
    """At least one falsifiable prediction, tested by the next cell."""
    found = False
    for k, _, prose in chapter.prose:
        if any(b.text.startswith("**Prediction.**") for b in prose.blocks if b.kind in ("paragraph", "quote")):
            found = True
            if k + 1 not in chapter.calls:
                yield k, "the cell after **Prediction.** must be code that confirms or refutes it"
    if not found:
        yield 0, "no paragraph starts with **Prediction.**"


def section(chapter: Chapter) -> Iterator[Found]:
    """The closing sections, in order, each with what it is for."""
    required = SYSTEM_SECTIONS if chapter.record.get("kind") == "system" else COMMON_SECTIONS
    order = []
    for name in required:
        match = [text for text in chapter.sections if text == name or text.startswith(f"{name}:")]
        if not match:
            yield 0, f"there is no section ## {name}"
            continue
        items = chapter.sections[match[0]]
        order.append(list(chapter.sections).index(match[0]))
        for what in _SECTION_RULES[name](chapter, items):
            yield items[0].cell, f"section {name!r}: {what}"
    if order != sorted(order):
        yield 0, f"the sections must come in this order: {', '.join(required)}"


def _code_cells(items: list[Item]) -> list[int]:
    return [item.cell for item in items if item.block is None]


def _training(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    cells = _code_cells(items)
    if not any(chapter.calls.get(k, set()) & {"train", "backward"} for k in cells):
        yield "no cell trains: none calls train(…) or .backward()"
    if not any(_images(chapter.notebook.cells[k - 1]) or _shows_html(chapter.notebook.cells[k - 1]) for k in cells):
        yield "no cell shows a figure"


def _wrong(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    if not _code_cells(items):
        yield "the mistakes are told, not shown: it has no code cell"


def _linked(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    if not any(outside(link) for item in items if item.block for link in item.block.links):
        yield "it links to no source"


def _summary(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    count = sum(len(item.block.items) for item in items if item.block)
    if count != 5:
        yield f"it must be a list of five lines; it has {count}"


def _references(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    entries = [entry for item in items if item.block for entry in item.block.items]
    if not entries:
        yield "it has no list"
    for number, links in enumerate(entries, 1):
        if not any(outside(link) for link in links):
            yield f"entry {number} has no link"


def _exercises(chapter: Chapter, items: list[Item]) -> Iterator[str]:
    if not any(item.block and item.block.kind == "paragraph" for item in items):
        yield "it says nothing"
    sets = sorted((chapter.root / "notebooks" / "exercises").glob(f"{chapter.number:02d}_*.ipynb"))
    links = [link for item in items if item.block for link in item.block.links]
    if sets and not any(link.endswith(sets[0].name) for link in links):
        yield f"it does not link to exercises/{sets[0].name}"


_SECTION_RULES: dict[str, Callable[[Chapter, list[Item]], Iterator[str]]] = {
    TRAINING: _training,
    WRONG: _wrong,
    SOURCES: _linked,
    SUMMARY: _summary,
    REFERENCES: _references,
    EXERCISES: _exercises,
}


def figure(chapter: Chapter) -> Iterator[Found]:
    """Every picture that a cell shows is described, and comes from the page itself."""
    for k, cell in chapter.code:
        count = _images(cell)
        alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt") or "").strip()
        if count > 1:
            yield k, f"{count} images in one cell; one figure per cell, so that its text describes it"
        if count and not alt:
            yield k, "the figure has no alt text; put it into cell metadata mystnb.image.alt"
        elif count and not ALT_LENGTH[0] <= len(alt) <= ALT_LENGTH[1]:
            yield k, f"the alt text has {len(alt)} characters; {ALT_LENGTH[0]} to {ALT_LENGTH[1]} are useful"
        for html in map(read_html, _html_outputs(cell)):
            for image in html.images:
                if not image.alt:
                    yield k, "an <img> in its output has no alt text"
            yield from ((k, f"a {name} in its output has no label") for name in html.unlabelled)
            yield from ((k, f"its output loads {address[:80]} from another host") for address in html.loaded)


def _images(cell: NotebookNode) -> int:
    """Number of outputs that the page shows as an image (where there is HTML too, the page shows that)."""
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    return sum("text/html" not in data and any(m.startswith("image/") for m in data) for data in shown)


def _html_outputs(cell: NotebookNode) -> list[str]:
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    return ["".join(data["text/html"]) for data in shown if "text/html" in data]


def _shows_html(cell: NotebookNode) -> bool:
    return any(re.search(r"<(img|svg|canvas|video)\b", html) for html in _html_outputs(cell))


def slider(chapter: Chapter) -> Iterator[Found]:
    """Sliders are dead on a page, so the still picture stands beside them."""
    for k, cell in chapter.cells:
        calls = "live" in chapter.calls.get(k, set())
        if not chapters.is_live(cell):
            if calls:
                yield k, "it calls live(…), but is not tagged widget-live: its sliders would be dead on the page"
            continue
        if not calls:
            yield k, "it is tagged widget-live, but does not call live(…)"
        if cell.get("outputs"):
            yield k, "it is tagged widget-live and stores an output; run `make outputs`"
        before = [other for _, other in chapter.cells[max(0, k - 3) : k - 1]]
        while before and (before[-1].cell_type == "markdown" or chapters.is_live(before[-1])):
            before.pop()
        if not before or not (_images(before[-1]) or _shows_html(before[-1])):
            yield k, "no still picture stands before it; a page shows that one alone"


def size(chapter: Chapter) -> Iterator[Found]:
    """Neither a leaflet nor a book, and light enough to load."""
    if not WORDS[0] <= chapter.words <= WORDS[1]:
        yield 0, f"{chapter.words} words of prose; {WORDS[0]} to {WORDS[1]} are allowed"
    if not CODE_LINES[0] <= chapter.code_lines <= CODE_LINES[1]:
        yield 0, f"{chapter.code_lines} lines of code; {CODE_LINES[0]} to {CODE_LINES[1]} are allowed"
    megabytes = chapter.path.stat().st_size / 1e6
    if megabytes >= MEGABYTES:
        yield 0, f"the notebook has {megabytes:.1f} MB; it must stay under {MEGABYTES:.0f} MB"


def width(chapter: Chapter) -> Iterator[Found]:
    """Lines of code, and of what it prints, that a page shows whole."""
    for k, cell in chapter.code:
        if not chapters.is_install(cell.source):
            yield from ((k, f"code of {what}") for what in _long_lines(cell.source))
        for shown in cell.outputs:
            data = shown.get("data", {})
            text = shown.get("text", "" if data.keys() - {"text/plain"} else data.get("text/plain", ""))
            yield from ((k, f"print of {what}") for what in _long_lines("".join(text)))


def _long_lines(text: str) -> Iterator[str]:
    for line in _ANSI.sub("", text).splitlines():
        seen = line.rstrip()
        if len(seen) > COLUMNS:
            yield f"{len(seen)} columns, {COLUMNS} are allowed: {seen.strip()[:60]}"


def markdown(chapter: Chapter) -> Iterator[Found]:
    """Plain Markdown with live links and described pictures."""
    folder = chapter.path.parent
    for k, _, prose in chapter.prose:
        yield from ((k, f"MyST that Colab shows raw: {what}") for what in prose.myst)
        for link in prose.links:
            if dead(link.target, folder, chapter.root, rooted=False):
                yield k, f"the link {link.target} leads nowhere"
        for image in prose.images:
            if not image.alt:
                yield k, f"the image {image.target} has no alt text"
            if outside(image.target):
                yield k, f"the image {image.target[:80]} is not a file of the repository"
            elif dead(image.target, folder, chapter.root, rooted=False):
                yield k, f"the image {image.target} is not there"
        yield from ((k, f"a {name} has no label") for name in prose.html.unlabelled)


def output(chapter: Chapter) -> Iterator[Found]:
    """Executed in order, without errors, and fit to publish."""
    missing = [k for k, cell in chapter.code if cell.execution_count is None]
    if missing:
        yield missing[0], f"{len(missing)} code cells were never executed; run `make outputs`"
    counts = [cell.execution_count for _, cell in chapter.code if cell.execution_count is not None]
    if any(a >= b for a, b in zip(counts, counts[1:], strict=False)):
        yield 0, "the cells were not executed from top to bottom; run `make outputs`"
    for k, cell in chapter.code:
        for shown in cell.outputs:
            yield from ((k, what) for what in _output_faults(shown))


def _output_faults(shown: NotebookNode) -> Iterator[str]:
    if shown.output_type == "error":
        yield f"it raised {shown.ename}: {shown.evalue}"
    if shown.get("name") == "stderr":
        yield f"it wrote to stderr: {shown.text.strip().splitlines()[0][:80] if shown.text.strip() else ''}"
    data = shown.get("data", {})
    if outputs.WIDGET_VIEW in data:
        yield "a live widget is dead on the page: show a still version, tag the cell widget-live"
    texts = [
        shown.get("text", ""),
        *(data.get(mime, "") for mime in ("text/plain", "text/html", "text/markdown")),
    ]
    for text in texts:
        text = _DATA_URI.sub("", "".join(text))
        if match := _LOCAL_PATH.search(text):
            yield f"its output names a path of one machine, {match[0][:60]}"
        if match := _OBJECT_ADDRESS.search(text):
            yield f"its output shows an object's address, {match[0][:60]}; end the cell with ;"


RULES = (
    metadata,
    opening,
    headings,
    install,
    setup,
    equation,
    prediction,
    section,
    figure,
    slider,
    size,
    width,
    markdown,
    output,
)


# Checking --------------------------------------------------------------------------------------------


def check(chapter: Chapter) -> list[Violation]:
    """Return everything in a chapter that breaks the contract."""
    return [
        Violation(chapter.file, f"cell {cell}" if cell else "", rule.__name__, what)
        for rule in RULES
        for cell, what in rule(chapter)
    ]


def pages(root: Path = chapters.ROOT) -> list[Path]:
    """Return the Markdown pages: those at the top of the repository and those of ``book/``."""
    inner = (path for path in (root / "book").rglob("*.md") if "_static" not in path.parts)
    return [*sorted(root.glob("*.md")), *sorted(inner)]


def check_page(path: Path, root: Path = chapters.ROOT) -> list[Violation]:
    """Return the dead relative links and the undescribed pictures of a Markdown page."""
    file = path.relative_to(root).as_posix()
    prose = Prose(path.read_text(encoding="utf-8"), directives=True)
    on_site = path.parent != root
    endings = (".md", ".ipynb") if on_site else ()
    found = []
    for link in prose.links:
        if dead(link.target, path.parent, root, rooted=on_site, endings=endings):
            found.append(Violation(file, f"line {link.line}", "link", f"{link.target} leads nowhere"))
    for image in prose.images:
        if not image.alt:
            found.append(Violation(file, f"line {image.line}", "image", f"{image.target} has no alt text"))
        if dead(image.target, path.parent, root, rooted=on_site):
            found.append(Violation(file, f"line {image.line}", "image", f"{image.target} is not there"))
        elif on_site and outside(image.target) and not image.target.startswith("data:"):
            what = f"{image.target[:80]} is not a file of the repository"
            found.append(Violation(file, f"line {image.line}", "image", what))
    for name in prose.html.unlabelled:
        found.append(Violation(file, "", "image", f"a {name} has no label"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CHAPTER", help="such as 02_first_gan (default: everything)")
    names = parser.parse_args().names
    found: list[Violation] = []
    for path in chapters.chosen(names):
        chapter = Chapter(path)
        faults = check(chapter)
        found += faults
        print(
            f"{path.stem}: {chapter.words} words, {chapter.code_lines} lines of code, "
            f"{path.stat().st_size / 1e6:.2f} MB, {len(faults)} violations"
        )
    if not names:
        found += [fault for path in pages() for fault in check_page(path)]
    print("\n".join(map(str, found)) or "The contract holds.")
    return 1 if found else 0


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
