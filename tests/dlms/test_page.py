"""The examples of the protocol's page run and give what the page says."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "dlms.md"
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_run() -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    examples = doctest.DocTestParser().get_doctest("\n\n".join(blocks), {}, "dlms.md", str(PAGE), 0)
    said: list[str] = []

    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)

    assert results.failed == 0, "".join(said)
    assert len(blocks) >= 7
    assert results.attempted > 30
