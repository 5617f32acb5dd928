import pytest

from bijlighar.dlms import axdr, cosem
from bijlighar.dlms.cosem import CLOCK, ByEntry, CaptureObject, RawSelection
from bijlighar.dlms.errors import Malformed, RemoteProtocolError
from bijlighar.dlms.obis import Obis


class TestCaptureObjects:
    def test_are_read_back(self):
        objects = (CLOCK, CaptureObject(class_id=3, obis=Obis.parse("1.0.1.29.0.255"), attribute=2))

        assert cosem.capture_objects(cosem.encode_capture_objects(objects)) == objects

    @pytest.mark.parametrize("data", [axdr.unsigned(1), axdr.array([axdr.structure(axdr.unsigned(1))])])
    def test_are_refused_if_they_are_something_else(self, data):
        with pytest.raises(Malformed):
            cosem.capture_objects(data)


class TestDecodeSelection:
    def test_leaves_a_range_of_another_type_raw(self):
        parameters = axdr.structure(
            CLOCK.encode(), axdr.double_long_unsigned(1), axdr.double_long_unsigned(2), axdr.array([])
        )

        selection = cosem.decode_selection(1, parameters)

        assert selection == RawSelection(selector=1, parameters=parameters)
        assert selection.encode() == b"\x01" + parameters

    def test_reads_entries(self):
        assert cosem.decode_selection(2, ByEntry(first=3, last=5).encode()[1:]) == ByEntry(first=3, last=5)

    def test_refuses_what_is_no_value(self):
        with pytest.raises(RemoteProtocolError):
            cosem.decode_selection(1, b"\x02\x04\x09")

    def test_refuses_columns_that_are_no_capture_objects(self):
        parameters = axdr.structure(
            CLOCK.encode(),
            axdr.octet_string(bytes(12)),
            axdr.octet_string(bytes(12)),
            axdr.array([axdr.NULL]),
        )

        with pytest.raises(Malformed):
            cosem.decode_selection(1, parameters)


class TestLogicalName:
    def test_reads_six_octets_only(self):
        assert str(cosem.logical_name(axdr.octet_string(bytes((0, 0, 43, 1, 3, 255))))) == "0.0.43.1.3.255"
        with pytest.raises(Malformed):
            cosem.logical_name(axdr.octet_string(bytes(5)))


class TestNumbersThatDoNotFit:
    def test_leave_an_entry_selection_raw(self):
        minus_one = axdr.structure(*(axdr.long(-1) for _ in range(4)))

        assert cosem.decode_selection(2, minus_one) == cosem.RawSelection(selector=2, parameters=minus_one)

    def test_are_no_capture_object(self):
        name = axdr.octet_string(bytes(6))
        for numbers in ((1 << 16, 2, 0), (7, 128, 0), (7, 2, -1)):
            class_id, attribute, index = map(axdr.double_long, numbers)
            with pytest.raises(Malformed):
                cosem.capture_objects(axdr.array([axdr.structure(class_id, name, attribute, index)]))
