from importlib import import_module
from itertools import pairwise

import pytest

from bijlighar.runtime.counts import COUNTED
from bijlighar.runtime.health import health
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import steps_of
from bijlighar.runtime.route import ROUTE, Lane, Process, Step

#: Step 2 of the line (the reading) is written by step 1; 13 and 14 follow all facts.
NUMBERS = {1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}


class TestRoute:
    def test_lists_the_twelve_steps_in_their_order(self):
        numbers = [step.number for step in ROUTE]
        assert set(numbers) == NUMBERS
        assert all(before <= after for before, after in pairwise(numbers))

    def test_has_unique_names(self):
        names = [step.name for step in ROUTE]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("step", ROUTE, ids=lambda step: step.name)
    def test_names_a_door_that_is_there(self, step: Step):
        module, _, door = step.door.rpartition(".")
        assert callable(getattr(import_module(f"bijlighar.{module}"), door))
        assert step.fact.hi
        assert step.fact.en
        assert step.pulls_from

    def test_counts_something_named_at_each_step(self):
        assert set(COUNTED) == {step.name for step in ROUTE}
        assert all(counted.what.hi and counted.what.en for counted in COUNTED.values())

    def test_gives_each_step_to_one_taker(self):
        given = [step for process in Process for step in steps_of(process)]
        by_lane = [step for lane in Lane for step in steps_of(Process.WORKER, lane)]
        assert sorted(step.name for step in given) == sorted(step.name for step in ROUTE)
        assert sorted(step.name for step in by_lane) == sorted(step.name for step in steps_of(Process.WORKER))

    def test_keeps_money_relays_and_alarms_out_of_the_bulk(self):
        prompt = {step.name for lane in (Lane.ALARM, Lane.PROMPT) for step in steps_of(Process.WORKER, lane)}
        assert {"payment", "follow", "send", "watch"} <= prompt
        assert not {"validate", "balance", "bill"} & prompt

    def test_leaves_the_list_and_its_approval_to_people(self):
        assert [step.name for step in steps_of(Process.PERSON)] == ["list", "approve"]


class TestHealth:
    def test_of_an_empty_home_is_well_and_nothing_is_pending_but_the_day(self, line: Line):
        report = health(line)
        assert report.is_well
        assert not report.halted
        assert [step.step for step in report.steps] == [step.name for step in ROUTE]
        busy = {step.step for step in report.steps if step.pending}
        assert busy <= {"assess", "balance"}
        assert set(report.as_document()) == {"status", "now", "halted", "pending", "done", "failing"}
