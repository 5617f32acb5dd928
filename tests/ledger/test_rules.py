from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.ledger.errors import BrokenEvent, InvalidPayment, InvalidTransfer
from bijlighar.ledger.model import Head, Transfer, TransferKind
from bijlighar.ledger.rules import (
    EVENT_BYTES_MAX,
    Credit,
    DueFill,
    Move,
    allocate,
    bill_transfers,
    covered,
    parse_event,
    receipt_number,
    receipt_serial,
    signature,
    verify_signature,
)

DAY = date(2025, 5, 2)


def due(document: str, amount_paise: int, day: int = 1) -> DueFill:
    issued_on = date(2025, 4, day)
    return DueFill(document=document, issued_on=issued_on, due_on=issued_on, amount_paise=amount_paise)


def apply(held: dict[tuple[int, str], int], moves: tuple[Move, ...]) -> dict[tuple[int, str], int]:
    after = dict(held)
    for move in moves:
        pair = (move.payment, move.document)
        after[pair] = after.get(pair, 0) + move.amount_paise
    return {pair: paise for pair, paise in after.items() if paise}


class TestTransfer:
    @pytest.mark.parametrize("amount_paise", [0, -1])
    def test_refuses_a_sum_that_is_not_above_zero(self, amount_paise: int):
        with pytest.raises(InvalidTransfer, match="not above zero"):
            self.transfer(amount_paise=amount_paise, credit=Head.ENERGY)

    def test_refuses_one_head_on_both_sides(self):
        with pytest.raises(InvalidTransfer, match="same head"):
            self.transfer(amount_paise=1, credit=Head.RECEIVABLE)

    def transfer(self, *, amount_paise: int, credit: Head) -> Transfer:
        return Transfer(
            key="k",
            debit=Head.RECEIVABLE,
            credit=credit,
            account="N1",
            amount_paise=amount_paise,
            kind=TransferKind.BILL,
            document="B1",
            business_date=DAY,
        )


class TestBillTransfers:
    def test_debit_the_receivable_and_credit_the_head(self):
        (transfer,) = self.transfers((Head.ENERGY, 49_300))

        assert (transfer.debit, transfer.credit, transfer.amount_paise) == (
            Head.RECEIVABLE,
            Head.ENERGY,
            49_300,
        )

    def test_turn_a_line_below_zero_round(self):
        (transfer,) = self.transfers((Head.SUBSIDY, -56_637))

        assert (transfer.debit, transfer.credit, transfer.amount_paise) == (
            Head.SUBSIDY,
            Head.RECEIVABLE,
            56_637,
        )

    def test_sum_the_lines_of_one_head(self):
        (transfer,) = self.transfers((Head.ENERGY, 100), (Head.ENERGY, -30), (Head.FIXED, 0))

        assert transfer.amount_paise == 70

    @given(st.lists(st.tuples(st.sampled_from(list(Head)[2:]), st.integers(-(10**9), 10**9))))
    def test_change_the_receivable_by_the_sum_of_the_lines(self, lines: list[tuple[Head, int]]):
        transfers = self.transfers(*lines)

        signed = [each.amount_paise * (1 if each.debit is Head.RECEIVABLE else -1) for each in transfers]
        assert sum(signed) == sum(paise for _, paise in lines)
        assert len({each.key for each in transfers}) == len(transfers)

    def transfers(self, *lines: tuple[Head, int]) -> tuple[Transfer, ...]:
        return bill_transfers(account="N1", document="B1", lines=lines, business_date=DAY)


