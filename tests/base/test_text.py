import pytest

from bijlighar.base.errors import InvalidValue
from bijlighar.base.text import check_text


class TestCheckText:
    @pytest.mark.parametrize("text", ["", "आँधी", "x" * 10, "two\nlines", "😀"])
    def test_returns_what_can_be_stored(self, text):
        assert check_text(text, what="the note", letters_max=10) == text

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("x" * 11, "the note has 11 letters; write at most 10"),
            ("a\0", "the note holds a sign that is no text"),
            ("a\ud800", "the note holds a sign that is no text"),
            ("\udfff", "the note holds a sign that is no text"),
        ],
    )
    def test_refuses_what_cannot(self, text, said):
        with pytest.raises(InvalidValue, match=said):
            check_text(text, what="the note", letters_max=10)
