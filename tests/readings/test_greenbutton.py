"""Green Button XML: what is taken in, and what is refused with its line; hostile files above all."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bijlighar.readings import greenbutton_file, operations, queries
from bijlighar.readings.errors import BrokenFile
from bijlighar.readings.greenbutton_days import stored_form
from bijlighar.readings.greenbutton_file import DEPTH_MAX, TEXT_MAX, parse
from bijlighar.readings.model import ABSENT
from bijlighar.readings.readings_file import ParsedFile
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 3, 6, 0, tzinfo=UTC)
#: 2026-04-01, midnight in IST.
START = 1_774_981_800
DAY = 20_544
HEAD = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">\n'
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,,T1,F1,R,
"""


def entry(content: str, *, own: str = "", links: str = "", title: str = "") -> str:
    told = f'<link rel="self" href="{own}"/>' if own else ""
    return f"<entry>{told}{links}<title>{title}</title><content>{content}</content></entry>\n"


def link(rel: str, href: str) -> str:
    return f'<link rel="{rel}" href="{href}"/>'


def kind(**codes: object) -> str:
    usual: dict[str, object] = {
        "accumulationBehaviour": 4, "commodity": 1, "flowDirection": 1, "intervalLength": 1800, "uom": 72,
    }  # fmt: skip
    told = {name: code for name, code in (usual | codes).items() if code is not None}
    inner = "".join(f"<espi:{name}>{code}</espi:{name}>" for name, code in told.items())
    return f"<espi:ReadingType>{inner}</espi:ReadingType>"


def reading(
    slot: int, value: object = 7, *, length: int = 1800, quality: str = "", start: object = None
) -> str:
    told = (
        f"<espi:ReadingQuality><espi:quality>{quality}</espi:quality></espi:ReadingQuality>"
        if quality
        else ""
    )
    at = START + slot * length if start is None else start
    return (
        f"<espi:IntervalReading>{told}<espi:timePeriod><espi:duration>{length}</espi:duration>"
        f"<espi:start>{at}</espi:start></espi:timePeriod><espi:value>{value}</espi:value></espi:IntervalReading>\n"
    )


def block(*readings: str, span: str = "") -> str:
    return f"<espi:IntervalBlock>{span}\n{''.join(readings)}</espi:IntervalBlock>"


def feed(*readings: str, title: str = "M1", **codes: object) -> str:
    return (
        HEAD
        + entry("<espi:UsagePoint/>", title=title)
        + entry(kind(**codes))
        + entry(block(*readings))
        + "</feed>"
    )


def taken(text: str | bytes, *, meter: str | None = None) -> ParsedFile:
    octets = text.encode() if isinstance(text, str) else text
    return stored_form(parse([octets]), known={"M1", "M2"}, meter=meter)


def refusal(octets: bytes) -> str | None:
    """Why a feed is refused, None if it is not."""
    try:
        taken(octets)
    except BrokenFile as problem:
        return str(problem)
    return None


def values(parsed: ParsedFile, place: int = 0) -> dict[str, list[int]]:
    return {name: array.tolist() for name, array in parsed.deliveries[place].values.items()}


