"""Read Markdown as the site does: headings, lists, links, images, display math, words, MyST's own marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

_PARSER = MarkdownIt("commonmark").enable("table")
_PARSER.use(front_matter_plugin).use(dollarmath_plugin, double_inline=False).use(colon_fence_plugin)

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_URL = re.compile(r"https?://\S+")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:|//)")
_ROLE = re.compile(r"\{[A-Za-z][\w:+.-]*\}$")
_OPTION = re.compile(r":([\w-]+):\s*(.*)")
_DIRECTIVE = re.compile(r"\{([\w:+.-]+)\}\s*(.*)")

#: Directives whose content is not Markdown.
_OPAQUE = {"code", "code-block", "code-cell", "literalinclude", "math", "toctree", "eval-rst", "bibliography"}
_OPAQUE |= {"automodule", "autoclass", "autofunction", "autodata", "mermaid", "include", "tableofcontents"}


class Place(NamedTuple):
    """Something that points elsewhere: a link (alt is None) or an image."""

    line: int
    target: str
    alt: str | None = None


class Block(NamedTuple):
    """A top-level block: heading, paragraph, list, quote, math, code, html or table.

    Attributes:
        kind: which of those.
        text: its raw text; empty for a list.
        level: of a heading, 1 to 6; else 0.
        items: of a list, the addresses that each item links to.
        links: the addresses that the block links to.
    """

    kind: str
    text: str
    level: int = 0
    items: tuple[tuple[str, ...], ...] = ()
    links: tuple[str, ...] = ()


# HTML ------------------------------------------------------------------------------------------------


@dataclass
class Html:
    """What a piece of HTML shows and loads.

    Attributes:
        images: every ``<img>`` with its alternative text.
        links: every address that an ``<a>`` goes to.
        unlabelled: pictures without a text for readers who do not see them: ``"<svg>"``, ``"<canvas>"`` …
        loaded: addresses on other hosts that the page would load: scripts, styles, fonts, pictures.
    """

    images: list[Place] = field(default_factory=list)
    links: list[Place] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)


_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_PICTURES = {"svg", "canvas", "video", "iframe", "object"}


class _HtmlReader(HTMLParser):
    """Walks through HTML with a stack of open elements, each with whether it is labelled."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Html()
        self.open: list[tuple[str, bool]] = []
        self.line = 0
        self.untitled_svg: int | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        inherited = bool(self.open) and self.open[-1][1]
        hidden = given.get("aria-hidden") == "true" or given.get("role") == "presentation"
        label = given.get("aria-label", "").strip() or given.get("aria-labelledby", "").strip()
        named = bool(label) or (tag == "iframe" and bool(given.get("title", "").strip()))
        group = bool(label) and given.get("role") in ("img", "group", "figure")
        if tag == "img":
            alt = given.get("alt", "").strip() or ("described by its group" if inherited or hidden else "")
            self.found.images.append(Place(self.line + self.getpos()[0], given.get("src", ""), alt))
        elif tag == "a" and given.get("href"):
            self.found.links.append(Place(self.line + self.getpos()[0], given["href"]))
        elif tag == "title" and self.untitled_svg is not None:
            self.untitled_svg = None
        elif tag in _PICTURES and not (named or inherited or hidden):
            if tag == "svg":
                self.untitled_svg = len(self.open)
            else:
                self.found.unlabelled.append(f"<{tag}>")
        address = given.get("src") or (given.get("href") if tag == "link" else "") or ""
        if _SCHEME.match(address) and not address.startswith(("data:", "blob:")):
            self.found.loaded.append(address)
        if tag not in _VOID:
            self.open.append((tag, inherited or hidden or group))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self.open):
            while self.open.pop()[0] != tag:
                pass
        if tag == "svg" and self.untitled_svg is not None and len(self.open) <= self.untitled_svg:
            self.found.unlabelled.append("<svg>")
            self.untitled_svg = None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)


def read_html(text: str) -> Html:
    """Return what a piece of HTML shows and loads."""
    reader = _HtmlReader()
    reader.feed(text)
    reader.close()
    return reader.found


# Markdown --------------------------------------------------------------------------------------------


