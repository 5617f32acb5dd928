"""What a document of settings may say, and that one meaning has one digest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.headend.errors import BrokenDocument
from bijlighar.headend.settings_document import canonical, table_of
from bijlighar.headend.settings_file import document_of_table, read_document
from tests.headend.documents import CALENDAR, LIMIT, WHOLE, a_document


def sets(line: str) -> str:
    return f'name = "x"\n{line}\n'


class TestReadDocument:
    @pytest.mark.parametrize("text", [WHOLE, LIMIT, sets("capture_minutes = 30"), sets(CALENDAR)])
    def test_means_the_same_in_toml_and_json(self, text: str):
        document = read_document(text)

        assert read_document(canonical(document)) == document
        assert read_document(json.dumps(table_of(document), indent=2)).digest == document.digest

    @given(
        slots=st.dictionaries(st.integers(1, 95), st.integers(1, 8), max_size=6),
        day=st.integers(1, 28),
        watts=st.integers(1_000, 1_000_000),
    )
    def test_reads_back_what_it_writes(self, slots: dict[int, int], day: int, watts: int):
        switches, last = {"00:00": 1}, 1
        for quarter, zone in sorted(slots.items()):
            if zone != last:
                switches[f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"] = last = zone
        table = {
            "name": "दिन के समय की दरें",
            "calendar": {
                "name": "C",
                "days": {"1": switches},
                "weeks": {"W": [1] * 7},
                "seasons": {"S": {"from": "04-01", "week": "W"}},
            },
            "billing": {"day": day},
            "load_limit": {"watts": watts, "over_s": 60, "under_s": 60},
        }
        document = document_of_table(table)

        assert document_of_table(table_of(document)) == document
        assert document.may_interrupt

    def test_tells_apart_what_differs_in_anything(self):
        digests = {
            a_document(text).digest
            for text in (WHOLE, WHOLE.replace("day = 15", "day = 16"), WHOLE.replace("April", "May"), LIMIT)
        }

        assert len(digests) == 4

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "sets nothing|must be a text"),
            ('name = "x"', "sets nothing"),
            ("[[[", "neither JSON nor TOML"),
            ("{" * 10_000, "neither JSON nor TOML"),
            (sets("relay = 0"), "has no relay"),
            (sets("capture_minutes = 20"), "one of 15, 30"),
            (sets("capture_minutes = true"), "whole number"),
            (sets("[billing]\nday = 29"), "1 to 28"),
            (sets('[billing]\nday = 1\ntime = "24:00"'), "time of the day"),
            (sets('[mode]\npayment = "free"'), "one of postpaid"),
            (sets("[events]\nbits = []"), "silence every alarm"),
            (sets("[events]\ncodes = [101]"), "no bit"),
            (sets('[push.alert]\ndestination = "nowhere"\nobjects = ["1 0.0.96.1.2.255 2"]'), "HOST:PORT"),
            (sets('[push.alert]\ndestination = "a:1"\nobjects = ["1 0.0.96 2"]'), "no class, OBIS"),
            (sets('[push.other]\ndestination = "a:1"'), "has no other"),
            (LIMIT.replace("5000", "10"), "1000 to 1000000"),
            (LIMIT.replace("5000", "0"), "1000 to 1000000"),
            (LIMIT.replace("over_s = 300", "over_s = 1"), "60 to 3600"),
            (LIMIT.replace("under_s = 600", "under_s = 86400"), "60 to 1800"),
            (LIMIT + "emergency = 1\n", "has no emergency"),
            (LIMIT + 'actions = "0.0.10.0.106.255"\n', "has no actions"),
            (WHOLE.replace('"00:00" = 1, "06:00"', '"01:00" = 1, "06:00"'), "must begin"),
            (WHOLE.replace('"06:00" = 2', '"06:10" = 2'), "quarter of an hour"),
            (WHOLE.replace('"06:00" = 2', '"06:00" = 1'), "follows itself"),
            (WHOLE.replace('"06:00" = 2', '"06:00" = 9'), "1 to 8"),
            (WHOLE.replace('"06:00" = 2', '"25:00" = 2'), "time of the day"),
            (WHOLE.replace("1, 1, 1, 1, 1, 1, 2", "1, 1, 1, 1, 1, 1, 3"), "used and not there"),
            (WHOLE.replace("1, 1, 1, 1, 1, 1, 2", "1, 1, 1, 1, 1, 1, 1"), "there and not used"),
            (WHOLE.replace("1, 1, 1, 1, 1, 1, 2", "1, 1"), "seven days"),
            (WHOLE.replace('"04-01"', '"02-29"'), "a month and a day"),
            (WHOLE.replace('"04-01"', '"13-01"'), "a month and a day"),
            (WHOLE.replace('week = "ALL"', 'week = "NONE"'), "used and not there"),
            (WHOLE.replace('activate = "now"', 'activate = "2026-04-01T00:00:00"'), "offset"),
            ("x" * 70_000, "at most"),
        ],
    )
    def test_refuses_what_cannot_be_meant(self, text: str, says: str):
        with pytest.raises(BrokenDocument, match=says):
            read_document(text)
