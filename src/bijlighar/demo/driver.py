"""Move a demo's clock through its months, and let its people act."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as wall_time
from functools import partial

from bijlighar.base.period import IST, ONE_DAY, days_between, local_date, local_midnight, local_time
from bijlighar.demo.children import Children
from bijlighar.demo.controls import take_wish
from bijlighar.demo.patience import insist
from bijlighar.demo.people import People
from bijlighar.demo.quiet import Quiet
from bijlighar.demo.report import Report, make_report
from bijlighar.demo.setup import Plan, Ports, child_plans, make_home
from bijlighar.runtime.clock import set_demo_time
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.simulator.model import Action, Town
from bijlighar.simulator.operations import ProviderControl, TownControl

LOCAL = "127.0.0.1"
#: After midnight the meters' day; in the morning what was silent; the office's hours.
NIGHT = wall_time(0, 30)
MORNING = wall_time(6, 0)
OFFICE_OPENS = wall_time(10, 30)
OFFICE_CLOSES = wall_time(15, 0)
DAY_MOMENTS = (NIGHT, MORNING, OFFICE_OPENS, OFFICE_CLOSES)
PATIENCE_S = 60.0
LIVE_STEP_S = 1.0
FORWARD_MAX = timedelta(days=31)

Tell = Callable[[date, int, int], None]
Disturb = Callable[[datetime, Children], None]


@dataclass(kw_only=True)
class Demo:
    """A running demo."""

    home: Home
    line: Line
    town: Town
    ports: Ports
    children: Children
    meters: TownControl
    providers: ProviderControl
    people: People
    quiet: Quiet


@contextlib.contextmanager
def running(home: Home, *, plan: Plan, is_disturbed: Callable[[], bool] = lambda: False) -> Iterator[Demo]:
    """
    Set up a demo in `home` and run its processes until the end of the block.

    :raises HomeNotEmpty: if the home is not empty.
    :raises ChildFailed: if a process does not start.
    """
    town, ports = make_home(home, plan=plan)
    line = Line(home, worker="demo")
    children = Children(logs=home.logs)
    meters = TownControl(f"{LOCAL}:{ports.town_control}")
    providers = ProviderControl(f"{LOCAL}:{ports.providers_control}")
    try:
        children.start(child_plans(home, ports=ports))
        meters.wait_until_ready(patience_s=PATIENCE_S)
        providers.wait_until_ready(patience_s=PATIENCE_S)
        people = People(line=line, town=town, meters=meters, providers=providers, port=ports.meters)
        quiet = Quiet(
            line=line, children=children, meters=meters, providers=providers, is_disturbed=is_disturbed
        )
        yield Demo(
            home=home,
            line=line,
            town=town,
            ports=ports,
            children=children,
            meters=meters,
            providers=providers,
            people=people,
            quiet=quiet,
        )
    finally:
        children.stop()
        providers.close()


def run(demo: Demo, *, tell: Tell = lambda _day, _done, _all: None, disturb: Disturb | None = None) -> Report:
    """Run the months of a demo and return the report; `tell` is told each day, `disturb` each moment."""
    started = time.monotonic()
    town = demo.town
    days = list(days_between(town.first_day, town.last_day))
    actions = list(town.actions)
    for done, day in enumerate(days):
        tell(day, done, len(days))
        moments = [local_time(day, moment) for moment in DAY_MOMENTS]
        end = local_midnight(day + ONE_DAY)
        while moments or _next(demo, actions) < end:
            planned = _next(demo, actions)
            regular = moments[0] if moments else end
            now = min(planned, regular)
            move(demo, now=now, disturb=disturb)
            while actions and actions[0].at <= now:
                demo.people.act(actions.pop(0), now)
            demo.people.pay(now)
            if moments and now == regular:
                moments.pop(0)
                _office_hours(demo, now)
            demo.quiet.wait()
    move(demo, now=local_time(town.last_day + ONE_DAY, NIGHT), disturb=disturb)
    tell(town.last_day, len(days), len(days))
    return make_report(
        demo.line,
        town=town,
        meters=demo.meters,
        paid=demo.people.paid,
        noticed=demo.people.noticed,
        seconds=time.monotonic() - started,
    )


def move(demo: Demo, *, now: datetime, disturb: Disturb | None = None) -> None:
    """Move the clock of meters, providers and system, and wait until all is quiet again."""
    if now <= demo.line.now():
        return
    insist(partial(demo.meters.set_time, now))
    insist(partial(demo.providers.set_time, now))
    set_demo_time(demo.line.database, now=now)
    if disturb is not None:
        disturb(now, demo.children)
    demo.quiet.wait()


def keep_open(demo: Demo, *, stop: threading.Event) -> None:
    """Let the demo's time pass as the machine's until told to stop, and faster where a visitor wishes it."""
    while not stop.wait(LIVE_STEP_S):
        demo.children.check()
        wish = take_wish(demo.home)
        if wish is not None:
            walk(demo, until=wish, stop=stop)
            continue
        now = demo.line.now() + timedelta(seconds=LIVE_STEP_S)
        demo.meters.set_time(now)
        demo.providers.set_time(now)
        set_demo_time(demo.line.database, now=now)


def walk(demo: Demo, *, until: datetime, stop: threading.Event) -> None:
    """Let the time go on to `until`, by way of each day's moments; the people leave everything to the visitor."""
    until = min(until, demo.line.now() + FORWARD_MAX)
    while not stop.is_set() and demo.line.now() < until:
        now = demo.line.now()
        today = local_date(now)
        moments = [local_time(day, at) for day in (today, today + ONE_DAY) for at in DAY_MOMENTS]
        move(demo, now=min([until, *(moment for moment in moments if moment > now)]))


def _next(demo: Demo, actions: Sequence[Action]) -> datetime:
    planned = [actions[0].at] if actions else []
    payment = demo.people.next_payment_at
    return min([*planned, *([payment] if payment else [])], default=local_midnight(date.max))


def _office_hours(demo: Demo, now: datetime) -> None:
    at = now.astimezone(IST).time()
    people = demo.people
    if at == OFFICE_OPENS:
        people.acknowledge_alarms(now)
        people.hand_out_notices(now)
        people.draw_up_list(now)
        people.work_by_hand(now)
    elif at == OFFICE_CLOSES:
        people.approve_lists(now)
        people.work_by_hand(now)
    people.look_into_letterboxes(now)
