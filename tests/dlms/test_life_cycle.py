from bijlighar.base.lifecycle import mermaid
from bijlighar.dlms.life_cycle import LIFE_CYCLE, State, Step


class TestLifeCycle:
    def test_has_every_state_and_every_step(self):
        assert set(LIFE_CYCLE) == set(State)
        assert {step for steps in LIFE_CYCLE.values() for step in steps} == set(Step)

    def test_can_be_aborted_from_everywhere(self):
        assert all(steps[Step.ABORT] is State.IDLE for steps in LIFE_CYCLE.values())

    def test_serves_requests_only_in_an_association(self):
        assert [state for state, steps in LIFE_CYCLE.items() if Step.REQUEST in steps] == [State.ASSOCIATED]

    def test_reaches_an_association_with_hls_only_by_proof(self):
        assert Step.ACCEPT not in LIFE_CYCLE[State.CHALLENGED]
        assert [state for state, steps in LIFE_CYCLE.items() if State.ASSOCIATED in steps.values()] == [
            State.ASSOCIATING,
            State.PROVING,
            State.ASSOCIATED,
            State.REQUESTED,
        ]

    def test_can_be_drawn(self):
        assert "CHALLENGED --> PROVING: prove" in mermaid(LIFE_CYCLE)
