"""How the parts of xDLMS APDUs are read; of the values inside only the ends are found."""

from bijlighar.dlms import axdr
from bijlighar.dlms.apdu_parts import MethodResult
from bijlighar.dlms.cosem import Attribute, Method, Selection, read_selection
from bijlighar.dlms.errors import Malformed, TooLong, Truncated
from bijlighar.dlms.obis import Obis

LIST_ITEMS_MAX = 255


def decode_result_list(octets: bytes) -> tuple[tuple[bytes | None, int | None], ...]:
    """
    Return the list of Get-Data-Results that `octets` is.

    :raises RemoteProtocolError: if it is none.
    """
    count, at = count_of(octets, 0)
    results: list[tuple[bytes | None, int | None]] = []
    for _ in range(count):
        choice = octet(octets, at)
        if choice == 0:
            after = axdr.skip(octets, at + 1)
            results.append((octets[at + 1 : after], None))
            at = after
        elif choice == 1:
            results.append((None, octet(octets, at + 1)))
            at += 2
        else:
            raise Malformed(f"{choice} is not a choice of a result")
    end(octets, at)
    return tuple(results)


def octet(apdu: bytes, at: int) -> int:
    """Return the octet at `at`; :raises Truncated: if it is not there."""
    try:
        return apdu[at]
    except IndexError:
        raise Truncated("a message is cut off") from None


def end(apdu: bytes, at: int) -> None:
    """Check that the APDU ends here."""
    if at < len(apdu):
        raise Malformed(f"{len(apdu) - at} octets are left over after a message")
    if at > len(apdu):
        raise Truncated("a message is cut off")


def word(apdu: bytes, at: int) -> int:
    """Return the four octets at `at` as a number; :raises Truncated: if they are not there."""
    if at + 4 > len(apdu):
        raise Truncated("a message is cut off")
    return int.from_bytes(apdu[at : at + 4], "big")


def attribute(apdu: bytes, at: int) -> Attribute:
    """Return the attribute descriptor at `at` (9 octets); :raises Truncated: if it is cut off."""
    if at + 9 > len(apdu):
        raise Truncated("a message ends inside an attribute's name")
    return Attribute(
        class_id=apdu[at] << 8 | apdu[at + 1], obis=Obis(octets=apdu[at + 2 : at + 8]), index=apdu[at + 8]
    )


def selection(apdu: bytes, at: int) -> tuple[Selection | None, int]:
    """Return the optional selective access at `at`, and where it ends."""
    flag = octet(apdu, at)
    if flag == 0:
        return None, at + 1
    return read_selection(apdu, at + 1)


def value(apdu: bytes, at: int) -> bytes:
    """Return the one value that the rest of the APDU is."""
    end(apdu, axdr.skip(apdu, at))
    return apdu[at:]


def get_data(apdu: bytes, at: int) -> tuple[bytes | None, int | None]:
    """Return the Get-Data-Result that the rest of the APDU is. The decoder of the value checks its inside."""
    choice = octet(apdu, at)
    if choice == 0:
        if at + 1 >= len(apdu):
            raise Truncated("a message is cut off")
        return apdu[at + 1 :], None
    if choice != 1:
        raise Malformed(f"{choice} is not a choice of a result")
    error = octet(apdu, at + 1)
    end(apdu, at + 2)
    return None, error


def raw_block(apdu: bytes, at: int) -> bytes:
    """Return the raw octets of a block, with which the APDU ends."""
    count, at = axdr.read_length(apdu, at)
    end(apdu, at + count)
    return apdu[at:]


def method(apdu: bytes, at: int) -> Method:
    """Return the method descriptor at `at` (9 octets); :raises Truncated: if it is cut off."""
    name = attribute(apdu, at)
    return Method(class_id=name.class_id, obis=name.obis, index=name.index)


def count_of(apdu: bytes, at: int) -> tuple[int, int]:
    """Return the number of items of a list, and where they start; :raises TooLong: if there are too many."""
    count, start = axdr.read_length(apdu, at)
    if count > LIST_ITEMS_MAX:
        raise TooLong(f"a list of {count} items is refused ({LIST_ITEMS_MAX} are allowed)")
    return count, start


def attributes(apdu: bytes, at: int) -> tuple[tuple[tuple[Attribute, Selection | None], ...], int]:
    """Return the list of attributes with selections at `at`, and where it ends."""
    count, at = count_of(apdu, at)
    found: list[tuple[Attribute, Selection | None]] = []
    for _ in range(count):
        name = attribute(apdu, at)
        selected, at = selection(apdu, at + 9)
        found.append((name, selected))
    return tuple(found), at


def methods(apdu: bytes, at: int) -> tuple[tuple[Method, ...], int]:
    """Return the list of methods at `at`, and where it ends."""
    count, at = count_of(apdu, at)
    return tuple(method(apdu, at + 9 * index) for index in range(count)), at + 9 * count


def values(apdu: bytes, at: int) -> tuple[bytes, ...]:
    """Return the list of values with which the octets end."""
    count, at = count_of(apdu, at)
    found: list[bytes] = []
    for _ in range(count):
        after = axdr.skip(apdu, at)
        found.append(apdu[at:after])
        at = after
    end(apdu, at)
    return tuple(found)


def method_result(apdu: bytes, at: int) -> tuple[MethodResult, int]:
    """Return the Action-Response-With-Optional-Data at `at`, and where it ends."""
    result, flag = octet(apdu, at), octet(apdu, at + 1)
    if flag == 0:
        return MethodResult(result), at + 2
    choice = octet(apdu, at + 2)
    if choice == 1:
        return MethodResult(result, error=octet(apdu, at + 3)), at + 4
    if choice != 0:
        raise Malformed(f"{choice} is not a choice of a result")
    after = axdr.skip(apdu, at + 3)
    return MethodResult(result, data=apdu[at + 3 : after]), after


def method_results(apdu: bytes, at: int) -> tuple[MethodResult, ...]:
    """Return the list of Action-Responses-With-Optional-Data with which the octets end."""
    count, at = count_of(apdu, at)
    found: list[MethodResult] = []
    for _ in range(count):
        result, at = method_result(apdu, at)
        found.append(result)
    end(apdu, at)
    return tuple(found)
