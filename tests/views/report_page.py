"""A report's page as a parser sees it: what it shows, which figures it carries, and what it would fetch."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "br", "img", "link", "input", "source", "hr"}


class Page(HTMLParser):
    """`figures` by name (as written beside the words), `tables` by name as rows of cells, all `links`, the `text`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.sections: dict[str, str] = {}  # id: its text
        self.figures: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.plots: dict[str, int] = {}  # by section
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.links += [named[name] for name in ("src", "href", "xlink:href", "data", "action") if name in named]
        if "id" in named:
            self.ids.append(named["id"])
        if "data-figure" in named:
            known = self.figures.setdefault(named["data-figure"], named["data-value"])
            assert known == named["data-value"], f"two values of {named['data-figure']}"
        if "data-table" in named:
            self.tables[named["data-table"]] = []
        if tag == "svg":
            section = self._inside("section")
            self.plots[section] = self.plots.get(section, 0) + 1
        if tag == "tr" and self._inside("tbody", "tag"):
            self.tables[self._inside("table", "data-table")].append([])
        if tag == "td":
            self.tables[self._inside("table", "data-table")][-1].append("")
        if tag not in _VOID:
            self._open.append((tag, named))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "style":
            return
        self.text += data
        if section := self._inside("section"):
            self.sections[section] = self.sections.get(section, "") + data
        if self._inside("td", "tag"):
            self.tables[self._inside("table", "data-table")][-1][-1] += data

    def _inside(self, tag: str, attribute: str = "id") -> str:
        for opened, named in reversed(self._open):
            if opened == tag:
                return tag if attribute == "tag" else named.get(attribute, "")
        return ""
