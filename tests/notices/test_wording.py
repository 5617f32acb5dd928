import pytest

from bijlighar.base.words import LANGUAGES
from bijlighar.notices import queries, wording
from bijlighar.notices.errors import UnreadableFact
from bijlighar.notices.model import Purpose, Template


class TestRead:
    @pytest.mark.parametrize(
        ("fact", "value", "hi", "en"),
        [
            ("amount_paise", "0", "₹0.00", "₹0.00"),
            ("amount_paise", "5", "₹0.05", "₹0.05"),
            ("owed_paise", "-2000", "₹20.00 (जमा)", "₹20.00 (in credit)"),
            ("amount_paise", "384126050", "₹38,41,260.50", "₹38,41,260.50"),
            ("due_on", "2025-12-31", "31 दिसंबर 2025", "31 December 2025"),
            ("done_at", "2025-05-01T18:30:00+00:00", "2 मई 2025, मध्यरात्रि 12:00 बजे", "2 May 2025, 12:00 am"),
            ("done_at", "2025-05-01T12:05:00+05:30", "1 मई 2025, दोपहर 12:05 बजे", "1 May 2025, 12:05 pm"),
            ("month", "2025-04", "अप्रैल 2025", "April 2025"),
            ("energy_wh", "123456000", "1,23,456", "1,23,456"),
            ("name", "आशा\n वर्मा", "आशा वर्मा", "आशा वर्मा"),
        ],
    )
    def test_gives_the_words_of_a_language(self, fact: str, value: str, hi: str, en: str):
        assert (
            wording.read(fact=fact, value=value, language="hi"),
            wording.read(fact=fact, value=value, language="en"),
        ) == (hi, en)

    @pytest.mark.parametrize(
        ("fact", "value"),
        [
            ("amount_paise", "12.50"),
            ("amount_paise", "₹12"),
            ("due_on", "11/05/2025"),
            ("done_at", "2025-05-01T18:30:00"),
            ("month", "2025-13"),
            ("energy_wh", ""),
        ],
    )
    def test_refuses_what_the_name_does_not_say(self, fact: str, value: str):
        with pytest.raises(UnreadableFact, match=fact):
            wording.read(fact=fact, value=value, language="hi")


class TestTemplates:
    @pytest.mark.parametrize("template", queries.templates(), ids=lambda template: template.purpose)
    def test_fit_the_provider_and_both_languages(self, template: Template):
        for language in LANGUAGES:
            text = template.whatsapp[language]
            assert not text.body.startswith("{")
            assert not text.body.endswith("}"), "the provider refuses a text that ends in a parameter"
            assert len(text.body) <= 1024
            printed = "" if template.one_time_code else template.printed[language].body
            in_devanagari = any("\u0900" <= sign <= "\u097f" for sign in text.body + printed)
            assert in_devanagari == (language == "hi")

    def test_are_one_for_each_purpose_with_names_of_their_own(self):
        templates = queries.templates()

        assert [template.purpose for template in templates] == list(Purpose)
        assert len({template.provider_name for template in templates}) == len(templates)

    def test_threaten_nobody_on_whatsapp(self):
        words = ("विच्छेद", "धारा", "कानूनी", "disconnect", "section", "legal", "Act")
        for template in queries.templates():
            for text in template.whatsapp.values():
                assert not [word for word in words if word in text.body]

    def test_state_the_law_on_the_printed_notice(self):
        printed = wording.template(Purpose.STATUTORY_NOTICE).printed

        for word in ("वैधानिक सूचना", "धारा 56(1)", "पंद्रह दिन", "छह महीनों के औसत", "1912"):
            assert word in printed["hi"].body
        for word in (
            "STATUTORY NOTICE",
            "section 56(1)",
            "fifteen clear days",
            "preceding six months",
            "1912",
        ):
            assert word in printed["en"].body
        assert wording.template(Purpose.STATUTORY_NOTICE).always_printed
