import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bijlighar.base.period import epoch_seconds, local_midnight, parse_day
from bijlighar.cli.atc import atc
from bijlighar.cli.balance import balance
from bijlighar.offices import operations as offices
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery
from bijlighar.registry import operations as registry
from bijlighar.runtime.home import Home

REGISTRY = """account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
A1,,,,,U1,M1,single-phase,tcp://h:1,T1,F1,,
,,,,,,MT1,transformer,tcp://h:3,T1,F1,,
"""


@pytest.fixture
def home(tmp_path: Path) -> str:
    folder = tmp_path / "home"
    opened = Home(folder)
    start = epoch_seconds(local_midnight(parse_day("2025-04-01")))
    starts = start + np.arange(48, dtype=np.int64) * 1_800
    with opened.database.write() as connection:
        now = opened.clock.now()
        registry.import_registry(connection, text=REGISTRY, now=now)
        readings.append(
            connection,
            deliveries=[
                Delivery(meter=meter, minutes=30, starts=starts, values={"wh_import": np.full(48, wh)})
                for meter, wh in (("M1", 90), ("MT1", 100))
            ],
            now=now,
        )
    return str(folder)


def run(*arguments: str):
    return CliRunner().invoke(balance, arguments)


class TestBalance:
    def test_prints_one_document_of_a_range(self, home):
        result = run("--home", home, "--from", "2025-04-01", "--to", "2025-04-02", "--format", "json")

        document = json.loads(result.output)
        (loss,) = document["transformers"]
        assert (document["from"], document["to"]) == ("2025-04-01", "2025-04-02")
        assert (loss["transformer"], loss["input_wh"], loss["consumers_wh"], loss["loss_wh"]) == (
            "T1",
            4800,
            4320,
            480,
        )
        # On the second day nothing was read: it counts for the coverage, not for the loss.
        assert (loss["loss_pct"], loss["coverage_pct"], loss["days_without_input"]) == (10.0, 50.0, 1)
        assert (loss["theft_suspected"], loss["suspects"]) == (False, [])
        assert (loss["technical_loss_wh"], loss["non_technical_loss_wh_interval"]) == (None, None)

    def test_prints_a_table_of_the_last_closed_days(self, home):
        result = run("--home", home)

        assert "लाइन लॉस" in result.output
        assert "10.00" in result.output

    def test_balances_feeders(self, home):
        result = run("--home", home, "--level", "feeder", "--format", "json")

        (loss,) = json.loads(result.output)["feeders"]
        assert (loss["feeder"], loss["input_wh"], loss["consumers_wh"], loss["loss_pct"]) == (
            "F1",
            None,
            4320,
            None,
        )

    def test_says_so_where_there_are_no_readings(self, tmp_path):
        assert run("--home", str(tmp_path / "new")).output.startswith("there are no readings")

    @pytest.mark.parametrize(
        "arguments", [("--from", "2025-04-01"), ("--level", "country"), ("--from", "x", "--to", "y")]
    )
    def test_takes_half_a_range_for_wrong_usage(self, home, arguments):
        assert run("--home", home, *arguments).exit_code == 2


class TestAtc:
    def test_says_for_each_office_why_it_tells_no_loss(self, home):
        opened = Home(Path(home))
        with opened.database.write() as connection:
            offices.import_offices(connection, text="code,level,parent\nCO,company,\nMHOW,town-office,CO\n")
        arguments = ("--home", home, "--month", "2025-04")

        result = CliRunner().invoke(atc, (*arguments, "--format", "json"))

        found = {each["office"]: each for each in json.loads(result.output)}
        assert list(found) == ["CO", "MHOW"]
        assert found["CO"]["atc_loss_pct"] is None
        assert {"no_input", "nothing_billed"} <= set(found["CO"]["doubts"])
        assert (found["CO"]["accounts"], found["MHOW"]["accounts"]) == (1, 0)
        assert "billing_bill" in found["CO"]["queries"]["billed"]
        table = CliRunner().invoke(atc, (*arguments, "--office", "MHOW")).output
        assert "nothing of this month was billed" in table.replace("\n", " ")
