"""The figures of the doctor are those of the books, not of how often a step ran."""

from datetime import timedelta

from bijlighar.ledger import operations as ledger
from bijlighar.ledger import queries
from bijlighar.ledger.model import NewPayment
from bijlighar.runtime import progress
from bijlighar.runtime.health import health
from bijlighar.runtime.line import Line
from tests.arrears.world import World


def done(line: Line) -> dict[str, int]:
    return {step.step: step.done for step in health(line).steps}


class TestDone:
    def test_counts_a_payment_once_though_two_callbacks_told_of_it(self, line: Line):
        world = World(database=line.database).start(("N1",)).cut("N1")
        world.pay("N1", 100)
        payment = NewPayment(
            provider="razorpay",
            payment_id="in suspense",
            account=None,
            amount_paise=1,
            method="upi",
            paid_at=world.now,
        )
        with line.database.write() as connection:
            ledger.receive(connection, payment=payment, now=world.now)
            progress.record_done(connection, step="payment", count=4, now=world.now)
            assert len(queries.payments(connection)) == 2

        assert done(line)["payment"] == 2

    def test_counts_what_people_did(self, line: Line):
        world = World(database=line.database).start(("N1", "N2"))
        assert {name for name, count in done(line).items() if count} == set()

        world.cut("N1")
        found = done(line)
        assert (found["list"], found["approve"], found["send"], found["follow"]) == (1, 1, 1, 0)
        assert found["assess"] == 1

        started = world.pay("N1", 300_000)
        assert started is not None
        world.head_end_does(started)
        world.follow()
        assert done(line)["follow"] == 1

    def test_is_said_with_what_it_counts(self, line: Line):
        with line.database.write() as connection:
            progress.record_done(connection, step="collect", count=7, now=line.now() - timedelta(days=1))

        document = health(line).as_document()["done"]

        assert isinstance(document, dict)
        assert document["collect"] == {"count": 7, "what": "meter-days read"}
        assert document["siren"] == {"count": 0, "what": "times the siren was called for"}
