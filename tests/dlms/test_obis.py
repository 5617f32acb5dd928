import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms.obis import InvalidObis, Obis


class TestParse:
    @given(octets=st.binary(min_size=6, max_size=6))
    def test_reads_what_it_writes(self, octets):
        assert Obis.parse(str(Obis(octets=octets))).octets == octets

    @pytest.mark.parametrize(
        "text",
        [
            "1.0.1.8.0",
            "1.0.1.8.0.255.0",
            "1.0.1.8.0.256",
            "1.0.1.8.0.999",
            "1.0.1.8.0.-1",
            "1.0.1.8.0.+1",
            "1.0.1.8.0. 1",
            "1.0.1.8.0.01",
            "1.0.1.8.0.",
            "1-0:1.8.0*255",
            "1.0.1.8.0.२",
            "1.0.1.8.0.²",
            "",
        ],
    )
    def test_refuses_anything_but_six_numbers(self, text):
        with pytest.raises(InvalidObis):
            Obis.parse(text)

    def test_keeps_the_storage_group(self):
        assert Obis.parse("1.0.1.8.0.1").octets[5] == 1


class TestFromOctets:
    @pytest.mark.parametrize("count", [0, 5, 7])
    def test_refuses_another_number_of_octets(self, count):
        with pytest.raises(InvalidObis):
            Obis.from_octets(bytes(count))
