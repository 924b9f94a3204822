"""Sphinx extension: a search that does not mind accents, and that puts chapters above the package's functions.

Words of the pages and of the reader lose their accents before they are compared, so "frechet" finds "Fréchet". What
ranks above what is said in ``search_scorer.js``.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

STEMMER = """
const AccentedStemmer = Stemmer;
Stemmer = function () {
  const stemmer = new AccentedStemmer();
  this.stemWord = (word) => stemmer.stemWord(word.normalize("NFD").replace(/\\p{M}/gu, ""));
};
"""


def without_accents(word: str) -> str:
    """Return the word with plain letters: Fréchet becomes Frechet."""
    return "".join(
        mark for mark in unicodedata.normalize("NFD", word) if not unicodedata.category(mark).startswith("M")
    )


class SearchPlainEnglish(SearchEnglish):
    """English words, accents aside."""

    js_stemmer_code = SearchEnglish.js_stemmer_code + STEMMER

    def stem(self, word: str) -> str:
        return super().stem(without_accents(word))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_search_language(SearchPlainEnglish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
