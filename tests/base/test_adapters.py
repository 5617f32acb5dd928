import pytest

from bijlighar.base.adapters import XML_DEPTH_MAX, BrokenAdapter, adapted_rows, load_adapter
from bijlighar.base.tables import BrokenTable

FIELDS = frozenset({"serial", "box", "ek"})
CSV = """holds = "stock"
format = "csv"
delimiter = ";"
ignore = ["Maker"]
[fields]
serial = {from = "Serial No"}
box = {from = "Carton", optional = true}
"""
XML = """holds = "stock"
format = "xml"
row = "S/M"
ignore = ["Maker"]
[fields]
serial = {from = "@no"}
box = {from = "Pack/Box", optional = true}
"""
LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><S><M no="&c;"/></S>"""
GIGABYTE = '<!DOCTYPE S [<!ENTITY a SYSTEM "file:///dev/zero">]>\n<S><M no="1">&a;</M></S>'


def adapter(text: str):
    return load_adapter(text, name="v", holds="stock", fields=FIELDS)


def rows(octets: bytes | str, text: str = XML):
    return adapted_rows(octets.encode() if isinstance(octets, str) else octets, adapter=adapter(text))


class TestAdaptedRows:
    def test_takes_a_table_with_bom_and_crlf_and_devanagari(self):
        found = rows("\ufeffSerial No;Carton;Maker\r\nA1;डिब्बा १;X\r\nA2;;X\r\n", CSV)

        assert [(row.line, dict(row.cells)) for row in found] == [
            (2, {"serial": "A1", "box": "डिब्बा १"}),
            (3, {"serial": "A2", "box": ""}),
        ]

    def test_takes_xml_of_a_namespace_with_bom_and_crlf_and_devanagari(self):
        text = '\ufeff<S xmlns="urn:x">\r\n<M no="A1"><Maker>X</Maker>\r\n<Pack><Box>डिब्बा १</Box></Pack></M></S>'

        (row,) = rows(text)

        assert (row.line, dict(row.cells)) == (2, {"serial": "A1", "box": "डिब्बा १"})

    @pytest.mark.parametrize(
        ("octets", "says"),
        [
            (LAUGHS, "line 1: a DOCTYPE"),
            (GIGABYTE, "line 1: a DOCTYPE"),
            ("<S><M no='1'>&a;</M></S>", "line 1: undefined entity"),
            ("<S>" + "<a>" * 100_000, f"deeper than {XML_DEPTH_MAX}"),
            (b"PK\x03\x04<S/>", "unpack"),
            ("<S>\n<M no='1'>", "line 2: "),
            ("<S>\n<M no='1'/><M no='1", "line 2: "),
            ("<S><M/></S>", "line 1: @no is missing"),
            ("<S>\n<M no='1'><Odd>x</Odd></M></S>", "line 2: Odd is unknown"),
            ("<S>\n<M no='1' odd='2'/></S>", "line 2: @odd is unknown"),
            ("<S><M no='1'><Maker>a</Maker><Maker>b</Maker></M></S>", "Maker is there twice"),
            ("<S><M no='1'><Maker>" + "x" * 2001 + "</Maker></M></S>", "too long"),
            ("<S><M no='" + "x" * 2001 + "'/></S>", "too long"),
            ("<S/>", "there is no meter"),
            ("<T><M no='1'/></T>", "there is no meter"),
            ("<S><M no='1'/></S>".encode("utf-16"), "UTF-8"),
        ],
    )
    def test_refuses_xml(self, octets, says):
        with pytest.raises(BrokenTable, match=says):
            rows(octets)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("Serial No;Odd\nA;1\n", "column odd is unknown"),
            ("Carton\nA\n", "column serial no is missing"),
            ("Serial No;Carton\nA;1\nB\n", "line 3: 1 cells"),
            ("Serial No;Carton\n;1\n", "line 2: serial no is missing"),
            ("Serial No\n", "there is no meter"),
        ],
    )
    def test_refuses_a_table(self, text, says):
        with pytest.raises(BrokenTable, match=says):
            rows(text, CSV)

    def test_puts_constants_in_and_the_words_of_the_vendor_into_ours(self):
        text = (
            'holds="stock"\nformat="csv"\n[constants]\nbox="B"\n[fields.serial]\nfrom="s"\nvalues={x="y"}\n'
        )

        assert dict(rows("s\nx\n", text)[0].cells) == {"serial": "y", "box": "B"}
        with pytest.raises(BrokenTable, match="line 2: s is none of x"):
            rows("s\nz\n", text)


class TestLoadAdapter:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("holds", "holds =", "TOML"),
            ('"stock"', '"keys"', "holds"),
            ('"csv"', '"xls"', "format"),
            ('";"', '"#"', "delimiter"),
            ("ignore", "ignores", "unknown name ignores"),
            ("serial =", "cereal =", "unknown field cereal"),
            ('{from = "Serial No"}', '{from = ""}', "from must name"),
            ('{from = "Serial No"}', '{from = "a", as = "octal"}', "as must be one of"),
            ("optional = true", "optional = 1", "optional must be true or false"),
            ("[fields]", "[fields.serial.values]\nx = 1\n[field]", "unknown name field"),
        ],
    )
    def test_says_what_is_wrong(self, old, new, says):
        with pytest.raises(BrokenAdapter, match=says):
            adapter(CSV.replace(old, new, 1))
