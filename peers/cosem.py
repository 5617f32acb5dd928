"""dlms-cosem as a peer of `bijlighar bench`: a program of its own, for measuring only."""

from importlib.metadata import version

from asking import answer, least_us

REQUESTS = 500


def decode(request):
    from dlms_cosem import cosem, enumerations, utils
    from dlms_cosem.protocol import wrappers, xdlms

    ek, ak = bytes.fromhex(request["ek"]), bytes.fromhex(request["ak"])
    frames = [bytes.fromhex(frame) for frame in request["frames"]]
    last = None

    # It knows no glo- tags: it gets the same responses in general-glo-ciphering.
    def read_all():
        nonlocal last
        for frame in frames:
            unit = wrappers.WrapperProtocolDataUnit.from_bytes(frame)
            plain = xdlms.GeneralGlobalCipher.from_bytes(unit.data).to_plain_apdu(ek, ak)
            last = utils.parse_as_dlms_data(xdlms.GetResponseFactory.from_bytes(plain).data)

    decode_us = least_us(read_all, rounds=request["rounds"], per=len(frames))
    clock = cosem.CosemAttribute(
        interface=enumerations.CosemInterface.CLOCK, instance=cosem.Obis(0, 0, 1, 0, 0, 255), attribute=2
    )

    def write_get():
        apdu = xdlms.GetRequestNormal(cosem_attribute=clock).to_bytes()
        header = wrappers.WrapperHeader(
            source_wport=request["client"], destination_wport=request["server"], length=len(apdu)
        )
        return wrappers.WrapperProtocolDataUnit(data=apdu, wrapper_header=header).to_bytes()

    def ask_many():
        for _ in range(REQUESTS):
            write_get()

    return {
        "version": version("dlms-cosem"),
        "decode_us": decode_us,
        "encode_get_us": least_us(ask_many, rounds=request["rounds"], per=REQUESTS),
        "place": len(frames) - 1,
        "rows": [[bytes(row[0]).hex(), *row[1:]] for row in last],
        "get": write_get().hex(),
    }


if __name__ == "__main__":
    answer(decode)
