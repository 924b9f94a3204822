"""Sphinx extension: what every chapter's page has that its notebook does not say.

From the notebooks as they are, the pages get

- the number in the heading, "Chapter 4 · Why training fails", also in the title and wherever the site names the page;
- a description for search engines, from the paragraph **Question.**;
- a badge in place of the words of the link to Colab;
- numbers of equations that stand beside the formula, not in it, so that they stay in sight when a long one scrolls;
- links at every mention such as (4.8), in the chapters and elsewhere;
- previous and next that lead from chapter to chapter; exercises hang below theirs in the sidebar.

The directive ``chapter`` puts an entry on the landing page: a thumbnail, the title, the minutes, and its own words.
The thumbnail is the picture of the cell tagged ``thumbnail``, or else the chapter's richest one: the largest file.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chapters
import colab
from docutils import nodes
from docutils.parsers.rst import Directive
from nbformat import NotebookNode
from PIL import Image
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

CHAPTER = re.compile(r"notebooks/(\d\d)_\w+")
EXERCISES = "notebooks/exercises/"
BADGE = "/book/_static/colab.svg"
DESCRIPTION = 300  # characters at most

THUMBNAIL = (320, 200)  # pixels
THUMBNAIL_BYTES = 20_000
ALT = 40  # characters; the first sentences of a picture's text, until there are as many
WIDE = 640  # pixels; charts are at least as wide, sheets of digits are not

NO_SCRIPT = '<noscript><p class="no-script">Without JavaScript, formulas show their TeX source.</p></noscript>\n'

_TAG = re.compile(r"\s*\\tag\s*\{(\d+\.\d+)\}")
_MENTION = re.compile(r"\((\d+\.\d+)\)")
_EMBEDDED = re.compile(r"data:image/(?:png|webp|jpeg|gif);base64,([A-Za-z0-9+/=\s]+)")

logger = logging.getLogger(__name__)


# Reading a page --------------------------------------------------------------------------------------


def read_page(app: Sphinx, doctree: nodes.document) -> None:
    """Number, describe and label a page of a notebook; runs before Sphinx collects titles and images."""
    docname = app.env.docname
    if not docname.startswith("notebooks/"):
        return
    describe(doctree)
    show_badge(app, doctree, docname)
    if match := CHAPTER.fullmatch(docname):
        title = next(doctree.findall(nodes.title))
        title.insert(0, nodes.Text(f"Chapter {int(match[1])} · "))
    for block in doctree.findall(nodes.math_block):
        take_number(app.env, block, docname)


def describe(doctree: nodes.document) -> None:
    """Give the page a description: its question, or else its first words, in whole sentences."""
    paragraphs = [p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)]
    paragraphs = [p for p in paragraphs if p.astext() != "Open in Colab"]
    asked = [p for p in paragraphs if p.astext().startswith("Question.")]
    words = " ".join(_plain((asked or paragraphs)[0]).split()).removeprefix("Question. ")
    text = ""
    for sentence in re.split(r"(?<=[.?!:]) ", words):
        if "\\" in sentence:  # a formula that plain words cannot say
            break
        if text and len(text) + len(sentence) >= DESCRIPTION:
            break
        text = f"{text} {sentence}".strip()
    doctree.insert(0, nodes.meta("", name="description", content=(text or words)[:DESCRIPTION]))


def _plain(node: nodes.Node) -> str:
    return node.astext().replace("“", '"').replace("”", '"')


def show_badge(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Show a picture instead of the words "Open in Colab" that stand alone in a paragraph."""
    (address,) = re.findall(r"\((.*)\)", colab.badge(chapters.config(Path(app.srcdir)), f"{docname}.ipynb"))
    for link in doctree.findall(nodes.reference):
        if link.get("refuri") == address and link.parent.astext() == link.astext():
            image = nodes.image(uri=BADGE, alt=link.astext(), width="120px", height="24px", classes=["colab-badge"])
            link.children = []
            link += image
            return


def take_number(env: BuildEnvironment, block: nodes.math_block, docname: str) -> None:
    """Move the number of an equation out of the formula, and remember where it stands."""
    text = block.astext()
    match = _TAG.search(text)
    if match is None:
        return
    number = match[1]
    anchor = f"equation-{number.replace('.', '-')}"
    block.children = [nodes.Text(_TAG.sub("", text))]
    block["number"] = number
    block["ids"].append(anchor)
    equations(env)[number] = (docname, anchor)