class Prose:
    """One piece of Markdown: a cell, or a page.

    Attributes:
        blocks: its top-level blocks.
        math: the display equations: (text, whether it has a MyST label).
        links: every link, in Markdown or HTML.
        images: every image with its alternative text.
        html: what its HTML shows and loads.
        words: number of words, without code, math, HTML and addresses.
        myst: what only MyST understands, in words.
        loose_math: display math that the site or Colab would not show as such, in words.
    """

    def __init__(self, text: str, first_line: int = 1, directives: bool = False) -> None:
        self.blocks: list[Block] = []
        self.math: list[tuple[str, bool]] = []
        self.links: list[Place] = []
        self.images: list[Place] = []
        self.words = 0
        self.myst: list[str] = []
        self.loose_math: list[str] = []
        self._html = _HtmlReader()
        self._line = first_line
        self._directives = directives
        tokens = _PARSER.parse(text)
        for token in tokens:
            self._take(token)
        self._html.close()
        self.html = self._html.found
        self.links += self.html.links
        self.images += self.html.images
        self.blocks = list(_blocks(tokens))

    def _take(self, token: Token) -> None:
        line = self._line + (token.map[0] if token.map else 0)
        if token.type == "inline":
            self._inline(token, line)
        elif token.type in ("math_block", "math_block_label"):
            self.math.append((token.content, token.type == "math_block_label"))
        elif token.type == "html_block":
            self._feed(token.content, line)
        elif token.type in ("fence", "colon_fence"):
            self._fence(token, line)

    def _feed(self, html: str, line: int) -> None:
        self._html.line = line - self._html.getpos()[0]
        self._html.feed(html)

    def _inline(self, token: Token, line: int) -> None:
        children = token.children or []
        for before, child in zip([None, *children], children, strict=False):
            if child.type == "text":
                self.words += len(_WORD.findall(_URL.sub("", child.content)))
            elif child.type == "link_open":
                self.links.append(Place(line, str(child.attrs.get("href", ""))))
            elif child.type == "image":
                self.images.append(Place(line, str(child.attrs.get("src", "")), child.content.strip()))
            elif child.type == "html_inline":
                self._feed(child.content, line)
            elif child.type == "code_inline" and before is not None and before.type == "text":
                if role := _ROLE.search(before.content):
                    self.myst.append(f"the role {role[0]}`{child.content}`")
        for row in token.content.splitlines():
            if re.match(r"\([\w-]+\)=\s*$", row):
                self.myst.append(f"the target {row.strip()}")
            elif row.startswith("% ") or row.startswith("+++"):
                self.myst.append(f"the comment or break {row[:20]!r}")
        plain = "".join(child.content for child in children if child.type == "text")
        if re.search(r"\{\{.*\}\}", plain):
            self.myst.append("a substitution {{ … }}")
        if "$$" in plain:
            self.loose_math.append("$$ inside a paragraph; put the equation on lines of its own")
        raw = re.sub(r"`[^`]*`|\$[^$]*\$", "", token.content)
        for sign in re.findall(r"\\\[|\\begin\{\w+\*?\}", raw):
            self.loose_math.append(f"{sign} outside of $$ … $$")

    def _fence(self, token: Token, line: int) -> None:
        match = _DIRECTIVE.match(token.info.strip())
        if match is None:
            if token.type == "colon_fence":
                self.myst.append("a block :::")
            return
        name, argument = match.groups()
        self.myst.append(f"the directive {{{name}}}")
        if not self._directives:
            return
        options: dict[str, str] = {}
        rows = token.content.splitlines()
        while rows and (option := _OPTION.match(rows[0])):
            options[option[1]] = option[2].strip()
            rows.pop(0)
        if name in ("image", "figure", "card-carousel"):
            self.images.append(Place(line, argument.strip(), options.get("alt", "")))
        for key in ("img-top", "img-bottom", "img-background"):
            if key in options:
                self.images.append(Place(line, options[key], options.get("img-alt", "")))
        if options.get("link-type", "url") in ("url", "doc") and options.get("link"):
            self.links.append(Place(line, options["link"]))
        if name == "raw":
            self._feed("\n".join(rows), line)
        elif name not in _OPAQUE:
            inner = Prose("\n".join(rows), line + 1 + len(options), directives=True)
            self.links += inner.links
            self.images += inner.images
            self.words += inner.words
            self._html.found.unlabelled += inner.html.unlabelled
            self._html.found.loaded += inner.html.loaded


_KINDS = {"heading_open": "heading", "paragraph_open": "paragraph", "blockquote_open": "quote"}
_KINDS |= {"bullet_list_open": "list", "ordered_list_open": "list", "table_open": "table"}
_KINDS |= {"math_block": "math", "math_block_label": "math", "fence": "code", "code_block": "code"}
_KINDS |= {"html_block": "html", "colon_fence": "code"}


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    """Group the tokens of a document into its top-level blocks."""
    start = 0
    for k, token in enumerate(tokens):
        if token.level or token.nesting == 1:
            continue
        group, start = tokens[start : k + 1], k + 1
        kind = _KINDS.get(group[0].type)
        if kind is None:
            continue
        level = int(group[0].tag[1]) if kind == "heading" else 0
        items: list[tuple[str, ...]] = []
        if kind == "list":
            starts = [i for i, inner in enumerate(group) if inner.type == "list_item_open" and inner.level == 1]
            for a, b in zip(starts, [*starts[1:], len(group)], strict=True):
                items.append(_addresses(group[a:b]))
        text = "\n".join(inner.content for inner in group if inner.type == "inline") if kind != "list" else ""
        yield Block(kind, text or token.content, level, tuple(items), _addresses(group))


def _addresses(tokens: list[Token]) -> tuple[str, ...]:
    children = (child for token in tokens for child in token.children or [])
    return tuple(str(child.attrs.get("href", "")) for child in children if child.type == "link_open")


# Relative addresses ----------------------------------------------------------------------------------


def outside(target: str) -> bool:
    """Return whether an address names a scheme or a host, and so lies outside the repository."""
    return bool(_SCHEME.match(target))


def dead(target: str, folder: Path, root: Path, rooted: bool, endings: tuple[str, ...] = ()) -> bool:
    """Return whether a relative address leads to nothing inside the repository.

    Args:
        target: what the link or image says; a scheme or a ``#place`` on the page is not judged.
        folder: where the page lies.
        root: the repository.
        rooted: whether ``/path`` is understood, as from the repository's root (Sphinx does for images).
        endings: file endings that may be left out.
    """
    if outside(target) or target.startswith("#"):
        return False
    path = unquote(re.split(r"[#?]", target, maxsplit=1)[0])
    if path.startswith("/") and not rooted:
        return True
    place = (root / path.lstrip("/") if path.startswith("/") else folder / path).resolve()
    candidates = [place, *(place.with_name(place.name + ending) for ending in endings)]
    return not any(c.exists() and c.is_relative_to(root.resolve()) for c in candidates)
