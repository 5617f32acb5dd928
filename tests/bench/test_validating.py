import numpy as np
import pytest

from bijlighar.bench.measuring import Stopwatch, WrongResult
from bijlighar.bench.meterdays import FIRST_DAY, SPIKE_WH, meter_day, serials
from bijlighar.bench.validating import bring, check, hang, store_registers, validate
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, Quality
from bijlighar.storage.engine import Database


class TestValidate:
    def test_gives_every_figure_beside_its_limit(self):
        found = validate(say=lambda *_: None, meters=1_000, days=2)

        assert (found["meters"], found["days"], found["intervals_per_day"]) == (1_000, 2, 48)
        assert all(
            found[name] > 0
            for name in (
                "vee_day_ms",
                "validate_again_day_ms",
                "limit_day_ms",
                "decoded_to_validated_per_core_s",
                "decoded_to_validated_per_elapsed_s",
            )
        )


class TestBring:
    def test_ends_with_the_validated_version_of_what_was_delivered(self, database: Database):
        names = serials(count=1_000)
        hang(database, names)
        made = meter_day(meters=names, day=FIRST_DAY, faults=True)
        opening = np.full(len(names), 1_000_000, dtype=np.int64)
        store_registers(database, names, opening, day=FIRST_DAY)
        store_registers(database, names, opening + made.energy_wh, day=FIRST_DAY + 1)

        bring(database, made, watch=Stopwatch())

        with database.read() as connection:
            (block,) = readings.raw_days(connection, meters=names, first=FIRST_DAY, last=FIRST_DAY)
            (known,) = readings.days(connection, meters=names, first=FIRST_DAY, last=FIRST_DAY)
        wh = made.values["wh_import"]
        assert all(np.array_equal(block.channel(name), values) for name, values in made.values.items())
        assert known.validated.all()
        assert (known.quality[wh == ABSENT] == Quality.ABSENT).all()
        assert (known.quality[(wh < 0) & (wh != ABSENT)] == Quality.SUSPECT).all()
        assert (known.quality[wh == SPIKE_WH] == Quality.SUSPECT).all()
        good = (wh >= 0) & (wh != SPIKE_WH)
        assert (known.quality[good] == Quality.VALID).all()


class TestCheck:
    def test_refuses_findings_that_lack_the_faults(self):
        made = meter_day(meters=serials(count=1_000), day=FIRST_DAY, faults=True)

        with pytest.raises(WrongResult):
            check([], made)

    def test_accepts_none_where_there_are_no_faults(self):
        made = meter_day(meters=serials(count=10), day=FIRST_DAY)

        check([], made)