def equations(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return number of each equation → its page and its place there."""
    if not hasattr(env, "course_equations"):
        env.course_equations = {}  # type: ignore[attr-defined]
    return env.course_equations  # type: ignore[attr-defined]


def forget_page(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    kept = {number: place for number, place in equations(env).items() if place[0] != docname}
    env.course_equations = kept  # type: ignore[attr-defined]


def merge_pages(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    equations(env).update(equations(other))


# Writing a page --------------------------------------------------------------------------------------


def finish_page(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the mentions of equations, and mark the pictures that are too wide for a phone."""
    if app.builder.format != "html":
        return
    link_mentions(app, doctree, docname)
    for image in doctree.findall(nodes.image):
        path = Path(app.srcdir, image["uri"])
        if "jupyter_execute" in image["uri"] and path.suffix == ".png" and path.is_file():
            with Image.open(path) as picture:
                if picture.width >= WIDE:
                    image["classes"].append("wide-figure")


def link_mentions(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn "(4.8)" into a link where there is an equation of this number."""
    known = equations(app.env)
    closed = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.reference, nodes.title)
    for text in list(doctree.findall(nodes.Text)):
        if not _MENTION.search(text) or _inside(text, closed):
            continue
        made: list[nodes.Node] = []
        last = 0
        for match in _MENTION.finditer(text):
            if match[1] not in known:
                continue
            page, anchor = known[match[1]]
            to = f"{app.builder.get_relative_uri(docname, page) if page != docname else ''}#{anchor}"
            made += [nodes.Text(text[last : match.start()])]
            made += [nodes.reference("", match[0], internal=True, refuri=to, classes=["equation-link"])]
            last = match.end()
        if made:
            text.parent.replace(text, [*made, nodes.Text(text[last:])])


def _inside(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    above = node.parent
    while above is not None:
        if isinstance(above, kinds):
            return True
        above = above.parent
    return False


def finish_context(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let previous and next pass by the exercises; say what is missing without JavaScript."""
    for key, step in (("prev", 1), ("next", 2)):
        if page in app.builder.relations:  # type: ignore[attr-defined]
            context[key] = neighbour(app, page, step)
    if context.get("body") and 'class="math' in context["body"]:
        context["body"] = NO_SCRIPT + context["body"]


def neighbour(app: Sphinx, page: str, step: int) -> dict[str, str] | None:
    """Return link and title of the page before (1) or after (2), or None at the ends."""
    relations = app.builder.relations  # type: ignore[attr-defined]
    other = relations[page][step]
    while other and other.startswith(EXERCISES):
        other = relations[other][step]
    if not other:
        return None
    title = app.builder.render_partial(app.env.titles[other])["title"]  # type: ignore[attr-defined]
    return {"link": app.builder.get_relative_uri(page, other), "title": title}


# The map of chapters ---------------------------------------------------------------------------------


class ChapterEntry(Directive):
    """``{chapter} 04_why_training_fails``: thumbnail, title and minutes of a chapter, and words about it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        env: BuildEnvironment = self.state.document.settings.env
        name = self.arguments[0]
        path = Path(env.srcdir, "notebooks", f"{name}.ipynb")
        if not CHAPTER.fullmatch(f"notebooks/{name}") or not path.is_file():
            raise self.error(f"There is no chapter {name}; name a notebook such as 01_two_players.")
        env.note_dependency(str(path))
        notebook = chapters.read(path)
        record, number = notebook.metadata["gancourse"], chapters.number(path)
        where = env.app.builder.get_relative_uri(env.docname, f"notebooks/{name}")

        entry = nodes.container(classes=["chapter-entry"])
        picture, told = thumbnail(notebook, Path(env.doctreedir, "thumbnails", f"{name}.webp"))
        if picture is None:
            raise self.error(f"Chapter {name} shows no picture; its map entry needs one. Tag a cell `thumbnail`.")
        beside = nodes.reference("", "", refuri=where, internal=True, classes=["chapter-thumbnail"])
        uri = "/" + Path(os.path.relpath(picture, env.srcdir)).as_posix()
        beside += nodes.image(uri=uri, alt=f"From chapter {number}: {told}", loading="lazy")
        entry += nodes.paragraph("", "", beside)

        words = nodes.container(classes=["chapter-words"])
        title = nodes.reference("", f"{number} · {record['title']}", refuri=where, internal=True)
        head = nodes.paragraph("", "", nodes.strong("", "", title), classes=["chapter-title"])
        head += nodes.inline("", minutes(record["minutes"]), classes=["chapter-minutes"])
        words += head
        self.state.nested_parse(self.content, self.content_offset, words)
        entry += words
        return [entry]


def minutes(record: dict[str, float]) -> str:
    """Say how long a chapter's cells take."""
    unit = "minute" if record["cpu"] == 1 else "minutes"
    return f"{record['cpu']:g} {unit} on a CPU, {record['gpu']:g} on a GPU"


def thumbnail(notebook: NotebookNode, target: Path) -> tuple[Path | None, str]:
    """Write a small picture of a chapter, of THUMBNAIL_BYTES at most; return its file and what it shows.

    The file is None where no cell shows a picture.
    """
    found = list(pictures(notebook))
    if not found:
        return None, ""
    cell, data = max(found, key=lambda one: ("thumbnail" in chapters.tags(one[0]), len(one[1])))
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    small = Image.alpha_composite(white, picture).convert("RGB")
    small.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    for quality in (80, 60, 40, 20):
        small.save(target, "WEBP", quality=quality, method=6)
        if target.stat().st_size <= THUMBNAIL_BYTES:
            break
    alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt") or "one of its figures")
    told, *more = alt.split(". ")
    while more and len(told) < ALT:
        told = f"{told}. {more.pop(0)}"
    return target, told.rstrip(".")


def pictures(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, bytes]]:
    """Yield each cell with the picture that it shows; of a flip-book the last one."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            embedded = _EMBEDDED.findall("".join(data.get("text/html", "")))
            if encoded := embedded[-1:] or [data[kind] for kind in ("image/png",) if kind in data]:
                yield cell, base64.b64decode("".join(encoded[0]))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("chapter", ChapterEntry)
    app.connect("doctree-read", read_page, priority=400)  # Sphinx collects titles and images at 500
    app.connect("env-purge-doc", forget_page)
    app.connect("env-merge-info", merge_pages)
    app.connect("doctree-resolved", finish_page)
    app.connect("html-page-context", finish_context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
