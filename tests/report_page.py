"""A report read as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

# Every element of HTML that has no end.
_VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a report holds: its numbers, its tags, and its words outside of numbers.

    Attributes:
        numbers: (source, value, shown) of every number.
        tags: (tag, attributes) of every element.
        words: (text, tags and marks around it) of all text that is not a number.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, frozenset[str]]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> ends with </{tag}>"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "data":
            attributes = self._open[-1][1]
            self.numbers.append((attributes["data-source"] or "", attributes["value"] or "", data))
            return
        around = {tag for tag, _ in self._open}
        around |= {name for _, attributes in self._open for name in attributes}
        self.words.append((data, frozenset(around)))
