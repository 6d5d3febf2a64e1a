"""The documentation as a site: built with warnings as errors, whole without any other host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

config = pytest.importorskip("mkdocs.config", reason="MkDocs is not installed")

ROOT = Path(__file__).parents[1]
_FOREIGN = re.compile(r"(https?:)?//")
_IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
_SIGNS = re.compile(r"^(\* |- |\d\. |\|)", re.MULTILINE)
_LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "video": "src"}


class _Page(HTMLParser):
    """What a page loads, and the text of its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.paragraphs: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what the tag makes a browser fetch."""
        self.loads += [value for name, value in attributes if name == _LOADS.get(tag) and value]
        if tag == "p":
            self.paragraphs.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        """Leave the paragraph."""
        self._inside = self._inside and tag != "p"

    def handle_data(self, data: str) -> None:
        """Add to the last paragraph."""
        if self._inside:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a warning of MkDocs ends the build."""
    from mkdocs.commands.build import build

    folder = tmp_path_factory.mktemp("site")
    build(config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_every_page_is_in_the_navigation_and_loads_nothing_from_elsewhere(site):
    """No script, style, font, picture or frame of another host: the site works behind any wall."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))  # and the page of what is not found
    for page in pages:
        assert [url for url in _Page(page.read_text("utf-8")).loads if _FOREIGN.match(url)] == [], page
    for style in site.rglob("*.css"):
        assert _IN_CSS.findall(style.read_text("utf-8")) == [], style


def test_markdown_is_understood(site):
    """No list or table reaches the reader as its signs: the site's Markdown wants an empty line before both."""
    for page in site.rglob("*.html"):
        paragraphs = _Page(page.read_text("utf-8")).paragraphs
        assert [text for text in paragraphs if _SIGNS.search(text)] == [], page
