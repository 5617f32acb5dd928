"""Every text of a page exists in Hindi, none is left over, and each takes the same facts in both languages."""

import re
from importlib import resources
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from bijlighar.web import pages
from bijlighar.web.language import hindi_texts

WEB = Path(str(resources.files("bijlighar.web")))
#: Texts that are chosen by a name at run time: the menu, and what scripts write.
BY_NAME = {name for _, _, name in pages.MENU} | set(pages.LIVE_TEXTS)


def used() -> set[str]:
    """Return the texts that templates and pages look up."""
    found = {
        str(message)
        for _, _, message, _, _ in extract_from_dir(
            WEB / "templates",
            method_map=[("**.html", "jinja2")],
            options_map={"**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}},
            keywords={"_": None},
        )
    }
    for file in WEB.rglob("*.py"):
        found |= {
            match[1] for match in re.finditer(r'(?<!settings\.)\btext\(\s*"([^"]+)"', file.read_text("utf-8"))
        }
    return found | BY_NAME


def test_every_text_has_its_hindi():
    assert sorted(used() - hindi_texts().keys()) == []


def test_no_text_is_left_over():
    assert sorted(hindi_texts().keys() - used()) == []


def test_no_text_stands_twice_in_the_catalogue():
    text = (WEB / "locale" / "hi" / "LC_MESSAGES" / "bijlighar.po").read_text("utf-8")
    keys = re.findall(r'^msgid "(.+)"$', text, re.MULTILINE)
    assert sorted({key for key in keys if keys.count(key) > 1}) == []


def facts(text: str) -> set[str]:
    """Return the names of the facts that a text takes."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("english", sorted(hindi_texts()))
def test_hindi_takes_the_same_facts_and_is_hindi(english: str):
    hindi = hindi_texts()[english]
    assert facts(english) == facts(hindi)
    words = re.sub(r"\{\w+\}", "", hindi)
    if re.search(r"[A-Za-z]{4,}", english) and english not in {"CSV", "WhatsApp"}:
        assert re.search(r"[\u0900-\u097f]", words), f"{english!r} is not in Hindi: {hindi!r}"


def test_the_catalogue_is_a_catalogue():
    with (WEB / "locale" / "hi" / "LC_MESSAGES" / "bijlighar.po").open("rb") as opened:
        catalog = read_po(opened, locale="hi", abort_invalid=True)
    assert len(catalog) > 30
