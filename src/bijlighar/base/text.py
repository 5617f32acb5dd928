"""What a person writes: short enough for its column, and made of signs that every database can hold."""

from bijlighar.base.errors import InvalidValue

#: A code, a number or a sign-in name.
CODE_MAX = 64
#: What a person or a place is called.
NAME_MAX = 200
#: A reason, a note, the paper that something rests on.
NOTE_MAX = 500
#: A cell that begins with one of these is a formula to a spreadsheet.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def check_text(text: str, *, what: str, letters_max: int) -> str:
    r"""
    Return `text` if it can be stored; `what` names it in the message.

    >>> check_text("storm", what="the reason", letters_max=NOTE_MAX)
    'storm'

    :raises InvalidValue: if it is too long, or holds a zero byte or half of a sign.
    """
    if len(text) > letters_max:
        raise InvalidValue(f"{what} has {len(text)} letters; write at most {letters_max}")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidValue(f"{what} holds a sign that is no text; write it anew, in letters of UTF-8")
    return text


def spreadsheet_text(text: str) -> str:
    """
    Return `text` as a cell of a table for spreadsheets: what would be a formula there stays a text.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("storm")
    ("'=1+1", 'storm')
    """
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text
