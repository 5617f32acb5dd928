from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import activity_calendar as calendars
from bijlighar.dlms import axdr, settings
from bijlighar.dlms.activity_calendar import Calendar, DayProfile, Season, Switch, WeekProfile
from bijlighar.dlms.cosem import Attribute, CaptureObject
from bijlighar.dlms.errors import LocalProtocolError, RemoteProtocolError
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.settings import INDIAN, BillingDate, LoadLimit, PushSetup, Script, Window

names = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)
minutes = st.integers(0, 1439)
codes = st.binary(min_size=6, max_size=6).map(lambda octets: Obis(octets=octets))
days = st.builds(
    lambda number, found: DayProfile(
        number=number,
        switches=tuple(Switch(minute=minute, zone=zone) for minute, zone in sorted(found.items())),
    ),
    st.integers(1, 8),
    st.dictionaries(minutes, st.integers(1, 8), min_size=1, max_size=16),
)
weeks = st.builds(WeekProfile, name=names, days=st.tuples(*[st.integers(1, 8)] * 7))
seasons = st.builds(Season, month=st.integers(1, 12), day=st.integers(1, 28), name=names, week=names)
whole_calendars = st.builds(
    Calendar,
    name=names,
    seasons=st.lists(seasons, min_size=1, max_size=8).map(lambda found: tuple(sorted(found))),
    weeks=st.lists(weeks, min_size=1, max_size=8).map(lambda found: tuple(sorted(found))),
    days=st.lists(days, min_size=1, max_size=8).map(lambda found: tuple(sorted(found))),
)
captures = st.builds(
    CaptureObject,
    class_id=st.integers(0, 0xFFFF),
    obis=codes,
    attribute=st.integers(1, 127),
    data_index=st.integers(0, 0xFFFF),
)
pushes = st.builds(
    PushSetup,
    objects=st.lists(captures, max_size=32).map(tuple),
    destination=st.text(alphabet="abc.:0123456789", min_size=1, max_size=60),
    windows=st.lists(st.builds(Window, first=minutes, last=minutes), max_size=4).map(tuple),
    randomise_s=st.integers(0, 0xFFFF),
    retries=st.integers(0, 0xFF),
    repeat_s=st.integers(0, 0xFFFF),
)


class TestRoundTrips:
    @given(calendar=whole_calendars)
    def test_of_calendars(self, calendar: Calendar):
        assert INDIAN.decode_calendar(INDIAN.encode_calendar(calendar)) == calendar

    @given(setup=pushes)
    def test_of_push_setups(self, setup: PushSetup):
        assert settings.decode_push(setup.encode()) == setup

    @given(day=st.integers(1, 31), minute=minutes)
    def test_of_billing_dates(self, day: int, minute: int):
        billing = BillingDate(day=day, minute=minute)

        assert settings.decode_billing(billing.encode()) == billing

    @given(values=st.tuples(*[st.integers(0, 0xFFFF_FFFF)] * 3))
    def test_of_load_limits(self, values: tuple[int, int, int]):
        watts, over_s, under_s = values
        limit = LoadLimit(watts=watts, over_s=over_s, under_s=under_s)

        assert settings.decode_limit(limit.encode()) == limit

    @given(bits=st.frozensets(st.integers(0, 127)))
    def test_of_event_filters(self, bits: frozenset[int]):
        assert settings.decode_filter(settings.encode_filter(bits)) == bits

    @given(obis=codes, entry=st.integers(0, 0xFFFF))
    def test_of_scripts(self, obis: Obis, entry: int):
        script = Script(table=obis, entry=entry)
        watched = Attribute(class_id=entry, obis=obis, index=2)

        assert settings.decode_scripts(settings.encode_script(script)) == (script,)
        assert settings.decode_scripts(settings.encode_scripts(script, script)) == (script, script)
        assert settings.decode_watched(settings.encode_watched(watched)) == watched


DECODERS: list[tuple[int, Callable[[list[bytes]], Any]]] = [
    (4, INDIAN.decode_calendar),
    (6, settings.decode_push),
    (3, settings.decode_limit),
    (1, lambda parts: settings.decode_billing(parts[0])),
    (1, lambda parts: settings.decode_filter(parts[0])),
    (1, lambda parts: settings.decode_number(parts[0])),
    (1, lambda parts: settings.decode_scripts(parts[0])),
    (1, lambda parts: settings.decode_watched(parts[0])),
]
cells = st.recursive(
    st.one_of(
        st.integers(0, 0xFF).map(axdr.unsigned),
        st.integers(0, 0xFFFF_FFFF).map(axdr.double_long_unsigned),
        st.binary(max_size=14).map(axdr.octet_string),
        st.just(axdr.NULL),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(axdr.array),
        st.lists(inner, max_size=4).map(lambda found: axdr.structure(*found)),
    ),
    max_leaves=8,
)


def outcome(decode: Callable[[list[bytes]], Any], parts: list[bytes]) -> str:
    try:
        decode(parts)
    except RemoteProtocolError:
        return "refused"
    return "understood"


class TestWhatAMeterMaySay:
    @pytest.mark.parametrize(("count", "decode"), DECODERS)
    @given(data=st.data())
    def test_is_understood_or_refused(
        self, count: int, decode: Callable[[list[bytes]], Any], data: st.DataObject
    ):
        parts = [data.draw(st.one_of(cells, st.binary(max_size=20))) for _ in range(count)]

        assert outcome(decode, parts) in ("understood", "refused")

    def test_is_no_calendar_if_a_switch_runs_the_relay(self):
        calendar = Calendar(
            name="A",
            seasons=(Season(month=1, day=1, name="S", week="W"),),
            weeks=(WeekProfile(name="W", days=(1,) * 7),),
            days=(DayProfile(number=1, switches=(Switch(minute=0, zone=1),)),),
        )
        parts = calendars.encode_calendar(calendar, script=INDIAN.relay)

        with pytest.raises(RemoteProtocolError, match="tariff script"):
            INDIAN.decode_calendar(parts)


class TestCalendar:
    CALENDAR = Calendar(
        name="A",
        seasons=(
            Season(month=4, day=1, name="SUMMER", week="HOT"),
            Season(month=10, day=15, name="WINTER", week="COLD"),
        ),
        weeks=(WeekProfile(name="COLD", days=(2,) * 7), WeekProfile(name="HOT", days=(1,) * 6 + (2,))),
        days=(
            DayProfile(number=1, switches=(Switch(minute=0, zone=1),)),
            DayProfile(number=2, switches=(Switch(minute=0, zone=2),)),
        ),
    )

    @pytest.mark.parametrize(
        ("month", "day", "weekday", "number"),
        [(3, 31, 0, 2), (4, 1, 0, 1), (4, 1, 6, 2), (10, 14, 0, 1), (10, 15, 0, 2), (1, 1, 0, 2)],
    )
    def test_knows_each_day_of_the_year(self, month: int, day: int, weekday: int, number: int):
        assert self.CALENDAR.day_profile(month=month, day=day, weekday=weekday).number == number

    def test_says_where_it_has_a_hole(self):
        holed = Calendar(name="A", seasons=self.CALENDAR.seasons, weeks=(), days=())

        with pytest.raises(LocalProtocolError, match="no profile"):
            holed.day_profile(month=5, day=1, weekday=0)
