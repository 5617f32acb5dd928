"""dlms-cosem as a client of one meter: a program of its own, for tests of interoperability only."""

from datetime import UTC, datetime

from asking import answer, plain, public_session, sessions

TIMEOUT_S = 20


def open_client(session, *, counter):
    from dlms_cosem import client, io, security

    keys = session["keys"]
    line = io.BlockingTcpIO(host=session["host"], port=session["port"], timeout=TIMEOUT_S)
    transports = {"wrapper": io.TcpTransport, "hdlc": io.HdlcTransport}
    transport = transports[session["framing"]](
        client_logical_address=session["client"], server_logical_address=session["server"], io=line
    )
    if keys is None:
        return client.DlmsClient(transport=transport, authentication=security.NoSecurityAuthentication())
    proof = (
        security.LowLevelSecurityAuthentication(secret=keys["lls"].encode())
        if session["client"] == 32
        else security.HighLevelSecurityGmacAuthentication()
    )
    return client.DlmsClient(
        transport=transport,
        authentication=proof,
        encryption_key=bytes.fromhex(keys["ek"]),
        authentication_key=bytes.fromhex(keys["ak"]),
        client_system_title=bytes.fromhex(session["title"]),
        client_initial_invocation_counter=counter + 1,
    )


def step_value(meter, step):
    from dlms_cosem import cosem, enumerations, utils
    from dlms_cosem.cosem import selective_access

    def attribute_of(class_id, obis, index):
        return cosem.CosemAttribute(enumerations.CosemInterface(class_id), name_of(obis), index)

    def name_of(obis):
        return cosem.Obis(*(int(part) for part in obis.split(".")))

    if step[0] == "get":
        return plain(utils.parse_as_dlms_data(meter.get(attribute_of(*step[1:]))))
    if step[0] == "rows":
        _, obis, first, last = step
        clock = selective_access.CaptureObject(attribute_of(8, "0.0.1.0.0.255", 2))
        ends = [datetime.fromtimestamp(at, UTC) for at in (first, last)]
        chosen = selective_access.RangeDescriptor(clock, *ends)
        return plain(utils.parse_as_dlms_data(meter.get(attribute_of(7, obis, 2), access_descriptor=chosen)))
    _, class_id, obis, method = step
    kind = enumerations.CosemInterface(class_id)
    meter.action(cosem.CosemMethod(kind, name_of(obis), method), b"\x0f\x00")
    return None


def talk(session, answers):
    counter = 0
    if session.get("counter"):
        learnt = []
        talk(public_session(session), learnt)
        counter = learnt[0]
    with open_client(session, counter=counter).session() as meter:
        answers.extend(step_value(meter, step) for step in session["steps"])


if __name__ == "__main__":
    answer(sessions(talk))
