import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bijlighar.headend import keys_store
from bijlighar.headend.counters import BLOCK, FIRST_LIMIT, JUMP_LIMIT, LAST_COUNTER, SESSION_NEED, Counters
from bijlighar.headend.errors import CounterRefused
from bijlighar.storage.engine import Database

CLIENT = 32


def known(database: Database, *meters: str, seen: int = 0) -> Counters:
    counters = Counters(database)
    assert counters.learn(seen=dict.fromkeys(meters, seen), client=CLIENT) == {}
    return counters


def reserved(database: Database, meter: str) -> int:
    with database.read() as connection:
        return keys_store.reserved_counters(connection, meters=[meter], client=CLIENT)[meter]


class TestReserve:
    def test_names_the_meters_that_were_never_spoken_with(self, database: Database):
        known(database, "A")

        strangers = Counters(database).reserve(meters=["A", "B"], client=CLIENT)

        assert strangers == {"B"}

    def test_is_durable_before_a_number_is_handed_out(self, database: Database):
        counters = known(database, "A", seen=41)
        next_counter = counters.source(meter="A", client=CLIENT)

        numbers = [next_counter() for _ in range(BLOCK)]

        assert numbers == list(range(42, 42 + BLOCK))
        assert reserved(database, "A") == 42 + BLOCK
        with pytest.raises(CounterRefused, match="used up"):
            next_counter()

    def test_takes_a_new_block_only_when_the_old_one_runs_short(self, database: Database):
        counters = known(database, "A")
        next_counter = counters.source(meter="A", client=CLIENT)
        before = reserved(database, "A")

        counters.reserve(meters=["A"], client=CLIENT)
        untouched = reserved(database, "A")
        for _ in range(BLOCK - SESSION_NEED + 1):
            next_counter()
        counters.reserve(meters=["A"], client=CLIENT)

        assert untouched == before
        assert reserved(database, "A") == before + BLOCK

    def test_never_repeats_a_number_after_a_restart(self, database: Database):
        used: list[int] = []
        counters = known(database, "A", seen=7)
        for restart in range(5):
            next_counter = counters.source(meter="A", client=CLIENT)
            used += [next_counter() for _ in range(restart * 3 + 1)]
            counters = Counters(database)  # the process died; nothing in memory is left
            counters.reserve(meters=["A"], client=CLIENT)

        assert used == sorted(set(used))

    def test_gives_two_processes_different_numbers(self, database: Database):
        one = known(database, "A")
        other = Counters(database)
        other.reserve(meters=["A"], client=CLIENT)

        numbers = [counters.source(meter="A", client=CLIENT)() for counters in (one, other, one, other)]

        assert len(set(numbers)) == 4

    def test_gives_two_first_contacts_at_one_time_different_numbers(self, database: Database):
        one, other = known(database, "A", seen=5), known(database, "A", seen=5)

        numbers = {counters.source(meter="A", client=CLIENT)() for counters in (one, other)}

        assert len(numbers) == 2

    def test_keeps_the_counters_of_clients_apart(self, database: Database):
        counters = known(database, "A", seen=100)

        counters.learn(seen={"A": 5}, client=48)

        assert counters.source(meter="A", client=48)() == 6
        assert counters.source(meter="A", client=CLIENT)() == 101

    def test_reserves_for_many_meters_in_one_transaction(self, database: Database):
        meters = [f"M{i:04}" for i in range(1200)]
        known(database, *meters)
        counters = Counters(database)

        assert counters.reserve(meters=meters, client=CLIENT) == frozenset()
        assert len({counters.source(meter=meter, client=CLIENT)() for meter in meters}) == 1

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.sampled_from(["use", "crash", "learn", "reserve"]), max_size=25), data=st.data())
    def test_never_repeats_a_number_whatever_happens(self, database: Database, steps, data):
        meter = data.draw(st.uuids()).hex
        counters = known(database, meter)
        used: list[int] = []
        for step in steps:
            match step:
                case "use":
                    next_counter = counters.source(meter=meter, client=CLIENT)
                    used += [next_counter() for _ in range(data.draw(st.integers(1, SESSION_NEED)))]
                    counters.reserve(meters=[meter], client=CLIENT)
                case "crash":
                    counters = Counters(database)
                    counters.reserve(meters=[meter], client=CLIENT)
                case "learn":
                    counters.learn(seen={meter: data.draw(st.integers(0, 5000))}, client=CLIENT)
                case "reserve":
                    counters.reserve(meters=[meter], client=CLIENT)

        assert used == sorted(set(used))


class TestLearn:
    def test_starts_above_what_the_meter_has_seen(self, database: Database):
        assert known(database, "A", seen=900).source(meter="A", client=CLIENT)() == 901

    def test_never_lets_a_counter_fall(self, database: Database):
        counters = known(database, "A", seen=900)

        counters.learn(seen={"A": 3}, client=CLIENT)

        assert counters.source(meter="A", client=CLIENT)() == 901 + BLOCK

    def test_does_not_believe_a_leap(self, database: Database):
        counters = known(database, "A", seen=900)
        leap = 901 + BLOCK + JUMP_LIMIT

        problems = counters.learn(seen={"A": leap, "B": FIRST_LIMIT, "C": FIRST_LIMIT - 1}, client=CLIENT)

        assert sorted(problems) == ["A", "B"]
        assert reserved(database, "A") == 901 + BLOCK

    def test_does_not_believe_a_counter_near_its_end(self, database: Database):
        with database.write() as connection:
            keys_store.raise_counters(connection, floors={"A": LAST_COUNTER - 10}, client=CLIENT, count=BLOCK)

        assert "A" in Counters(database).learn(seen={"A": LAST_COUNTER}, client=CLIENT)


class TestSource:
    def test_ends_before_the_counter_does(self, database: Database):
        with database.write() as connection:
            keys_store.raise_counters(
                connection, floors={"A": LAST_COUNTER - BLOCK - 2}, client=CLIENT, count=BLOCK
            )
        counters = Counters(database)
        counters.reserve(meters=["A"], client=CLIENT)
        next_counter = counters.source(meter="A", client=CLIENT)

        numbers = [next_counter(), next_counter()]

        assert max(numbers) < LAST_COUNTER
        with pytest.raises(CounterRefused, match="near its end"):
            next_counter()

    def test_hands_out_nothing_without_a_block(self, database: Database):
        with pytest.raises(CounterRefused):
            Counters(database).source(meter="A", client=CLIENT)()


class TestIsBehind:
    def test_tells_whether_the_meter_would_refuse_our_next_number(self, database: Database):
        counters = known(database, "A", seen=10)

        assert counters.is_behind(meter="A", client=CLIENT, seen=11)
        assert not counters.is_behind(meter="A", client=CLIENT, seen=10)
