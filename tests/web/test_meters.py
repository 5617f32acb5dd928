"""The page of one meter's load: what it measured and what stands, why, and to whom it is shown."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sqlalchemy import event

from bijlighar.alarms import operations as alarms
from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.headend import operations as headend
from bijlighar.headend.queries import MeterFactKind
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as stored
from bijlighar.readings.model import Delivery, Origin, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.runtime.line import Line
from bijlighar.validation import operations as validation
from bijlighar.web.console import meters
from tests.web.kit import Client, client_of, signed_in_client
from tests.web.offices_town import FIRST, HEADER, NOW, english_of, opened_line, parsed_csv, read_all, tell

SPIKE_WH = 90_000
SPIKE_SLOT, GAP = 20, slice(30, 34)
PAGE_BYTES_MAX = 200_000
STATEMENTS_MAX = 30
#: The day on which M2 had a spike and a gap, and the day before which everything was read.
ODD = FIRST + timedelta(days=9)
LAST = FIRST + timedelta(days=13)
LATER = local_midnight(LAST) + timedelta(days=1, hours=12)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home", now=LATER) as opened:
        yield opened


def deliver(line: Line, meter: str, day: date, wh: np.ndarray, *, slots: slice = slice(0, 48)) -> None:
    places = np.arange(48, dtype=np.int64)[slots]
    starts = epoch_seconds(local_midnight(day)) + places * 1800
    kept = wh[slots] >= 0
    delivery = Delivery(
        meter=meter, minutes=30, starts=starts[kept], values={"wh_import": wh[slots][kept].astype(np.int64)}
    )
    with line.database.write() as connection:
        readings.append(connection, deliveries=[delivery], now=LATER)


def usual() -> np.ndarray:
    return 100 + np.arange(48)


def odd(line: Line) -> None:
    """Two weeks of M2; on one day it has a spike and a gap, and both are estimated."""
    for number in range(14):
        day = FIRST + timedelta(days=number)
        wh = usual()
        if day == ODD:
            wh[SPIKE_SLOT] = SPIKE_WH
            wh[GAP] = -1
        deliver(line, "M2", day, wh)
    validation.validate_range(line.database, first=FIRST, last=LAST, now=LATER)


def known(line: Line, meter: str, day: date) -> tuple[list[int], list[int], list[int]]:
    """What is stored of a day: raw, validated, quality."""
    number = (day - date(1970, 1, 1)).days
    with line.database.read() as connection:
        (raw,) = stored.raw_days(connection, meters=[meter], first=number, last=number)
        (stands,) = stored.days(connection, meters=[meter], first=number, last=number)
    return (
        raw.values["wh_import"][0].tolist(),
        stands.values["wh_import"][0].tolist(),
        stands.quality[0].tolist(),
    )


def table(client: Client, meter: str, query: str = "") -> list[dict[str, str]]:
    return parsed_csv(client.get(f"/meters/{meter}/load.csv?{query}").content)


def of_day(day: date) -> str:
    return f"from={day.isoformat()}&to={day.isoformat()}"


def drawing(html: str) -> ET.Element:
    found = re.search(r'<svg class="drawing".*?</svg>', html, re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])  # noqa: S314 - our own page


def forms(html: str) -> list[str]:
    """The kinds of the bars of the drawing."""
    return [each.attrib["class"] for each in drawing(html).iter(f"{SVG}rect") if "class" in each.attrib]


def cells(html: str, name: str) -> list[list[str]]:
    body = re.search(rf'<table[^>]* id="{name}">.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    assert body is not None
    return [
        [re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body[1], re.DOTALL)
    ]


class TestDay:
    def test_names_raw_validated_quality_and_method_of_each_interval(self, line: Line):
        odd(line)

        html = signed_in_client(line, "engineer", language="en").get(f"/meters/M2?{of_day(ODD)}").text

        raw, stands, _ = known(line, "M2", ODD)
        rows = cells(html, "intervals")
        assert len(rows) == 48
        assert rows[0] == ["00:00", "100", "100", "valid", "–"]
        spike = rows[SPIKE_SLOT]
        assert spike[:4] == ["10:00", "90,000", str(stands[SPIKE_SLOT]), "estimated"]
        assert spike[4].startswith("from the ")
        assert stands[SPIKE_SLOT] < 1_000 < raw[SPIKE_SLOT]
        assert [row[1] for row in rows[GAP]] == ["–"] * 4
        assert [row[3] for row in rows[GAP]] == ["estimated"] * 4

    def test_draws_what_was_measured_under_an_estimate_beyond_the_scale(self, line: Line):
        odd(line)

        html = signed_in_client(line, "engineer", language="en").get(f"/meters/M2?{of_day(ODD)}").text

        assert (forms(html).count("valid"), forms(html).count("guess")) == (43, 5)
        marks = [each.attrib["class"] for each in drawing(html).iter(f"{SVG}polygon")]
        assert marks == ["raw-out"]
        titles = [each.text or "" for each in drawing(html).iter(f"{SVG}title")]
        assert any("measured: 90,000 Wh" in title and "estimated (from" in title for title in titles)

    def test_hatches_what_is_suspect_and_leaves_a_gap_where_nothing_is_due_yet(self, line: Line):
        for number in range(13):
            deliver(line, "M2", FIRST + timedelta(days=number), usual())
        wh = usual()
        wh[5] = -1
        deliver(line, "M2", LAST, wh)
        spiked = np.full(48, -1)
        spiked[7] = SPIKE_WH
        deliver(line, "M2", LAST, spiked, slots=slice(7, 8))
        validation.validate_new(line.database, now=LATER)

        html = signed_in_client(line, "engineer", language="en").get(f"/meters/M2?{of_day(LAST)}").text

        assert (forms(html).count("suspect"), forms(html).count("gap")) == (1, 1)
        assert "M2" in html
        assert [row[3] for row in cells(html, "intervals")][5:8] == ["not read", "valid", "suspect"]
        assert "02:30 – 03:00: not read" in html

    def test_tells_what_was_found_and_leads_to_its_exception(self, line: Line):
        odd(line)

        html = signed_in_client(line, "engineer", language="en").get(f"/meters/M2?{of_day(ODD)}").text

        (found,) = [row for row in cells(html, "findings") if row[0].startswith("spike")]
        assert "90000 Wh in one interval" in found[0]
        assert re.search(r'<a href="/exceptions/\d+">\d+</a> open', html)

    def test_compares_the_sum_with_the_registers_at_midnight(self, line: Line):
        odd(line)
        with line.database.write() as connection:
            readings.append_registers(
                connection,
                snapshots=[
                    RegisterSnapshot(
                        meter="M2", at=local_midnight(FIRST + timedelta(days=number)), origin=Origin.METER,
                        kind=RegisterKind.DAILY, wh_import=1_000_000 + 6_000 * number,
                    )
                    for number in (1, 2)
                ],
                now=LATER,
            )  # fmt: skip
        client = signed_in_client(line, "engineer", language="en")
        second = FIRST + timedelta(days=1)

        day = client.get(f"/meters/M2?{of_day(second)}").text
        days = client.get(f"/meters/M2?from={FIRST}&to={second}").text

        total = int(usual().sum())
        assert "register 1,006.000 to 1,012.000 kWh" in day
        assert f"sum less register: {(total - 6_000) / 1000:.3f} kWh" in day
        assert cells(days, "days")[1][6:] == ["1,006.000", "6.000", f"{(total - 6_000) / 1000:.3f}"]
        assert cells(days, "days")[0][6:] == ["–", "–", "–"]


class TestRange:
    def test_is_the_last_week_that_was_read_unless_it_is_asked_for(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")

        html = client.get("/meters/M2").text

        assert [row[0] for row in cells(html, "days")] == [f"{day} April 2025" for day in range(8, 15)]
        closer = f"/meters/M2?{of_day(ODD)}&back=2025-04-08_2025-04-14"
        assert html.count(f'href="{closer.replace("&", "&amp;")}"') == 2
        back = re.search(r'<a class="button" href="([^"]+)">↩', client.get(closer).text)
        assert back is not None
        assert back[1] == "/meters/M2?from=2025-04-08&amp;to=2025-04-14"
        assert "/meters/M2?from=2025-04-01&amp;to=2025-04-07" in html

    def test_is_drawn_by_day_when_it_is_long(self, line: Line):
        odd(line)

        html = (
            signed_in_client(line, "engineer", language="en").get(f"/meters/M2?from={FIRST}&to={LAST}").text
        )

        links = list(drawing(html).iter(f"{SVG}a"))
        assert len(links) == 14
        assert forms(html).count("valid") == 14
        assert forms(html).count("guess") == 1
        assert len(html.encode()) < PAGE_BYTES_MAX

    def test_of_62_quarter_hour_days_stays_a_page_of_moderate_size(self, line: Line):
        for number in range(-60, 2):
            start = epoch_seconds(local_midnight(FIRST + timedelta(days=number)))
            delivery = Delivery(
                meter="M1", minutes=15, starts=start + np.arange(96, dtype=np.int64) * 900,
                values={"wh_import": np.arange(96, dtype=np.int64)},
            )  # fmt: skip
            with line.database.write() as connection:
                readings.append(connection, deliveries=[delivery], now=LATER)
        client = signed_in_client(line, "engineer", language="en")
        first = FIRST - timedelta(days=60)

        long = client.get(f"/meters/M1?from={first}&to={FIRST + timedelta(days=1)}")
        week = client.get(f"/meters/M1?from={FIRST - timedelta(days=5)}&to={FIRST + timedelta(days=1)}")

        assert (long.status_code, week.status_code) == (200, 200)
        assert max(len(long.content), len(week.content)) < PAGE_BYTES_MAX
        assert len(table(client, "M1", f"from={first}&to={FIRST + timedelta(days=1)}")) == 62 * 96

    @pytest.mark.parametrize(
        "query",
        [
            "from=2025-04-03&to=2025-04-01", "from=yesterday", "to=2025-13-01", "from=0001-01-01&to=0001-01-01",
            "from=9999-12-31", "from=2025-01-01&to=2025-03-04", "from=2025-04-01%00", f"from={'9' * 40}",
        ],
    )  # fmt: skip
    def test_of_nonsense_is_refused(self, line: Line, query: str):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")

        for path in ("/meters/M2", "/meters/M2/load.csv"):
            assert client.get(f"{path}?{query}").status_code == 400, path

    def test_takes_a_nonsense_way_back_for_none(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")

        for back in ("x", "2025-04-01", "_", "2025-04-01_zz", "javascript:1_2"):
            answer = client.get(f"/meters/M2?{of_day(ODD)}&back={back}")
            assert (answer.status_code, "↩" in answer.text) == (200, False), back

    def test_that_is_still_to_come_shows_nothing_as_missing(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")
        today = LAST + timedelta(days=1)

        half = cells(client.get(f"/meters/M2?{of_day(today)}").text, "intervals")
        later = client.get(f"/meters/M2?{of_day(today + timedelta(days=1))}").text

        assert (len(half), {row[3] for row in half}) == (24, {"not read"})
        assert "Nothing was read on these days" in later

    def test_of_a_meter_that_never_said_anything_says_so(self, line: Line):
        html = signed_in_client(line, "engineer", language="en").get("/meters/M1").text

        assert 'id="days"' in html
        assert {row[1] for row in cells(html, "days")} == {"–"}


class TestExport:
    def test_gives_every_interval_as_it_is_stored(self, line: Line):
        odd(line)

        rows = table(signed_in_client(line, "engineer", language="en"), "M2", of_day(ODD))

        raw, stands, quality = known(line, "M2", ODD)
        assert [row["Start"] for row in rows][:2] == [
            "2025-04-10T00:00:00+05:30",
            "2025-04-10T00:30:00+05:30",
        ]
        absent = min(raw)
        assert [row["Raw Wh"] for row in rows] == ["" if wh == absent else str(wh) for wh in raw]
        assert [row["Validated Wh"] for row in rows] == [str(wh) for wh in stands]
        names = {Quality.VALID: "valid", Quality.ESTIMATED: "estimated"}
        assert [row["Quality"] for row in rows] == [names[Quality(each)] for each in quality]
        assert [bool(row["Method"]) for row in rows] == [each == Quality.ESTIMATED for each in quality]
        assert {row["Version"] for row in rows} == {"2"}

    def test_shows_the_measured_value_where_a_late_one_replaced_an_estimate(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")
        before = table(client, "M2", of_day(ODD))
        deliver(line, "M2", ODD, usual(), slots=GAP)
        validation.validate_range(line.database, first=FIRST, last=LAST, now=LATER)

        after = table(client, "M2", of_day(ODD))

        assert [row["Raw Wh"] for row in before[GAP]] == [""] * 4
        late = [str(wh) for wh in usual()[GAP]]
        assert [(row["Raw Wh"], row["Validated Wh"]) for row in after[GAP]] == list(
            zip(late, late, strict=True)
        )
        assert {(row["Quality"], row["Method"]) for row in after[GAP]} == {("valid", "")}
        assert int(after[0]["Version"]) > int(before[0]["Version"])
        assert after[SPIKE_SLOT]["Quality"] == "estimated"

    def test_speaks_hindi_to_a_hindi_reader(self, line: Line):
        odd(line)

        row = table(signed_in_client(line, "engineer"), "M2", of_day(ODD))[SPIKE_SLOT]

        assert row["गुणवत्ता"] == "आंकलित"
        assert row["विधि"].endswith("से")


class TestSight:
    def test_is_of_ones_own_office_only(self, line: Line):
        read_all(line)
        mine, theirs = (signed_in_client(line, who, language="en") for who in ("mhow", "dhar"))

        for path in ("/meters/M1", "/meters/M1/load.csv", "/meters/M1/facts.csv"):
            assert mine.get(path).status_code == 200
            refused, none = theirs.get(path), theirs.get(path.replace("M1", "NONE"))
            assert (refused.status_code, none.status_code) == (404, 404)
            assert refused.text.replace("M1", "X") == none.text.replace("NONE", "X")

    def test_reaches_the_meters_of_transformers_and_feeders_that_supply_ones_office(self, line: Line):
        read_all(line)
        mine = signed_in_client(line, "mhow", language="en")

        found = {
            meter: mine.get(f"/meters/{meter}").status_code for meter in ("MT-T1", "MF-F1", "MT-T2", "MF-F2")
        }

        assert found == {"MT-T1": 200, "MF-F1": 200, "MT-T2": 404, "MF-F2": 404}

    def test_of_a_meter_that_moved_between_offices_ends_where_it_left(self, line: Line):
        """A consumer's load is not shown to the office where the meter hangs later, nor the other way round."""
        read_all(line)
        row = "B9,Asha,LV-1.2,urban,2000,U-B9,M1,single-phase,,T2,F2,R,DHAR,2025-04-02\n"
        moved = local_midnight(FIRST + timedelta(days=1))
        with line.database.write() as connection:
            registry.take_down_meter(connection, usage_point="U-A1", meter="M1", at=moved)
            registry.import_registry(connection, text=HEADER + row, now=LATER)
        both = f"from={FIRST}&to={FIRST + timedelta(days=2)}"

        starts = {
            who: sorted({row["Start"][:10] for row in table(signed_in_client(line, who, language="en"), "M1", both)})
            for who in ("mhow", "dhar", "engineer")
        }  # fmt: skip

        assert starts["mhow"] == ["2025-04-01"]
        assert starts["dhar"] == ["2025-04-02", "2025-04-03"]
        assert starts["engineer"] == ["2025-04-01", "2025-04-02", "2025-04-03"]

    def test_leads_to_no_exception_for_who_may_not_see_them(self, line: Line):
        odd(line)
        with line.database.write() as connection:
            offices.add_person(
                connection, sign_in="watch", name="W", office="CO", roles=[Role.OPERATOR], now=NOW
            )

        html = signed_in_client(line, "watch", language="en").get(f"/meters/M2?{of_day(ODD)}").text

        assert "spike" in html
        assert "/exceptions" not in html

    def test_is_refused_to_a_stranger_and_to_a_role_that_sees_no_network(self, line: Line):
        for path in ("/meters/M1", "/meters/M1/load.csv", "/meters/M1/facts.csv"):
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "keeper").get(path).status_code == 403

    @pytest.mark.parametrize(
        "serial",
        ["%00", "a%00b", "%22%3E%3Cscript%3E", "..%2f..%2fetc", "' or 1=1 --", "मीटर", "x" * 65, "%E2%80%AE", "M1 "],
    )  # fmt: skip
    def test_of_a_strange_serial_is_none(self, line: Line, serial: str):
        client = signed_in_client(line, "engineer", language="en")

        for path in (f"/meters/{serial}", f"/meters/{serial}/load.csv", f"/meters/{serial}/facts.csv"):
            answer = client.get(path)
            assert answer.status_code in (400, 404), path
            assert "<script>" not in answer.text


