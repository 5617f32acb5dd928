"""gurux-dlms as a client of one meter: a program of its own, for tests of interoperability only."""

import socket
from datetime import UTC, datetime

from asking import answer, plain, public_session, sessions

TIMEOUT_S = 20


class Line:
    """A connection and gurux's client over it."""

    def __init__(self, session, *, counter):
        from gurux_dlms.enums import Authentication, InterfaceType, Security
        from gurux_dlms.secure import GXDLMSSecureClient

        self.socket = socket.create_connection((session["host"], session["port"]), timeout=TIMEOUT_S)
        self.is_hdlc = session["framing"] == "hdlc"
        keys = session["keys"]
        ways = {16: Authentication.NONE, 32: Authentication.LOW, 48: Authentication.HIGH_GMAC}
        password = keys["lls"] if session["client"] == 32 else None
        kind = InterfaceType.HDLC if self.is_hdlc else InterfaceType.WRAPPER
        ends = (True, session["client"], session["server"])
        self.client = GXDLMSSecureClient(*ends, ways[session["client"]], password, kind)
        if keys is not None:
            ciphering = self.client.ciphering
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.systemTitle = bytes.fromhex(session["title"])
            ciphering.blockCipherKey = bytes.fromhex(keys["ek"])
            ciphering.authenticationKey = bytes.fromhex(keys["ak"])
            ciphering.invocationCounter = counter + 1

    def ask(self, frames):
        """Send the frames of one request and return the whole reply, following its blocks and segments."""
        from gurux_dlms import GXReplyData

        reply = GXReplyData()
        for frame in frames if isinstance(frames, list) else [frames]:
            self._exchange(frame, reply)
            while reply.isMoreData():
                self._exchange(self.client.receiverReady(reply), reply)
        if reply.error:
            raise RuntimeError(f"the meter answers error {reply.error}")
        return reply

    def _exchange(self, frame, reply):
        from gurux_dlms import GXByteBuffer

        self.socket.sendall(bytes(frame))
        received = GXByteBuffer()
        whole = False
        while not whole:
            octets = self.socket.recv(65536)
            if not octets:
                raise ConnectionError("the meter closed the connection")
            received.set(octets)
            whole = self.client.getData(received, reply, None)

    def open(self):
        """Make the link and the association."""
        if self.is_hdlc:
            self.client.parseUAResponse(self.ask(self.client.snrmRequest()).data)
        self.client.parseAareResponse(self.ask(self.client.aarqRequest()).data)
        if self.client.authentication > 1:
            proof = self.ask(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(proof.data)

    def close(self):
        """End the association."""
        self.ask(self.client.releaseRequest())
        if self.is_hdlc:
            self.ask(self.client.disconnectRequest())


def step_value(line, step):
    from gurux_dlms.objects import GXDLMSDisconnectControl, GXDLMSObject, GXDLMSProfileGeneric

    client = line.client
    if step[0] == "get":
        _, class_id, obis, attribute = step
        return plain(line.ask(client.read(GXDLMSObject(class_id, obis), attribute)).value)
    if step[0] == "rows":
        _, obis, first, last = step
        # A moment without an offset would be sent with the offset of this machine.
        ends = [datetime.fromtimestamp(at, UTC) for at in (first, last)]
        profile = GXDLMSProfileGeneric(obis)
        frames = client.read(profile, 3)
        for taken in line.ask(frames).value:
            add_column(profile, taken)
        return plain([list(row) for row in line.ask(client.readRowsByRange(profile, *ends)).value])
    _, _, obis, method = step
    relay = GXDLMSDisconnectControl(obis)
    line.ask(relay.remoteDisconnect(client) if method == 1 else relay.remoteReconnect(client))
    return None


def add_column(profile, taken):
    from gurux_dlms.objects import GXDLMSCaptureObject, GXDLMSObject

    class_id, name, attribute, place = taken
    obis = ".".join(str(octet) for octet in bytes(name))
    profile.captureObjects.append((GXDLMSObject(class_id, obis), GXDLMSCaptureObject(attribute, place)))


def talk(session, answers):
    counter = 0
    if session.get("counter"):
        learnt = []
        talk(public_session(session), learnt)
        counter = learnt[0]
    line = Line(session, counter=counter)
    try:
        line.open()
        answers.extend(step_value(line, step) for step in session["steps"])
        line.close()
    finally:
        line.socket.close()


if __name__ == "__main__":
    answer(sessions(talk))
