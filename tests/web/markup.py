"""A page read as strictly as the standard library allows: tags closed in their order, ids once, inputs named."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

#: HTML's own elements without an end.
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
NAMED_BY_ITSELF = frozenset({"hidden", "submit", "button"})
#: What stands inside a picture may close itself, and has ids of its own.
PICTURE = "svg"


@dataclass
class Field:
    """An input, by what it may have got its name."""

    id: str
    is_named: bool
    text: str


@dataclass
class Page(HTMLParser):
    """What was found on a page, and what is wrong with it."""

    open: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    referred: set[str] = field(default_factory=set)
    fields: list[Field] = field(default_factory=list)
    headings: int = 0
    language: str = ""
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self, convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)
        if tag not in VOID and PICTURE not in (*self.open, tag):
            self.wrong.append(f"<{tag}/> does not close itself in HTML")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-1:] or 'nothing'} at {self.getpos()}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def _look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        said = {name: value or "" for name, value in attrs}
        if len(names) != len(set(names)):
            self.wrong.append(f"<{tag}> says something twice: {names}")
        if "style" in said or any(name.startswith("on") for name in names):
            self.wrong.append(f"<{tag}> has a style or a script of its own")
        if "id" in said:
            self.ids.append(said["id"])
        self.headings += tag == "h1"
        if tag == "html":
            self.language = said.get("lang", "")
        if tag == "label" and "for" in said:
            self.labels.add(said["for"])
        for name in ("aria-labelledby", "aria-describedby", "for"):
            self.referred.update(said.get(name, "").split())
        if tag == "img" and "alt" not in said:
            self.wrong.append("<img> without alt")
        if tag in ("input", "select", "textarea") and said.get("type", "text") not in NAMED_BY_ITSELF:
            is_named = "label" in self.open or "aria-label" in said or "aria-labelledby" in said
            self.fields.append(Field(said.get("id", ""), is_named, self.get_starttag_text() or tag))


def faults(html: str, *, is_whole: bool = True) -> list[str]:
    """What is wrong with a page, or with a part of one."""
    page = Page()
    page.feed(html)
    page.close()
    found = list(page.wrong)
    found += [f"<{tag}> is never closed" for tag in page.open]
    found += [f"the id {name} stands twice" for name in sorted({*page.ids}) if page.ids.count(name) > 1]
    found += [
        f"{each.text} has no label"
        for each in page.fields
        if not each.is_named and each.id not in page.labels
    ]
    if is_whole:
        found += [f"nothing has the id {name}" for name in sorted(page.referred - {*page.ids})]
        if not html.lower().startswith("<!doctype html>"):
            found.append("no doctype")
        if page.headings != 1:
            found.append(f"{page.headings} h1")
        if page.language not in ("hi", "en"):
            found.append(f"the language is {page.language!r}")
    return found
