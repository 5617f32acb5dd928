"""The page of the network: the schematic, its table, one transformer; and whose names are shown to whom."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bijlighar.alarms import operations as alarms
from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level
from bijlighar.headend import queries as headend
from bijlighar.offices import queries as offices
from bijlighar.offices.model import Act
from bijlighar.registry import operations as registry
from bijlighar.runtime.line import Line
from tests.web.kit import Client, client_of, send_form, signed_in_client
from tests.web.offices_town import (
    HEADER,
    NAME,
    NOW,
    english_of,
    heard,
    opened_line,
    read_all,
    tell,
)

SVG = "{http://www.w3.org/2000/svg}"
PAGE_BYTES_MAX = 200_000
SECONDS_MAX = 6
HOUR = timedelta(hours=1)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def engineer(line: Line) -> Client:
    return signed_in_client(line, "engineer", language="en")


def drawing(html: str) -> ET.Element:
    """The schematic, parsed as strictly as XML is."""
    found = re.search(r'<svg xmlns="[^"]+" viewBox="0 0 1400.*?</svg>', html, re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])  # noqa: S314 - our own page


def boxes(html: str) -> dict[str, ET.Element]:
    return {link.attrib["href"].removeprefix("/network/"): link for link in drawing(html).iter(f"{SVG}a")}


def table_rows(html: str) -> list[str]:
    return re.findall(r'<tr><td><a href="/network/([^"]+)">', html)


class TestSchematic:
    def test_is_well_formed_and_has_every_feeder_and_transformer_with_a_name(self, engineer: Client):
        html = engineer.get("/network").text

        parsed = drawing(html)
        feeders = [group for group in parsed.iter(f"{SVG}g") if "feeder" in group.attrib["class"]]
        assert [group.find(f"{SVG}text").text for group in feeders] == ["F1", "F2"]  # type: ignore[union-attr]
        assert {code: link.attrib["aria-label"] for code, link in boxes(html).items()} == {
            "T1": "T1: normal",
            "T2": "T2: normal",
        }
        assert table_rows(html) == ["T1", "T2"]

    def test_says_the_loss_that_the_balance_says(self, line: Line, engineer: Client):
        read_all(line)

        label = boxes(engineer.get("/network").text)["T1"].attrib["aria-label"]

        with line.database.read() as connection:
            days = balance.usual_range(connection, now=NOW)
            assert days is not None
            loss = balance.losses(connection, level=Level.TRANSFORMER, first=days[0], last=days[1])[0]
        assert label == "T1: normal, loss 25.0 %"
        assert (loss.code, loss.loss_pct) == ("T1", 25.0)

    def test_shows_an_open_tamper_with_its_number(self, line: Line, engineer: Client):
        tell(line, "M1", 201, at=NOW - HOUR)
        alarms.watch(line.database, now=NOW)

        box = boxes(engineer.get("/network").text)["T1"]

        assert box.attrib["aria-label"] == "T1: tampers open: 1"
        assert ("count", "1") in [(each.attrib["class"], each.text) for each in box.iter(f"{SVG}text")]
        assert "bad" in [each.attrib["class"] for each in box.iter(f"{SVG}rect")]

    def test_shows_an_outage_by_last_gasps_until_the_first_breath(self, line: Line, engineer: Client):
        heard(line, "M1", "M2", "M3", "MT-T1", at=NOW - 5 * HOUR)
        for meter in ("M1", "M2", "M3"):
            tell(line, meter, 85, at=NOW - HOUR)
        html = engineer.get("/network").text
        assert boxes(html)["T1"].attrib["aria-label"] == "T1: without supply"
        assert boxes(html)["T1"].find(f"{SVG}polygon") is not None

        for meter in ("M1", "M2", "M3"):
            tell(line, meter, 86, at=NOW - HOUR / 2)
        assert boxes(engineer.get("/network").text)["T1"].attrib["aria-label"] == "T1: normal"

    def test_hatches_a_transformer_with_many_silent_meters(self, line: Line, engineer: Client):
        heard(line, "M2", "M3", "MT-T1", silent=["M1"])

        box = boxes(engineer.get("/network").text)["T1"]

        assert box.attrib["aria-label"] == "T1: 1 of 4 silent"
        assert "mute" in [each.attrib["class"] for each in box.iter(f"{SVG}rect")]

    def test_is_fetched_alone_by_what_lives_in_the_page(self, engineer: Client):
        page = engineer.get("/network?feeder=F1").text
        path = re.search(r'hx-get="(/network/live/schematic[^"]*)"', page)
        assert path is not None

        part = engineer.get(path[1])

        assert part.text.startswith('<div id="schematic" data-live=')
        assert list(boxes(part.text)) == ["T1"]

    def test_is_drawn_for_480_transformers_on_a_page_of_moderate_size(self, line: Line):
        rows = [
            f"X{number},N,LV-1.2,urban,2000,UX{number},X-{number},single-phase,tcp://x:{number + 1},"
            f"DT-{number:03d},F-{number // 40:02d},R,MHOW,2025-03-01"
            for number in range(480)
        ]
        with line.database.write() as connection:
            registry.import_registry(connection, text=HEADER + "\n".join(rows) + "\n", now=NOW)
        client = signed_in_client(line, "engineer")

        started = time.perf_counter()
        answer = client.get("/network")

        assert time.perf_counter() - started < SECONDS_MAX
        assert len(boxes(answer.text)) == 482
        assert len(answer.content) < PAGE_BYTES_MAX
        assert len(table_rows(answer.text)) == 100


class TestFilter:
    def test_holds_for_the_schematic_and_the_table(self, line: Line, engineer: Client):
        heard(line, "M2", "M3", "MT-T1", silent=["M1"])

        html = engineer.get("/network?show=silent").text

        assert table_rows(html) == ["T1"]
        assert ["dim" in box.attrib["class"] for box in boxes(html).values()] == [False, True]
        assert table_rows(engineer.get("/network?show=outage").text) == []

    @pytest.mark.parametrize("found", ["M1", "A1"])
    def test_leads_from_a_meter_or_an_account_to_its_transformer(self, engineer: Client, found: str):
        answer = engineer.get(f"/network?find={found}")

        assert (answer.status_code, answer.headers["location"]) == (303, "/network/T1#m-M1")

    def test_finds_a_transformer_by_a_part_of_its_code(self, engineer: Client):
        assert table_rows(engineer.get("/network?find=t2").text) == ["T2"]
        assert "Nothing fits" in engineer.get("/network?find=nowhere").text


class TestBranch:
    def test_shows_a_clerk_their_own_transformers_only(self, line: Line):
        client = signed_in_client(line, "dhar")

        html = client.get("/network").text
        assert list(boxes(html)) == table_rows(html) == ["T2"]
        assert client.get("/network/T1").status_code == 404
        assert client.get("/network?find=A1").status_code == 200
        assert client.get("/network/T2").status_code == 200

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        assert client_of(line).get("/network").headers["location"].startswith("/sign-in")
        fitter = signed_in_client(line, "fitter")
        for path in ("/network", "/network/T1", "/network/live/schematic"):
            assert fitter.get(path).status_code == 403


class TestTransformer:
    def test_shows_what_the_rooms_know(self, line: Line, engineer: Client):
        read_all(line)
        heard(line, "M2", "M3", "MT-T1", silent=["M1"])

        html = engineer.get("/network/T1").text

        with line.database.read() as connection:
            load = balance.newest_load(connection, transformer="T1", now=NOW)
            supply = headend.supply(connection, now=NOW, transformer="T1")[0]
        assert load is not None
        assert (load.input_w, load.consumers_w, load.known, load.meters) == (800, 600, 3, 3)
        assert "<b>0.8</b><span>kW in</span>" in html
        assert "<b>0.6</b><span>kW out to consumers</span>" in html
        assert f"<b>{supply.silent} / {supply.communicating}</b>" in html
        assert html.count('class="bar-of-day') == 3
        assert "silent, tries: 1" in html
        for meter in ("M1", "M2", "M3", "MT-T1"):
            assert f'id="m-{meter}"' in html
        assert "D1" not in html

    def test_draws_its_bars_well_formed(self, line: Line, engineer: Client):
        read_all(line)

        for svg in re.findall(r"<svg .*?</svg>", engineer.get("/network/T1").text, re.DOTALL):
            ET.fromstring(svg)  # noqa: S314 - our own page

    def test_hides_names_until_somebody_asks_and_then_keeps_who_did(self, line: Line, engineer: Client):
        page = engineer.get("/network/T1").text
        assert NAME not in page
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page)
        assert token is not None

        answer = engineer.post("/network/T1/consumer", data={"_csrf_token": token[1], "account": "A2"})

        assert (answer.status_code, answer.text.count(NAME)) == (200, 1)
        assert f"{NAME} A2" in answer.text
        with line.database.read() as connection:
            entry = offices.audit(connection, limit=1)[0]
        assert (entry.person, entry.act, entry.subject) == ("engineer", Act.VIEW_CONSUMER, "account A2")

    def test_refuses_a_name_of_another_office_and_to_another_role(self, line: Line):
        other = send_form(signed_in_client(line, "dhar"), "/network/T2/consumer", account="A1")
        fitter = send_form(signed_in_client(line, "fitter"), "/network/T1/consumer", account="A1")

        assert (other.status_code, fitter.status_code) == (403, 403)
        assert NAME not in other.text + fitter.text


class TestLanguage:
    @pytest.mark.parametrize("path", ["/network", "/network/T1"])
    def test_leaves_no_english_on_the_hindi_page(self, line: Line, path: str):
        read_all(line)
        heard(line, "M2", silent=["M1"])
        html = signed_in_client(line, "engineer").get(path).text
        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])

        left = [
            text
            for text in english_of("network", "network_schematic", "network_transformer")
            if re.search(rf"(?m)^\s*{re.escape(text)}\s*$", shown) and text not in ("kWh", "LT-CT")
        ]
        assert left == []
        assert '<html lang="hi">' in html
