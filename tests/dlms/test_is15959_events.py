import pytest

from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.is15959_events import (
    BIT_OF_EVENT,
    COMMANDED,
    EVENTS,
    STATUS_BITS,
    Family,
    event_words,
    family_of,
    status_edges,
    status_word,
)


class TestEvents:
    def test_are_paired_both_ways(self):
        for event in EVENTS.values():
            if event.restored_by is not None:
                assert EVENTS[event.restored_by].restores == event.code
            if event.restores is not None:
                assert EVENTS[event.restores].restored_by == event.code
                assert event.is_restoration
                assert event.priority is None

    def test_have_words_in_both_languages(self):
        for event in EVENTS.values():
            assert event.words.hi.strip() != event.words.en.strip()
            assert any("\u0900" <= letter <= "\u097f" for letter in event.words.hi)

    @pytest.mark.parametrize(
        ("priority", "codes"), [(1, {65, 201, 207, 209, 251}), (2, {69, 203, 252, 253}), (3, {51, 215})]
    )
    def test_sound_as_suggested(self, priority, codes):
        assert {event.code for event in EVENTS.values() if event.priority == priority} == codes

    def test_cover_opening_has_no_restoration(self):
        assert EVENTS[251].restored_by is None
        assert EVENTS[251].family is Family.NON_ROLLOVER

    def test_go_to_the_security_log(self):
        assert {event.code for event in EVENTS.values() if event.security_log} == {151, *range(161, 166)}

    def test_need_a_command_of_ours(self):
        assert {151, 158, 165, 301, 302} <= COMMANDED
        assert 157 not in COMMANDED


class TestFamilyOf:
    @pytest.mark.parametrize(
        ("code", "family"),
        [
            (7, Family.VOLTAGE),
            (51, Family.CURRENT),
            (101, Family.POWER),
            (151, Family.TRANSACTION),
            (168, Family.TRANSACTION),
            (201, Family.OTHER),
            (254, Family.NON_ROLLOVER),
            (301, Family.CONTROL),
            (603, None),
            (0, None),
        ],
    )
    def test_follows_the_ranges(self, code, family):
        assert family_of(code) is family


class TestEventWords:
    def test_name_an_unknown_code_by_its_number(self):
        assert event_words(889).hi == "निर्माता की घटना 889"


class TestStatusEdges:
    def test_tells_a_standing_state_once(self):
        magnet = status_word((81,))

        assert status_edges(None, magnet) == (201,)
        assert status_edges(magnet, magnet) == ()
        assert status_edges(magnet, status_word(())) == (202,)

    def test_never_takes_the_cover_back(self):
        assert status_edges(status_word((83,)), status_word(())) == ()

    def test_tells_the_relay_by_its_rise_and_fall(self):
        assert status_edges(None, status_word((84,))) == (301,)
        assert status_edges(status_word((84,)), status_word(())) == (302,)

    def test_leaves_makers_bits_out_unless_asked(self):
        word = status_word((111,))

        assert status_edges(None, word) == ()
        assert status_edges(None, word, with_vendor_bits=True) == (215,)

    def test_takes_a_short_word(self):
        assert status_edges(None, BitString(b"\x80", 8)) == (1,)


class TestStatusBits:
    def test_name_known_events(self):
        for bit in STATUS_BITS.values():
            assert bit.occurs is None or bit.occurs in EVENTS
            assert bit.restores is None or bit.restores in EVENTS
            assert bit.words.hi

    def test_are_found_by_event(self):
        assert (BIT_OF_EVENT[201], BIT_OF_EVENT[301], BIT_OF_EVENT[251]) == (81, 84, 83)
