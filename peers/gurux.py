"""gurux-dlms as a peer of `bijlighar bench`: a program of its own, for measuring only."""

from importlib.metadata import version

from asking import answer, least_us

# Its ciphering is pure Python and takes about nine milliseconds, so it is asked for fewer responses.
FRAMES = 20
REQUESTS = 500


def decode(request):
    from gurux_dlms import GXByteBuffer, GXReplyData
    from gurux_dlms.enums import Authentication, InterfaceType, Security
    from gurux_dlms.objects import GXDLMSClock
    from gurux_dlms.secure import GXDLMSSecureClient

    ends = (True, request["client"], request["server"])
    client = GXDLMSSecureClient(*ends, Authentication.HIGH_GMAC, None, InterfaceType.WRAPPER)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.systemTitle = bytes.fromhex(request["client_title"])
    client.ciphering.blockCipherKey = bytes.fromhex(request["ek"])
    client.ciphering.authenticationKey = bytes.fromhex(request["ak"])
    client.settings.sourceSystemTitle = bytes.fromhex(request["meter_title"])
    frames = [bytes.fromhex(frame) for frame in request["frames"][:FRAMES]]
    last = None

    def read_all():
        nonlocal last
        for frame in frames:
            last = GXReplyData()
            client.getData(GXByteBuffer(frame), last, None)

    decode_us = least_us(read_all, rounds=request["rounds"], per=len(frames))
    plain = GXDLMSSecureClient(*ends, Authentication.NONE, None, InterfaceType.WRAPPER)
    clock = GXDLMSClock()
    get = bytes(plain.read(clock, 2)[0])

    def ask_many():
        for _ in range(REQUESTS):
            plain.read(clock, 2)

    return {
        "version": version("gurux-dlms"),
        "decode_us": decode_us,
        "encode_get_us": least_us(ask_many, rounds=request["rounds"], per=REQUESTS),
        "place": len(frames) - 1,
        "rows": [[bytes(row[0]).hex(), *(int(value) for value in list(row)[1:])] for row in last.value],
        "get": get.hex(),
    }


if __name__ == "__main__":
    answer(decode)
