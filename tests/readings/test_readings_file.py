import pytest

from bijlighar.readings.errors import BrokenFile
from bijlighar.readings.readings_file import parse

INTERVALS = "meter,start,minutes,wh_import\n"
REGISTERS = "meter,time,wh_import_register\n"
GOOD = "M1,2026-04-01T00:00:00+05:30,30,7\n"


class TestParse:
    def test_parts_deliveries_by_meter_and_interval_length(self):
        text = INTERVALS + GOOD + GOOD.replace("M1", "M2") + GOOD.replace(",30,", ",15,") + "\n"

        parsed = parse(text, stamp="start")

        assert [(delivery.meter, delivery.minutes) for delivery in parsed.deliveries] == [
            ("M1", 30),
            ("M2", 30),
            ("M1", 15),
        ]
        assert (parsed.lines, parsed.first_lines) == (3, {"M1": 2, "M2": 3})

    def test_takes_a_byte_order_mark_and_a_last_line_without_end(self):
        assert parse("\ufeff" + INTERVALS + GOOD.strip(), stamp="start").lines == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "line 1: the file is empty"),
            ("meter,when,wh\n", "line 1: the columns are neither"),
            ("meter,start,minutes,wh_import,colour\n", "unknown column 'colour'"),
            ("meter,start,minutes,wh_import,wh_import\n", "stands there twice"),
            (INTERVALS + GOOD + "M1,2026-04-01T00:30:00+05", "line 3: 2 cells where 4 belong"),
            (INTERVALS + "M1,2026-04-01T00:00:00,30,7\n", "line 2: .*has no offset"),
            (INTERVALS + "M1,yesterday,30,7\n", "line 2: 'yesterday' is not a time"),
            (INTERVALS + "M1,2026-04-01T00:10:00+05:30,30,7\n", "line 2: .*not on the grid of 30 minutes"),
            (INTERVALS + "M1,2026-04-01T00:00:00+05:30,60,7\n", "line 2: intervals of '60' minutes"),
            (INTERVALS + "M1,2026-04-01T00:00:00+05:30,30,seven\n", "line 2: wh_import is 'seven'"),
            (INTERVALS + "M1,2026-04-01T00:00:00+05:30,30,nan\n", "line 2: wh_import is nan"),
            (INTERVALS + "M1,2026-04-01T00:00:00+05:30,30,1e99\n", "line 2: wh_import is 1e99"),
            (
                INTERVALS + f"M1,2026-04-01T00:00:00+05:30,30,{10**13}\n",
                "line 2: .*beyond what any meter counts",
            ),
            (INTERVALS + "M1,9999-12-31T23:59:59-12:00,30,7\n", "line 2: "),
            (INTERVALS + "M1,1901-01-01T00:00:00+05:30,30,7\n", "line 2: .*beyond the calendar"),
            (INTERVALS + ",2026-04-01T00:00:00+05:30,30,7\n", "line 2: '' is no serial number"),
            (INTERVALS + '"M1,2026-04-01T00:00:00+05:30,30,7\n', "line 3: unexpected end of data"),
            (REGISTERS + "M1,2026-04-01T00:00:00+05:30,\n", "line 2: the line holds no register"),
            (REGISTERS + "M1,2026-04-01T00:00:00+05:30,-4\n", "line 2: .*never negative"),
            (
                "meter,time,wh_import_register,kind\nM1,2026-04-01T00:00:00+05:30,4,guess\n",
                "no kind of register",
            ),
        ],
    )
    def test_refuses_a_wrong_file_with_line_and_reason(self, text: str, words: str):
        with pytest.raises(BrokenFile, match=words):
            parse(text, stamp="start")
