"""A text that a person sees always has both languages; Hindi stands first."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["hi", "en"]
LANGUAGES: tuple[Language, ...] = ("hi", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """
    The same text in Hindi and English.

    >>> Words(hi="बिजली", en="electricity").in_language("hi")
    'बिजली'
    """

    hi: str
    en: str

    def in_language(self, language: Language) -> str:
        """Return the text in `language`."""
        return self.hi if language == "hi" else self.en
