from datetime import UTC, date, datetime

import pytest

from bijlighar.base.errors import InvalidValue
from bijlighar.registry.errors import RefusedFile
from bijlighar.registry.model import MeterType
from bijlighar.registry.registry_file import parse_network, parse_registry, url_key

HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "phone,language,email,multiplier,minutes,gateway,from,protected\n"
)
ROW = {
    "account": "A1",
    "usage_point": "U1",
    "meter": "M1",
    "meter_type": "single-phase",
    "url": "tcp://10.0.0.1:4059",
}


def make_text(**cells: str) -> str:
    row = {**ROW, **cells}
    return HEADER + ",".join(row.get(column, "") for column in HEADER.strip().split(",")) + "\n"


class TestParseRegistry:
    def test_reads_a_full_row(self):
        (row,) = parse_registry(
            make_text(
                name="Asha",
                sanctioned_w="3000",
                area="Urban",
                phone="+91 98260-00001",
                minutes="15",
                multiplier="20",
                protected="life_support:CERT-12:2026-12-31;court",
                **{"from": "2026-04-01"},
            )
        )

        assert (row.meter_type, row.sanctioned_w, row.area) == (MeterType.SINGLE_PHASE, 3000, "urban")
        assert (row.phone, row.minutes, row.multiplier) == ("+919826000001", 15, 20)
        assert row.from_at == datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
        assert [(cell.kind, cell.certificate, cell.until) for cell in row.protections] == [
            ("life_support", "CERT-12", date(2026, 12, 31)),
            ("court", "", None),
        ]

    def test_reads_the_columns_without_the_optional_ones_and_leaves_unknowns_unknown(self):
        text = HEADER.partition(",phone")[0] + "\nA1,,,,,,M1,lt-ct,,,,,\n"

        (row,) = parse_registry(text)

        assert (row.usage_point, row.url, row.sanctioned_w, row.from_at) == ("account A1", None, None, None)

    def test_takes_a_moment_with_an_offset_as_from(self):
        (row,) = parse_registry(make_text(**{"from": "2026-04-01T10:30:00+05:30"}))

        assert row.from_at == datetime(2026, 4, 1, 5, tzinfo=UTC)

    def test_names_a_place_after_what_is_measured_there(self):
        (row,) = parse_registry(
            make_text(account="", usage_point="", meter_type="transformer", transformer="T1")
        )

        assert row.usage_point == "transformer T1"

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            (
                {"meter_type": "two-phase"},
                "line 2, column meter_type: 'two-phase' is unknown; use one of",
            ),
            ({"sanctioned_w": "3 kW"}, "column sanctioned_w: '3 kW' is no whole number"),
            ({"sanctioned_w": "-1"}, "column sanctioned_w"),
            ({"sanctioned_w": "३"}, "column sanctioned_w"),
            ({"multiplier": "0"}, "column multiplier"),
            ({"minutes": "60"}, "column minutes: '60' is unknown; use one of 15, 30"),
            ({"area": "village"}, "column area"),
            ({"url": "10.0.0.1"}, "column url"),
            ({"url": "tcp://10.0.0.1"}, "column url.*host and port"),
            ({"url": "tcp://10.0.0.1:99999"}, "column url"),
            ({"url": "hdlc://"}, "column url.*serial line"),
            ({"phone": "12"}, "column phone"),
            ({"email": "nobody"}, "column email"),
            ({"language": "mr"}, "column language"),
            ({"from": "1 April"}, "column from: '1 April' is not a day"),
            ({"from": "2026-04-01T10:00:00"}, "column from: .*no offset"),
            ({"protected": "Life Support"}, "column protected"),
            ({"protected": "life_support:C:soon"}, "column protected"),
            ({"account": "", "protected": "court"}, "column account"),
            ({"account": "", "usage_point": ""}, "column usage_point"),
            ({"meter": ""}, "column meter: empty"),
            ({"meter_type": "transformer"}, "column account: a transformer meter has no account"),
            ({"account": "", "meter_type": "transformer"}, "column transformer: empty"),
            ({"account": "", "meter_type": "feeder", "transformer": "T1"}, "column feeder: empty"),
            ({"meter": "M" * 33}, "column meter: longer than 32"),
            ({"account": "A" * 33}, "column account: longer than 32"),
            ({"name": "A" * 201}, "column name: longer than 200"),
        ],
    )
    def test_refuses_a_wrong_cell_with_its_line_and_column(self, cells, said):
        with pytest.raises(RefusedFile, match=said):
            parse_registry(make_text(**cells))

    def test_counts_what_it_does_not_show(self):
        text = HEADER + "".join(f"A{n},,,,x,U{n},M{n},single-phase{',' * 13}\n" for n in range(5))

        with pytest.raises(RefusedFile, match=r"line 2.*line 3.*line 4.*and 2 more"):
            parse_registry(text)

    def test_refuses_a_file_of_another_kind(self):
        with pytest.raises(RefusedFile, match="nothing was stored: line 1: column account is missing"):
            parse_registry("meter,start\nM1,2026\n")


class TestParseNetwork:
    def test_reads_kva_with_decimals_and_empty_cells_as_unknown(self):
        rows = parse_network(
            "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,6.3,62.5,,HV\nT2,,,,,\n"
        )

        assert (rows[0].rated_va, rows[0].no_load_loss_w, rows[0].load_loss_w, rows[0].side) == (
            6300,
            63,
            None,
            "hv",
        )
        assert (rows[1].rated_va, rows[1].side) == (None, None)

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (",F1,,,,", "column transformer: empty"),
            ("T1,F1,,,,\nT1,F1,,,,", "line 3, column transformer: T1 stands on an earlier line"),
            ("T1,F1,big,,,", "column kva"),
            ("T1,F1,nan,,,", "column kva"),
            ("T1,F1,,-5,,", "column no_load_loss_w"),
            ("T1,F1,,,,ehv", "column side"),
        ],
    )
    def test_refuses_a_wrong_cell(self, row, said):
        with pytest.raises(RefusedFile, match=said):
            parse_network(f"transformer,feeder,kva,no_load_loss_w,load_loss_w,side\n{row}\n")


class TestUrlKey:
    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("tcp://h:1?server=1", "tcp://H:1", True),
            ("hdlc+tcp://h:1?server=1&physical=17", "hdlc+tcp://h:1?physical=17", True),
            ("hdlc+tcp://h:1?physical=18", "hdlc+tcp://h:1?physical=17", False),
            ("tcp://h:1", "hdlc+tcp://h:1", False),
            ("hdlc:///dev/ttyUSB0", "hdlc:///dev/ttyUSB1", False),
        ],
    )
    def test_tells_addresses_apart(self, one, other, same):
        assert (url_key(one) == url_key(other)) is same

    @pytest.mark.parametrize("url", ["http://h:1", "h:1", "tcp://:1", "tcp://h:port", ""])
    def test_refuses_what_is_no_address(self, url):
        with pytest.raises(InvalidValue):
            url_key(url)