class TestLinks:
    def test_lead_from_the_network_and_the_exceptions_to_the_load(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")
        row = next(
            each for each in parsed_csv(client.get("/exceptions.csv?meter=M2").content) if each["Rule"] == "spike"
        )  # fmt: skip

        tell(line, "M2", 201, at=LATER - timedelta(hours=1))
        alarms.watch(line.database, now=LATER)
        assert 'href="/meters/M2"' in client.get("/alarms/1").text
        assert 'href="/meters/M2"' in client.get("/network/T1").text
        html = client.get(f"/exceptions/{row['Exception']}").text
        assert 'href="/meters/M2?from=2025-04-10&amp;to=2025-04-10"' in html


class TestStatements:
    def test_are_as_many_for_a_long_range_as_for_a_day(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer", language="en")
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
            seen.append(statement)

        counts = []
        event.listen(line.database.engine, "before_cursor_execute", note)
        for query in (of_day(FIRST), f"from={FIRST}&to={LAST}"):
            seen.clear()
            assert client.get(f"/meters/M2?{query}").status_code == 200
            counts.append(len([each for each in seen if each.startswith("SELECT")]))
        event.remove(line.database.engine, "before_cursor_execute", note)

        assert counts[0] == counts[1] < STATEMENTS_MAX


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_page(self, line: Line):
        odd(line)
        client = signed_in_client(line, "engineer")

        for query in (of_day(ODD), f"from={FIRST}&to={LAST}"):
            html = client.get(f"/meters/M2?{query}").text
            shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
            left = [
                each for each in english_of("meter") if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)
            ]
            assert left == []
            assert "आंकलित" in shown


def test_findings_beyond_what_is_shown_are_counted(line: Line, monkeypatch: pytest.MonkeyPatch):
    odd(line)
    monkeypatch.setattr(meters, "FINDINGS_SHOWN_MAX", 1)

    html = signed_in_client(line, "engineer", language="en").get(f"/meters/M2?{of_day(ODD)}").text

    assert len(cells(html, "findings")) == 1
    assert re.search(r"More were found, not shown: [1-9]", html)


class TestFactsOfAMeter:
    def claim(self, line: Line, meter: str, maker: str) -> None:
        with line.database.write() as connection:
            headend.claim_meter_facts(connection, facts={meter: {MeterFactKind.MAKER: maker}}, now=LATER)

    def test_are_shown_as_claims_and_exported(self, line: Line):
        self.claim(line, "M2", "=<b>ACME</b>")
        client = signed_in_client(line, "engineer", language="en")

        html = client.get("/meters/M2").text
        rows = parsed_csv(client.get("/meters/M2/facts.csv").content)

        assert "=&lt;b&gt;ACME" in html
        assert "a claim is trusted once the meter has said the same" in html
        assert [(row["value"], row["who says so"], row["trusted since"]) for row in rows] == [
            ("'=<b>ACME</b>", "as shipped", "")
        ]

    def test_are_not_there_where_nothing_is_known(self, line: Line):
        html = signed_in_client(line, "engineer", language="en").get("/meters/M2").text

        assert "What is known of the meter" not in html

    def test_are_not_shown_to_another_branch(self, line: Line):
        self.claim(line, "MT-T2", "ACME")
        client = signed_in_client(line, "mhow", language="en")

        answers = [client.get(f"/meters/{meter}/facts.csv").status_code for meter in ("MT-T2", "M9999")]

        assert answers == [404, 404]
