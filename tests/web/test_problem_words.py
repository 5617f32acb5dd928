"""Every failure that a page can meet has its sentence in Hindi and English, which says what to do."""

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources

import pytest

import bijlighar
from bijlighar.base.errors import BijligharError
from bijlighar.offices.model import Role
from bijlighar.web.problems import STATUS_OF, known_problems
from tests.web.doors import Knocker
from tests.web.house import LISTED

#: The rooms whose doors pages call.
ROOMS = (
    "offices", "alarms", "arrears", "rollout", "headend", "ledger", "billing", "registry", "notices", "runtime",
    "web", "demo", "base", "balance", "validation", "readings",
)  # fmt: skip
#: What no page can meet, by why; whoever adds a code writes words for it, or says here why no page needs them.
NOT_ON_PAGES: Mapping[str, frozenset[str]] = {
    "the root of a room's errors, raised by nobody": frozenset(
        f"{room}.error"
        for room in (
            "base", "offices", "alarms", "arrears", "rollout", "headend", "ledger", "billing", "registry",
            "notices", "balance", "validation", "readings",
        )
    ),
    "files and settings that only commands read": frozenset(
        {
            "offices.broken-tree", "offices.unreadable-file", "offices.known-person", "alarms.broken-table",
            "rollout.refused-plan", "rollout.refused-stock", "registry.refused-file", "base.broken-table",
            "base.broken-adapter",
            "headend.broken-keys-file", "headend.broken-settings", "runtime.copy-refused", "runtime.already-running",
            "headend.broken-contract", "headend.broken-quirk", "headend.gate-runs", "balance.refused-flat-rate",
            "readings.unusable-readings", "readings.broken-file", "readings.missing-extra",
            "readings.unsupported-format", "readings.cannot-remove",
            "web.port-taken", "demo.home-not-empty", "demo.child-failed", "demo.stuck",
        }
    ),
    "deeds that have a command and no page yet": frozenset(
        {
            "rollout.unknown-stock", "rollout.unknown-order", "rollout.cannot-install",
            "registry.cannot-hang", "registry.cannot-take-down", "registry.unknown-usage-point",
            "registry.unusable-protection", "billing.month-not-over", "billing.nothing-parked", "billing.cannot-bill",
            "notices.implausible-service", "notices.unknown-message", "ledger.invalid-payment",
        }
    ),
    "what the head-end says of a meter, shown by its own words on the order": frozenset(
        {
            "headend.broken-url", "headend.unsupported-transport", "headend.unreachable", "headend.no-answer",
            "headend.connection-lost", "headend.garbled", "headend.refused", "headend.access-refused",
            "headend.counter", "headend.layout", "headend.no-keys", "headend.sealed-keys", "headend.broken-order",
            "headend.unknown-command", "headend.gate-refused", "headend.relay-not-moved", "headend.no-relay",
            "headend.unknown-reading", "headend.too-late", "headend.clock-not-set", "headend.gate-away",
            "headend.keys-not-taken", "headend.key-change-open",
            "headend.gate-no-store", "headend.gate-told", "headend.gate-unknown-question",
            "headend.upkeep-incomplete", "headend.wrong-firmware", "headend.not-called-in", "headend.modem-busy",
            "headend.call-in-away",
            "headend.refused-setting", "headend.wrong-setting",
            "headend.broken-document",
        }
    ),
    "what other systems send, answered to them in JSON": frozenset(
        {"ledger.broken-event", "notices.broken-callback"}
    ),
    "what workers meet, or what would be a fault of ours": frozenset(
        {
            "alarms.siren-unreachable", "offices.unrecordable-detail", "base.naive-time", "ledger.invalid-transfer",
            "ledger.key-conflict", "ledger.due-not-posted", "notices.broken-template", "notices.missing-fact",
            "notices.unused-fact", "notices.unreadable-fact", "notices.not-to-be-stored",
        }
    ),
    "answered by leading to the sign-in page": frozenset({"web.sign-in-needed"}),
}  # fmt: skip
SKIPPED = ("bijlighar.bench", "bijlighar.__main__", "bijlighar.storage.migrations")
WORDS_MIN = 5


def subclasses(of: type[BijligharError]) -> Iterator[type[BijligharError]]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.fixture(scope="module")
def codes() -> set[str]:
    """The codes of every error of the package."""
    for module in pkgutil.walk_packages(bijlighar.__path__, "bijlighar."):
        if not module.name.startswith(SKIPPED):
            importlib.import_module(module.name)
    ours = [each for each in subclasses(BijligharError) if each.__module__.startswith("bijlighar.")]
    return {"base.error", *(each.code for each in ours)}


class TestWords:
    def test_are_there_for_every_failure_that_a_page_can_meet(self, codes: set[str]):
        reachable = {code for code in codes if code.split(".")[0] in ROOMS} - frozenset().union(
            *NOT_ON_PAGES.values()
        )
        assert sorted(reachable - known_problems().keys()) == []

    def test_are_there_for_no_failure_that_there_is_not(self, codes: set[str]):
        assert sorted(known_problems().keys() - codes) == []
        assert sorted(STATUS_OF.keys() - codes) == []

    def test_and_the_reasons_for_having_none_do_not_contradict(self, codes: set[str]):
        listed = [code for group in NOT_ON_PAGES.values() for code in group]
        assert sorted({code for code in listed if listed.count(code) > 1}) == []
        assert sorted(set(listed) - codes) == []
        assert sorted(set(listed) & known_problems().keys()) == []

    @pytest.mark.parametrize("code", sorted(known_problems()))
    def test_are_a_sentence_of_each_language(self, code: str):
        words = known_problems()[code]
        assert re.search(r"[\u0900-\u097f]", words.hi)
        assert not re.search(r"[\u0900-\u097f]", words.en)
        assert words.hi.rstrip()[-1] in "।?", words.hi
        assert words.en.rstrip()[-1] in ".?`", words.en
        assert min(len(words.hi.split()), len(words.en.split())) >= WORDS_MIN

    def test_stand_once_in_the_file(self):
        text = (resources.files("bijlighar.web") / "problems.toml").read_text(encoding="utf-8")
        assert len(re.findall(r"^\[", text, re.MULTILINE)) == len(tomllib.loads(text))


class TestPage:
    def refused(self, knocker: Knocker, language: str) -> str:
        answer = knocker.ask(
            "POST",
            "/commands/resume",
            session=knocker.house.worker(Role.OPERATOR).token,
            language=language,
            form={"office": "NOWHERE", "reason": "go on"},
        )
        assert answer.status_code == 400
        return answer.text

    def test_in_hindi_says_the_hindi_sentence_and_marks_the_english_detail(self, knocker: Knocker):
        html = self.refused(knocker, "hi")
        words = known_problems()["offices.unknown-office"]
        assert words.hi in html
        assert words.en not in html
        assert re.search(r'<span class="detail" lang="en">[^<]*NOWHERE', html)

    def test_in_english_says_the_english_one(self, knocker: Knocker):
        words = known_problems()["offices.unknown-office"]
        html = self.refused(knocker, "en")
        assert words.en in html
        assert words.hi not in html

    def test_of_a_consumer_says_the_sentence_of_the_language_alone(self, knocker: Knocker):
        answer = knocker.ask(
            "GET", "/me/bill.pdf?number=x", account=knocker.house.consumers[LISTED], language="hi"
        )
        words = known_problems()["billing.unknown-bill"]
        assert words.hi in answer.text
        assert words.en not in answer.text
