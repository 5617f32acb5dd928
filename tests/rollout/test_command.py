import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.base.period import parse_day
from bijlighar.cli.office import office, person
from bijlighar.cli.registry import registry
from bijlighar.cli.rollout import rollout

OFFICES = "code,level,parent\nWEST,company,\nMHOW,town-office,WEST\n"
REGISTRY = """account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
A1,,,,,U1,OLD-1,single-phase,,T1,F1,,MHOW
A2,,,,,U2,SM-2,single-phase,tcp://h:2,T1,F1,,MHOW
"""
STOCK = "serial,meter_type,store,box,url\nN1,single-phase,S1,B1,tcp://h:11\nN2,single-phase,S1,B1,\n"
FIGURES = ("plan", "--planned", "9500", "--installed", "6500", "--months", "4", "--claimed", "2500")


def run(*arguments: str, group=rollout):
    result = CliRunner().invoke(group, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def home(tmp_path: Path) -> str:
    folder = str(tmp_path / "home")
    for name, text in (("offices", OFFICES), ("registry", REGISTRY), ("stock", STOCK)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    run("import", str(tmp_path / "offices.csv"), "--home", folder, group=office)
    run("import", str(tmp_path / "registry.csv"), "--home", folder, group=registry)
    for name, role in (("eng", "engineer"), ("keeper", "store_keeper"), ("fitter", "fitter")):
        run("add", name, "--office", "WEST", "--role", role, "--home", folder, group=person)
    return folder


class TestPlan:
    def test_tells_the_missions_figures_in_both_languages(self, home):
        output = run(*FIGURES, "--on", "2025-08-01", "--home", home).output

        assert "1.54 times the observed rate of 1,625 a month; would leave 500" in output
        assert (
            "at the observed rate the remaining 3,000 take 1.85 months (done on 26 September 2025)" in output
        )
        assert "1.54 गुना" in output

    def test_prints_one_document(self, home):
        document = json.loads(run(*FIGURES, "--on", "2025-08-01", "--home", home, "--format", "json").output)

        assert (document["planned"], document["installed"], document["left_after_claim"]) == (9500, 6500, 500)
        assert (document["rate_per_month"], document["claim_ratio"]) == (1625.0, 1.5385)
        assert (document["months_left"], document["forecast_done_on"]) == (1.8462, "2025-09-26")
        assert set(document["words"]) == {"hi", "en"}

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--planned", "5"),
            ("--stock", "5"),
            ("--planned", "5", "--installed", "1", "--months", "four"),
            ("--planned", "-5", "--installed", "1", "--months", "4"),
        ],
    )
    def test_takes_half_the_figures_for_wrong_usage(self, home, arguments):
        assert run("plan", *arguments, "--home", home).exit_code == 2

    def test_tells_that_there_is_no_plan_yet(self, home):
        assert "There is no plan yet." in run("plan", "--home", home).output


class TestFromStoreToHanging:
    def test_is_done_from_the_command_line_alone(self, home, tmp_path):
        window = ("--from", "2026-01", "--to", "2026-12")
        run("target", "--office", "MHOW", "--planned", "12", *window, "--as", "eng", "--home", home)
        run("receive", str(tmp_path / "stock.csv"), "--as", "keeper", "--home", home)
        run("take-in", "--as", "keeper", "--home", home)
        run("order", "make", "--office", "MHOW", "--as", "eng", "--home", home)
        run("order", "issue", "1", "--to", "fitter", "--as", "eng", "--home", home)
        run("move", "issue", "N1", "--to", "fitter", "--as", "keeper", "--home", home)
        registers = ("--old-register", "120000", "--new-register", "0")
        done = run("install", "1", "--meter", "N1", *registers, "--as", "fitter", "--home", home)

        assert done.output == "meter N1 hangs at U1; it is commissioned once it has been read\n"
        (order,) = json.loads(run("orders", "--home", home, "--format", "json").output)
        assert (order["state"], order["old_meter"], order["new_meter"]) == ("installed", "OLD-1", "N1")
        counts = json.loads(run("stock", "--home", home, "--format", "json").output)
        assert (counts["received"], counts["installed"], counts["stock"]) == (3, 2, 1)
        listed = json.loads(run("stock", "--state", "in_store", "--home", home, "--format", "json").output)
        assert [item["serial"] for item in listed] == ["N2"]
        progress = json.loads(run("plan", "--home", home, "--format", "json").output)
        assert (progress["planned"], progress["installed"], progress["stock"]) == (12, 2, 1)
        assert "मीटर लगा" in run("orders", "--home", home).output
        assert "S1" in run("stock", "--home", home).output
        assert parse_day(progress["on"])

    def test_fails_plans_again_and_cancels_orders(self, home):
        run("order", "make", "--place", "U1", "--as", "eng", "--home", home)
        run("order", "issue", "1", "--to", "fitter", "--as", "eng", "--home", home)
        run("order", "fail", "1", "--reason", "locked", "--as", "fitter", "--home", home)
        run("order", "again", "1", "--as", "eng", "--home", home)
        run("order", "cancel", "1", "--reason", "gone", "--as", "eng", "--home", home)

        (order,) = json.loads(
            run("orders", "--state", "cancelled", "--home", home, "--format", "json").output
        )
        assert order["note"] == "gone"
        assert run("order", "make", "--as", "eng", "--home", home).exit_code == 2
        assert run("target", "--as", "eng", "--home", home).exit_code == 2