class TestAllocate:
    def test_covers_the_oldest_due_first(self):
        moves = allocate(
            dues=[due("B2", 700, day=2), due("B1", 500)],
            credits=[Credit(payment=1, amount_paise=600)],
            held={},
        )

        assert apply({}, moves) == {(1, "B1"): 500, (1, "B2"): 100}

    def test_leaves_what_no_due_needs(self):
        moves = allocate(dues=[due("B1", 500)], credits=[Credit(payment=1, amount_paise=900)], held={})

        assert apply({}, moves) == {(1, "B1"): 500}

    def test_moves_nothing_the_second_time(self):
        dues = [due("B1", 500), due("B2", 700, day=2)]
        credits = [Credit(payment=1, amount_paise=600)]
        held = apply({}, allocate(dues=dues, credits=credits, held={}))

        assert allocate(dues=dues, credits=credits, held=held) == ()

    def test_takes_back_a_reversed_payment_and_closes_the_older_gap_with_the_younger_money(self):
        dues = [due("B1", 500), due("B2", 500, day=2)]
        held = {(1, "B1"): 500, (2, "B2"): 500}
        reversed_first = [Credit(payment=1, amount_paise=0), Credit(payment=2, amount_paise=500)]

        moves = allocate(dues=dues, credits=reversed_first, held=held)

        assert apply(held, moves) == {(2, "B1"): 500}
        assert [move.amount_paise < 0 for move in moves] == [True, True, False]

    def test_makes_room_for_an_older_due_that_came_late(self):
        held = {(1, "B2"): 400}

        moves = allocate(
            dues=[due("B2", 500, day=2), due("B1", 300)],
            credits=[Credit(payment=1, amount_paise=400)],
            held=held,
        )

        assert apply(held, moves) == {(1, "B1"): 300, (1, "B2"): 100}

    @given(
        st.lists(st.tuples(st.integers(0, 900), st.integers(1, 28)), max_size=6),
        st.lists(st.integers(0, 900), max_size=6),
        st.data(),
    )
    def test_ends_oldest_first_from_whatever_stood_before(self, raw_dues, amounts, data: st.DataObject):
        dues = [due(f"B{number}", paise, day) for number, (paise, day) in enumerate(raw_dues)]
        before = [Credit(payment=number, amount_paise=paise) for number, paise in enumerate(amounts)]
        some_dues = [each for each in dues if data.draw(st.booleans())]
        held = apply({}, allocate(dues=some_dues, credits=before, held={}))
        credits = [
            Credit(payment=each.payment, amount_paise=data.draw(st.sampled_from([0, each.amount_paise])))
            for each in before
        ]

        after = apply(held, allocate(dues=dues, credits=credits, held=held))

        target = covered(dues=dues, credit_paise=sum(credit.amount_paise for credit in credits))
        for each in dues:
            assert (
                sum(paise for (_, document), paise in after.items() if document == each.document)
                == target[each.document]
            )
        for credit in credits:
            used = [paise for (payment, _), paise in after.items() if payment == credit.payment]
            assert sum(used) <= credit.amount_paise
            assert all(paise > 0 for paise in used)


class TestReceiptNumber:
    @given(st.integers(1, 10**9), st.dates(date(2020, 1, 1), date(2090, 1, 1)))
    def test_is_read_back(self, serial: int, paid_on: date):
        assert receipt_serial(receipt_number(serial=serial, paid_on=paid_on)) == serial

    @given(st.integers(1, 10**7), st.integers(0, 10), st.integers(1, 9))
    def test_betrays_one_wrong_digit(self, serial: int, place: int, shift: int):
        number = receipt_number(serial=serial, paid_on=DAY)
        wrong = str((int(number[1 + place]) + shift) % 10)

        with pytest.raises(InvalidPayment, match="wrong"):
            receipt_serial(number[: 1 + place] + wrong + number[2 + place :])

    @pytest.mark.parametrize("text", ["", "R", "25000012347", "R2500001234x", "R12", "R२५०००००००००"])
    def test_refuses_what_is_none(self, text: str):
        with pytest.raises(InvalidPayment):
            receipt_serial(text)


class TestVerifySignature:
    BODY = b'{"event":"payment.captured","note":"\xe0\xa4\xac"}'

    def test_accepts_the_gateways(self):
        assert verify_signature(secret="s3", body=self.BODY, signature=signature(secret="s3", body=self.BODY))

    def test_refuses_another_body_another_secret_and_no_secret(self):
        good = signature(secret="s3", body=self.BODY)

        assert not verify_signature(secret="s3", body=self.BODY + b" ", signature=good)
        assert not verify_signature(secret="s4", body=self.BODY, signature=good)
        assert not verify_signature(secret="", body=self.BODY, signature=signature(secret="", body=self.BODY))

    @pytest.mark.parametrize("text", ["", "00", "é", "sha256="])
    def test_refuses_nonsense(self, text: str):
        assert not verify_signature(secret="s3", body=self.BODY, signature=text)


class TestParseEvent:
    def test_names_event_and_payment(self):
        found = parse_event(
            b'{"event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_1","amount":9}}}}'
        )

        assert found is not None
        assert (found.event, found.payment_id) == ("payment.captured", "pay_1")
        assert not hasattr(found, "amount_paise")

    def test_passes_over_an_event_without_a_payment(self):
        assert (
            parse_event(b'{"event":"settlement.processed","payload":{"settlement":{"entity":{"id":"s"}}}}')
            is None
        )

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b'{"event":1,"payload":{"payment":{"entity":{"id":"p"}}}}',
            b'{"event":"e","payload":{"payment":[]}}',
            b'{"event":"e","payload":{"payment":{"entity":{"id":7}}}}',
            b"\xff\xfe",
            b"[" * 5000,
        ],
    )
    def test_refuses_what_is_no_event(self, body: bytes):
        with pytest.raises(BrokenEvent):
            parse_event(body)

    def test_refuses_a_body_beyond_its_limit(self):
        with pytest.raises(BrokenEvent, match="more than"):
            parse_event(b" " * (EVENT_BYTES_MAX + 1))
