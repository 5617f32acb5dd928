import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bijlighar.storage.packed import ABSENT, BrokenColumn, pack, unpack

EDGES = [ABSENT, 0, 1, -1, 65_534, 65_535, 65_536, 655_340, 655_350, 65_534_000, 2**31 - 1, 2**31, -(2**31)]
EDGES += [-(2**31) + 1, 2**63 - 1, -(2**63) + 1]


class TestPack:
    @given(
        arrays.arrays(
            np.int64,
            st.tuples(st.integers(0, 6), st.sampled_from([1, 48, 96])),
            elements=st.one_of(
                st.sampled_from(EDGES), st.integers(0, 3_000), st.integers(-(2**63), 2**63 - 1)
            ),
        )
    )
    def test_is_undone_by_unpack(self, values: np.ndarray):
        blobs, codes = pack(values)

        assert np.array_equal(unpack(blobs, codes, values.shape[1]), values)

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
        assert len(pack(np.array([row]))[0][0]) == size

    def test_stores_nothing_for_an_absent_row(self):
        blobs, codes = pack(np.full((2, 48), ABSENT))

        assert (blobs, codes.tolist()) == ([None, None], [0, 0])


class TestUnpack:
    def test_refuses_bytes_of_another_length(self):
        blobs, codes = pack(np.zeros((2, 48), dtype=np.int64))

        with pytest.raises(BrokenColumn):
            unpack([blobs[0], blobs[1][:-2]], codes, 48)