class TestStoredForm:
    @pytest.mark.parametrize(
        ("codes", "value", "expected"),
        [
            ({}, 7, {"wh_import": [7]}),
            ({"powerOfTenMultiplier": 3}, 2, {"wh_import": [2000]}),
            ({"powerOfTenMultiplier": -3}, 2500, {"wh_import": [3]}),
            ({"powerOfTenMultiplier": -3}, 2499, {"wh_import": [2]}),
            ({"flowDirection": 19}, 7, {"wh_export": [7]}),
            ({"uom": 71}, 7, {"vah_import": [7]}),
            ({"uom": 29, "powerOfTenMultiplier": -2, "flowDirection": 0}, 23015, {"volt": [23015]}),
            ({"uom": 29}, 230, {"volt": [23000]}),
            ({"uom": 5, "flowDirection": None, "accumulationBehaviour": 12}, "1.5", {"amp": [150]}),
        ],
    )
    def test_scales_by_unit_direction_and_power_of_ten(self, codes: dict, value: object, expected: dict):
        parsed = taken(feed(reading(0, value), **codes))

        assert values(parsed) == expected
        assert parsed.deliveries[0].starts.tolist() == [START]

    def test_counts_what_was_rounded(self):
        assert taken(feed(reading(0, 2500), reading(1, 2000), powerOfTenMultiplier=-3)).rounded == 1

    def test_goes_by_the_namespace_not_the_prefix(self):
        text = feed(reading(0))
        other = text.replace("espi:", "x:").replace("xmlns:espi=", "xmlns:x=")
        bare = text.replace("espi:", "")
        for name in ("UsagePoint", "ReadingType", "IntervalBlock"):
            bare = bare.replace(f"<{name}", f'<{name} xmlns="http://naesb.org/espi"')

        assert values(taken(other)) == values(taken(bare)) == {"wh_import": [7]}

    def test_passes_over_what_is_of_another_namespace(self):
        text = feed(reading(0)).replace(
            "</espi:IntervalReading>", "<value xmlns='urn:x'>9</value></espi:IntervalReading>"
        )

        assert values(taken(text)) == {"wh_import": [7]}

    def test_tells_meters_and_channels_apart_by_their_links(self):
        text = HEAD
        for number, meter in ((1, "M1"), (2, "M2")):
            point = f"/UsagePoint/{number}"
            text += entry(
                "<espi:UsagePoint/>", own=point, links=link("related", f"{point}/MeterReading"), title=meter
            )
            for part, which in (("a", "in"), ("b", "out")):
                own = f"{point}/MeterReading/{part}"
                links = link("up", f"{point}/MeterReading") + link("related", f"/ReadingType/{which}")
                text += entry(
                    "<espi:MeterReading/>", own=own, links=links + link("related", f"{own}/IntervalBlock")
                )
                text += entry(
                    block(reading(0, number * 10 + (part == "b"))), links=link("up", f"{own}/IntervalBlock")
                )
        text += entry(kind(), own="/ReadingType/in") + entry(kind(flowDirection=19), own="/ReadingType/out")

        parsed = taken(text + "</feed>")

        assert [
            (delivery.meter, values(parsed, place)) for place, delivery in enumerate(parsed.deliveries)
        ] == [
            ("M1", {"wh_import": [10], "wh_export": [11]}),
            ("M2", {"wh_import": [20], "wh_export": [21]}),
        ]

    def test_leaves_a_gap_where_a_channel_says_nothing(self):
        text = HEAD + entry("<espi:UsagePoint/>", title="M1")
        for part, slot, direction in (("a", 0, 1), ("b", 1, 19)):
            text += entry("<espi:MeterReading/>", own=f"/r/{part}", links=link("related", f"/t/{part}"))
            text += entry(kind(flowDirection=direction), own=f"/t/{part}")
            text += entry(block(reading(slot)), own=f"/r/{part}/IntervalBlock/1")

        assert values(taken(text + "</feed>")) == {"wh_import": [7, ABSENT], "wh_export": [ABSENT, 7]}

    def test_keeps_what_the_sender_says_of_the_quality(self):
        parsed = taken(
            feed(
                reading(0, quality="17"), reading(1, quality="8"), reading(2, quality="8"), reading(3),
                defaultQuality="10",
            )
        )  # fmt: skip

        assert [(flag.intervals, flag.detail["flags"][0]["quality"]) for flag in parsed.flags] == [
            (2, "8"),
            (1, "10"),
        ]

    def test_takes_the_meter_that_the_caller_names(self):
        assert taken(feed(reading(0), title="home"), meter="M2").deliveries[0].meter == "M2"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (feed(reading(0), uom=169), "line 3: the unit is '169'"),
            (feed(reading(0), uom=None), "line 3: the unit is ''"),
            (feed(reading(0), uom=38), "line 3: the unit is '38'"),
            (feed(reading(0), commodity=7), "line 3: the commodity is '7'"),
            (feed(reading(0), flowDirection=4), "line 3: the direction is '4'"),
            (feed(reading(0), flowDirection=None), "line 3: the direction is '0'"),
            (feed(reading(0), uom=71, flowDirection=19), "line 3: apparent energy of direction"),
            (feed(reading(0), accumulationBehaviour=3), "line 3: accumulation '3' is no energy of intervals"),
            (feed(reading(0), powerOfTenMultiplier=13), "line 3: powerOfTenMultiplier is 13"),
            (feed(reading(0), powerOfTenMultiplier="k"), "line 3: powerOfTenMultiplier is 'k'"),
            (feed(reading(0), intervalLength="9" * 16), "line 3: intervalLength is"),
            (feed(reading(0), reading(1), reading(1)), f"line 7: the interval at {START + 1800} overlaps"),
            (
                feed(reading(1), reading(0, start=START + 900, length=900), intervalLength=None).replace(
                    "1800</espi:duration><espi:start>1774983600", "1800</espi:duration><espi:start>1774981800"
                ),
                "overlaps another one of meter M1, wh_import",
            ),
            (feed(reading(0, length=900)), "line 5: the interval has 900 s, and its reading type says 1800"),
            (
                feed(reading(0, length=3600), intervalLength=3600),
                "line 5: intervals of 3600 s cannot be stored",
            ),
            (feed(reading(0, length=0), intervalLength=None), "line 5: intervals of 0 s cannot be stored"),
            (feed(reading(0, length=-1800), intervalLength=None), "line 5: intervals of -1800 s"),
            (feed(reading(0, start=START + 60)), "line 5: .* is not on the grid of 1800 s"),
            (feed(reading(0, start=-1800)), "line 5: .* is beyond the calendar"),
            (feed(reading(0, start=10**14 * 18)), "line 5: start is .* no whole number"),
            (feed(reading(0, start=10**12 * 18)), "line 5: .* is beyond the calendar"),
            (feed(reading(0, start="now")), "line 5: start is 'now'"),
            (feed(reading(0, "x")), "line 5: the value is 'x'"),
            (feed(reading(0, "NaN")), "line 5: the value is NaN"),
            (feed(reading(0, "1e30")), "line 5: the value is 1E\\+30, beyond"),
            (feed(reading(0, "1e-999999")), "beyond what any meter counts"),
            (feed(reading(0, 10**12 + 1)), "line 5: the value is .* beyond what any meter counts"),
            (feed(reading(0, "")), "line 5: the interval has no value"),
            (feed(reading(0).replace("espi:start", "espi:begin")), "line 5: the interval has no start"),
            (feed(reading(0), title="M9"), "line 4: no meter has one of the serial numbers M9"),
            (feed(reading(0), title="M9" * 500), "line 4: no meter has one of the serial numbers"),
            (
                HEAD + entry(kind()) + entry(kind(uom=29)) + entry(block(reading(0))) + "</feed>",
                "line 4: the interval block belongs to no reading type",
            ),
            (
                HEAD + 2 * entry("<espi:UsagePoint/>") + entry(kind()) + entry(block(reading(0))) + "</feed>",
                "line 5: the interval block belongs to no usage point",
            ),
            (
                HEAD
                + 2 * entry("<espi:MeterReading/>")
                + entry(kind())
                + entry(block(reading(0)))
                + "</feed>",
                "line 5: the interval block belongs to no meter reading",
            ),
            (
                feed().replace(
                    "<espi:IntervalBlock>",
                    "<espi:IntervalBlock><espi:interval><espi:duration>1800</espi:duration>"
                    f"<espi:start>{START}</espi:start></espi:interval>{reading(1)}",
                ),
                "the interval lies outside its block",
            ),
        ],
    )
    def test_refuses_what_cannot_be_stored_with_its_line(self, text: str, words: str):
        with pytest.raises(BrokenFile, match=words):
            taken(text)

    def test_refuses_a_named_meter_for_two_places(self):
        text = (
            HEAD
            + entry("<espi:UsagePoint/>", title="M1")
            + entry("<espi:UsagePoint/>", title="M2")
            + "</feed>"
        )

        with pytest.raises(BrokenFile, match="line 3: the feed has more than one usage point"):
            taken(text, meter="M1")


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{(f"&{chr(97 + n)};") * 10}">' for n in range(12))
    + "]>\n<feed>&m;</feed>"
)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (BOMB, "line 2: the file declares a document type or an entity"),
            (
                '<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed/>',
                "line 1: the file declares a document type",
            ),
            (
                '<!DOCTYPE feed [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><feed>&x;</feed>',
                "line 1: the file declares a document type",
            ),
            (
                '<!DOCTYPE feed [<!ENTITY % x SYSTEM "a.dtd"> %x;]><feed/>',
                "the file declares a document type",
            ),
            (HEAD + "&undefined;</feed>", "line 2: undefined entity"),
            (HEAD + "<a>" * DEPTH_MAX, f"line 2: elements stand more than {DEPTH_MAX} deep"),
            (
                HEAD + "<entry><title>" + "x" * (TEXT_MAX + 1) + "</title></entry></feed>",
                "line 2: a text is longer",
            ),
            (HEAD + entry("", own="/" * (TEXT_MAX + 1)) + "</feed>", "line 2: a link is longer"),
            (HEAD + "<entry><entry/></entry></feed>", "line 2: an entry stands in another one"),
            (
                HEAD + entry("<espi:UsagePoint/><espi:ReadingType/>"),
                "an entry is both UsagePoint and ReadingType",
            ),
            ("", "line 1: no element found; the file is torn or no XML"),
            ("meter,start\n", "line 1: syntax error"),
            ("<html/>", "line 1: the file begins with <html>"),
            ("<feed/>", "line 1: the file begins with <feed>, and is no Green Button feed"),
            ("\0" * 10, "line 1: "),
            ('<?xml version="1.0" encoding="klingon"?><feed/>', "line 1: "),
            (feed(reading(0))[:-40], r"line \d+: .*; the file is torn or no XML"),
            (feed(reading(0)) + "<more/>", "junk after document element"),
        ],
    )
    def test_refuses_hostile_and_torn_files_with_their_line(self, text: str, words: str):
        with pytest.raises(BrokenFile, match=words):
            parse([text.encode()])

    def test_refuses_too_many_intervals(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(greenbutton_file, "INTERVALS_MAX", 2)

        assert len(parse([feed(reading(0), reading(1)).encode()])) == 3
        with pytest.raises(BrokenFile, match="line 7: the file has more than 2 intervals"):
            parse([feed(reading(0), reading(1), reading(2)).encode()])

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
    def test_takes_the_encoding_that_the_file_names(self, encoding: str):
        text = f'<?xml version="1.0" encoding="{encoding}"?>' + feed(reading(0))

        assert len(parse([text.encode(encoding)])) == 3

    @settings(max_examples=200, deadline=None)
    @given(cut=st.integers(0, 900), octets=st.binary(max_size=6), length=st.integers(0, 6))
    def test_says_nothing_but_that_it_is_broken(self, cut: int, octets: bytes, length: int):
        whole = feed(reading(0), reading(1, quality="8")).encode()
        text = whole[:cut] + octets + whole[cut + length :]
        refused = refusal(text)

        assert refused is None or refused.startswith("line ")


class TestImportGreenButton:
    def test_stores_nothing_of_a_file_that_is_torn(self, database: Database):
        with database.write() as connection:
            registry.import_registry(connection, text=REGISTRY, now=NOW)
        text = feed(*(reading(slot) for slot in range(48)))

        def torn() -> Iterator[bytes]:
            yield text.encode()[:-30]

        with pytest.raises(BrokenFile), database.write() as connection:
            operations.import_greenbutton(connection, chunks=torn(), now=NOW)
        with database.read() as connection:
            assert queries.stored_ends(connection) is None

        with database.write() as connection:
            report = operations.import_greenbutton(connection, chunks=[text.encode()], now=NOW)
        assert (report.lines, report.meters, report.intervals_new) == (48, 1, 48)
        with database.read() as connection:
            (block_,) = queries.days(connection, meters=None, first=DAY, last=DAY)
        assert block_.values["wh_import"][0].tolist() == [7] * 48
