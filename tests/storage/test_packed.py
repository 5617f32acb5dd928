import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bijlighar.storage.packed import ABSENT, CODE_BITS, CODE_MASK, BrokenColumn, pack, unpack

EDGES = [ABSENT, 0, 1, -1, 65_534, 65_535, 65_536, 655_340, 655_350, 65_534_000, 2**31 - 1, 2**31, -(2**31)]
EDGES += [-(2**31) + 1, 2**63 - 1, -(2**63) + 1]
VALUES = st.one_of(st.sampled_from(EDGES), st.integers(0, 3_000), st.integers(-(2**63), 2**63 - 1))


@st.composite
def runs(draw: st.DrawFn) -> list[np.ndarray | None]:
    """Matrices of one shape, one at least; some hold nothing at all."""
    shape = draw(st.tuples(st.integers(0, 6), st.sampled_from([1, 48, 96])))
    matrix = arrays.arrays(np.int64, shape, elements=VALUES)
    plain = arrays.arrays(np.int64, shape, elements=st.integers(0, 3_000))
    given_ = draw(st.lists(st.one_of(st.none(), plain, matrix), min_size=0, max_size=4))
    return [*given_, draw(matrix)]


class TestPack:
    @given(runs())
    def test_is_undone_by_unpack(self, matrices: list[np.ndarray | None]):
        blobs, codes = pack(matrices)

        rows, columns = matrices[-1].shape
        found = unpack(blobs, codes, columns, wanted=[True] * len(matrices))

        empty = np.full((rows, columns), ABSENT)
        for given_, read in zip(matrices, found, strict=True):
            assert np.array_equal(empty if read is None else read, empty if given_ is None else given_)

    @given(runs(), st.data())
    def test_is_undone_for_the_wanted_runs_alone(
        self, matrices: list[np.ndarray | None], data: st.DataObject
    ):
        blobs, codes = pack(matrices)
        every = unpack(blobs, codes, matrices[-1].shape[1], wanted=[True] * len(matrices))
        wanted = data.draw(st.lists(st.booleans(), min_size=len(matrices), max_size=len(matrices)))

        found = unpack(blobs, codes, matrices[-1].shape[1], wanted=wanted)

        for is_wanted, whole, read in zip(wanted, every, found, strict=True):
            assert np.array_equal(read, whole) if is_wanted else read is None

    @pytest.mark.parametrize(
        ("row", "size"),
        [
            ([0, 65_534], 4),
            ([0, 65_535], 8),
            ([10, 65_535_0], 8),
            ([10, 65_534_0], 4),
            ([1, 65_534_0], 8),
            ([-1, 5], 8),
            ([0, 2**31], 16),
            ([ABSENT, 3], 4),
        ],
    )
    def test_takes_the_narrowest_bytes_that_hold_the_row(self, row: list[int], size: int):
        assert len(pack([np.array([row])])[0][0]) == size

    def test_packs_each_row_by_its_own_codes(self):
        blobs, codes = pack([np.array([[1, 2], [1, 70_001]]), None, np.array([[3, 4], [ABSENT, ABSENT]])])

        assert [len(blob) for blob in blobs] == [8, 8]
        assert [(code & CODE_MASK, code >> 2 * CODE_BITS) for code in codes.tolist()] == [(1, 1), (2, 0)]

    def test_stores_nothing_for_an_absent_row(self):
        blobs, codes = pack([np.full((2, 48), ABSENT)])

        assert (blobs, codes.tolist()) == ([None, None], [0, 0])

    def test_needs_a_matrix_to_tell_the_rows(self):
        with pytest.raises(ValueError, match="at least one matrix"):
            pack([None])


class TestUnpack:
    @pytest.mark.parametrize("torn", [lambda blob: blob[:-2], lambda blob: blob + b"xx", lambda _: None])
    def test_refuses_bytes_of_another_length(self, torn):
        blobs, codes = pack([np.zeros((2, 48), dtype=np.int64), np.ones((2, 48), dtype=np.int64)])

        with pytest.raises(BrokenColumn):
            unpack([blobs[0], torn(blobs[1])], codes, 48, wanted=(True, True))
