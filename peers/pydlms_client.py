"""pydlms-client as a client of one meter: a program of its own, for tests of interoperability only."""

from datetime import UTC, datetime

from asking import answer, plain, public_session, sessions

TIMEOUT_S = 20


def open_client(session, *, counter):
    from pydlms import DlmsClient, Mechanism, SecurityContext

    keys = session["keys"]
    settings = {}
    if keys is not None:
        settings["security"] = SecurityContext(
            encryption_key=bytes.fromhex(keys["ek"]),
            authentication_key=bytes.fromhex(keys["ak"]),
            client_system_title=bytes.fromhex(session["title"]),
            invocation_counter=counter + 1,
        )
        if session["client"] == 32:
            settings |= {"mechanism": Mechanism.LLS, "password": keys["lls"].encode()}
        else:
            settings["mechanism"] = Mechanism.HLS_GMAC
    return DlmsClient.tcp(
        session["host"],
        session["port"],
        client_sap=session["client"],
        server_logical=session["server"],
        hdlc=session["framing"] == "hdlc",
        timeout=TIMEOUT_S,
        **settings,
    )


def step_value(meter, step):
    from pydlms import CosemDateTime, DlmsData
    from pydlms.apdu import xdlms

    if step[0] == "get":
        _, class_id, obis, attribute = step
        return plain(meter.get(obis, class_id=class_id, attribute=attribute).to_python())
    if step[0] == "rows":
        _, obis, first, last = step
        moments = [CosemDateTime.from_datetime(datetime.fromtimestamp(at, UTC)) for at in (first, last)]
        ends = [DlmsData.octet_string(moment.to_bytes()) for moment in moments]
        return plain([list(row) for row in meter.read_profile(obis, xdlms.range_descriptor(*ends)).rows])
    _, class_id, obis, method = step
    meter.action(obis, class_id, method, DlmsData.int8(0))
    return None


def talk(session, answers):
    counter = 0
    if session.get("counter"):
        learnt = []
        talk(public_session(session), learnt)
        counter = learnt[0]
    with open_client(session, counter=counter) as meter:
        answers.extend(step_value(meter, step) for step in session["steps"])


if __name__ == "__main__":
    answer(sessions(talk))
