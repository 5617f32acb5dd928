"""`bijlighar bill` and `bijlighar tariff`, in a home of their own."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.billing.town import APRIL, approver, measure, register, row

from bijlighar.base.errors import BijligharError
from bijlighar.billing import queries
from bijlighar.cli.bill import bill
from bijlighar.cli.tariff import tariff
from bijlighar.registry.errors import UnknownAccount
from bijlighar.runtime.home import Home
from bijlighar.tariffs.operations import shipped_books

BOOK = str(shipped_books()[0])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    opened = Home(tmp_path / "home")
    register(opened.database, row("A1", "MP000101"), row("A2", "MP000102", url=""))
    measure(opened.database, "MP000101", period=APRIL.period)
    return opened


def run(home: Home, *words: str) -> Result:
    result = CliRunner().invoke(bill, [*words, "--home", str(home.path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit | BijligharError):
        raise result.exception
    return result


class TestBillRun:
    def test_prints_what_became_of_every_account(self, home: Home) -> None:
        result = run(home, "run", "--month", "2025-04")

        assert result.exit_code == 0, result.output
        assert "2 accounts = 1 billed + 1 parked + 0 excluded" in result.output
        assert "1 x no hand reading near the month's start" in result.output

    def test_issues_nothing_twice(self, home: Home) -> None:
        reports = [
            json.loads(run(home, "run", "--month", "2025-04", "--format", "json").output) for _ in range(2)
        ]

        assert reports[0] == reports[1]
        assert reports[0]["complete"]

    def test_refuses_a_month_that_is_none(self, home: Home) -> None:
        result = run(home, "run", "--month", "2025-13")

        assert result.exit_code == 2
        assert "is not a month" in result.output


class TestBillShow:
    def number(self, home: Home) -> str:
        run(home, "run", "--month", "2025-04")
        with home.database.read() as connection:
            return queries.bills(connection)[0].number

    def test_has_lines_that_sum_to_the_paisa(self, home: Home) -> None:
        shown = json.loads(run(home, "show", self.number(home), "--format", "json").output)

        assert (
            sum(line["amount_paise"] for line in shown["lines"])
            == shown["total_paise"]
            == shown["payable_paise"]
        )
        assert all(line["why"]["hi"] and line["why"]["en"] for line in shown["lines"])
        assert "token" not in shown

    def test_says_why_each_line_has_its_amount(self, home: Home) -> None:
        output = run(home, "show", self.number(home)).output

        assert "50 units × ₹4.45" in output
        assert "Payable" in output

    def test_writes_the_pdf(self, home: Home, tmp_path: Path) -> None:
        out = tmp_path / "bill.pdf"

        result = run(home, "pdf", self.number(home), "--out", str(out), "--lang", "en")

        assert result.exit_code == 0, result.output
        assert out.read_bytes().startswith(b"%PDF-")

    def test_has_one_line_for_a_bill_that_is_not_there(self, home: Home) -> None:
        result = run(home, "show", "B2504-0000009-9")

        assert str(result.exception).startswith("there is no bill B2504-0000009-9")

    def test_corrects_nothing_where_nothing_differs(self, home: Home) -> None:
        number = self.number(home)
        person = approver(home.database)

        result = run(home, "correct", number, "--as", person, "--reason", "asked")

        assert result.output.strip() == f"nothing differs from {number}"

    def test_lists_who_is_parked(self, home: Home) -> None:
        self.number(home)

        assert "MP000102" in run(home, "parked", "--month", "2025-04").output


class TestBillList:
    def rows(self, home: Home, *words: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(run(home, "list", *words, "--format", "json").output)
        return rows

    def test_is_empty_before_the_first_run(self, home: Home) -> None:
        assert self.rows(home) == []

    def test_shows_each_bill_with_what_show_tells(self, home: Home) -> None:
        run(home, "run", "--month", "2025-04")

        (row,) = self.rows(home)
        shown = json.loads(run(home, "show", str(row["number"]), "--format", "json").output)

        assert (row["account"], row["month"], row["kind"], row["of"]) == ("A1", "2025-04", "bill", None)
        assert {name: shown[name] for name in ("total_paise", "payable_paise", "energy_wh")} == {
            name: row[name] for name in ("total_paise", "payable_paise", "energy_wh")
        }
        table = run(home, "list").output
        assert str(row["number"]) in table
        assert "payable" in table

    def test_holds_to_a_month_and_an_account(self, home: Home) -> None:
        run(home, "run", "--month", "2025-04")

        assert len(self.rows(home, "--month", "2025-04", "--account", "A1")) == 1
        assert self.rows(home, "--month", "2025-05") == []
        assert self.rows(home, "--account", "A2") == []

    def test_refuses_an_account_that_is_none(self, home: Home) -> None:
        result = run(home, "list", "--account", "A9")

        assert isinstance(result.exception, UnknownAccount)

    def test_shows_no_more_than_its_limit_and_says_so(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(home, "run", "--month", "2025-04")
        monkeypatch.setattr("bijlighar.cli.bill.LISTED_MAX", 0)

        result = run(home, "list", "--format", "json")

        assert json.loads(result.stdout) == []
        assert "name --month or --account" in result.stderr


class TestTariff:
    def price(self, *words: str) -> Result:
        facts = ["--category", "LV-1.2", "--area", "urban", "--load-w", "1000", "--days", "30"]
        return CliRunner().invoke(tariff, ["price", BOOK, *facts, *words])

    def test_prices_a_usage(self) -> None:
        priced = json.loads(self.price("--wh", "100000", "--format", "json").output)

        assert (priced["net_paise"], priced["total_paise"]) == (10_000, 10_000)
        assert {line["code"]: line["amount"] for line in priced["lines"]}["SUBSIDY"] == "-₹566.37"

    @pytest.mark.parametrize(
        ("on", "days"), [("2025-05-15", "31"), ("2025-05-15", "30"), ("2026-02-01", "28")]
    )
    def test_takes_the_months_own_days_and_thirty_as_one_month(self, on: str, days: str) -> None:
        priced = json.loads(
            self.price("--wh", "100000", "--on", on, "--days", days, "--format", "json").output
        )

        assert {line["code"]: line["amount_paise"] for line in priced["lines"]}["FIXED"] == 12_900

    def test_gives_the_rebate_for_a_window(self) -> None:
        output = self.price("--wh", "100000", "--window-wh", "TOD3=50000").output

        assert "-₹49.30" in output
        assert "Net before rounding" in output

    @pytest.mark.parametrize("text", ["TOD3", "TOD3=x", "=5"])
    def test_refuses_a_window_that_is_none(self, text: str) -> None:
        assert "is not CODE=WH" in str(self.price("--wh", "1", "--window-wh", text).exception)

    def test_checks_a_book(self) -> None:
        result = CliRunner().invoke(tariff, ["check", BOOK])

        assert result.exit_code == 0
        assert "LV-2.2 (Non-domestic), 2025-04-01 to 2026-03-31" in result.output
