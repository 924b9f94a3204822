"""Sphinx extension: links derived from the repository's one address, and mends for the API pages.

The repository's address stands once, in _config.yml. These roles build every other link from it:

    {repo}`Issues <issues>`                     a page of the repository's web site
    {source}`gancourse/training.py`             a file on the main branch
    {colab}`Chapter 2 <notebooks/02_first_gan>` a notebook, opened on Colab
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def derive_links(app: Sphinx, config: Config) -> None:
    theme = config.html_theme_options
    repository, branch = theme["repository_url"], theme["repository_branch"]
    slug = repository.removeprefix("https://github.com/")
    colab = theme["launch_buttons"]["colab_url"]
    config.extlinks = {
        "repo": (f"{repository}/%s", "%s"),
        "source": (f"{repository}/blob/{branch}/%s", "%s"),
        "colab": (f"{colab}/github/{slug}/blob/{branch}/%s.ipynb", "%s"),
    }


def keep_colons(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let the docstring of a constant contain a colon; napoleon takes what stands before it for a type."""
    if what in ("data", "attribute", "property"):
        lines[:0] = ["..", ""]  # an empty comment, so that the first line holds no colon


def show_factories(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Write a dataclass's default factory so that the signature stays readable Python."""
    return (signature.replace("<factory>", "...") if signature else signature), result


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", derive_links)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # napoleon has 500
    app.connect("autodoc-process-signature", show_factories)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
