"""HTML fragments, parsed without a browser."""

from html.parser import HTMLParser

_WITHOUT_END = frozenset({"meta", "line"})


class Element:
    """Element with its descendants and its text."""

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    def all(self, tag: str) -> list["Element"]:
        """Return the descendants with this tag, in order."""
        found = []
        for child in self.children:
            found += [child] if child.tag == tag else []
            found += child.all(tag)
        return found

    def one(self, tag: str) -> "Element":
        """Return the only descendant with this tag."""
        (found,) = self.all(tag)
        return found

    def texts(self, tag: str) -> list[str]:
        """Return the texts of the descendants with this tag."""
        return [element.text for element in self.all(tag)]

    def number(self, attribute: str) -> float:
        """Return the numeric value of an attribute."""
        return float(self.attributes[attribute] or "")


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.path[-1].children.append(element)
        if tag not in _WITHOUT_END:
            self.path.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.path[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop().tag == tag, f"</{tag}> ends another element"

    def handle_data(self, data: str) -> None:
        for element in self.path:
            element.text += data


def parsed(html: str) -> Element:
    """Parse an HTML fragment, and check that its elements are nested correctly."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert len(parser.path) == 1, f"<{parser.path[-1].tag}> does not end"
    return parser.path[0]
