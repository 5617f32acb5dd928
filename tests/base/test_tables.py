import pytest

from bijlighar.base.tables import BrokenTable, csv_rows


class TestCsvRows:
    def test_reads_a_byte_order_mark_quotes_and_blank_lines_and_keeps_the_line(self):
        rows = csv_rows('\ufeffCode , level\r\n\r\n"M,HOW", division\r\n', required=("code", "level"))

        assert [(row.line, row["code"], row["level"], row["absent"]) for row in rows] == [
            (3, "M,HOW", "division", "")
        ]

    def test_keeps_a_line_separator_inside_a_cell(self):
        (row,) = csv_rows("code,name\nA,one\u2028two\n", required=("code", "name"))

        assert row["name"] == "one\u2028two"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "no header"),
            ("code\nA\n", "column level is missing"),
            ("code,level,colour\n", "column colour is unknown"),
            ("code,level,code\n", "column code is there twice"),
            ("code,level\nA\n", "line 2: 1 cells where the header has 2"),
            ('code,level\nA,"b\n', "line 3"),
            ("code,level\nA,\x00\n", "line 2"),
        ],
    )
    def test_refuses_what_is_no_such_file(self, text, said):
        with pytest.raises(BrokenTable, match=said):
            csv_rows(text, required=("code", "level"))
