"""gurux-dlms as a peer of `bijlighar bench collect`: whole sessions with simulated meters, for measuring only."""

import datetime
import socket
import time
from importlib.metadata import version

from asking import answer

BLOCK, DAILY = "1.0.99.1.0.255", "1.0.99.2.0.255"
WRAPPER_OCTETS = 8


class Meter:
    """One connection; each packet is sent whole and its answer read whole."""

    def __init__(self, client, host, port):
        self.client = client
        self.socket = socket.create_connection((host, port), timeout=30)

    def ask(self, packets):
        from gurux_dlms import GXByteBuffer, GXReplyData

        reply = GXReplyData()
        for packet in packets if isinstance(packets, list) else [packets]:
            self.exchange(packet, reply, GXByteBuffer)
            while reply.isMoreData():
                self.exchange(self.client.receiverReady(reply), reply, GXByteBuffer)
        if reply.error:
            raise RuntimeError(f"error {reply.error}")
        return reply

    def exchange(self, packet, reply, buffer_of):
        self.socket.sendall(packet)
        octets = buffer_of()
        while True:
            head = self.receive(WRAPPER_OCTETS)
            octets.set(head)
            octets.set(self.receive(int.from_bytes(head[6:8], "big")))
            if self.client.getData(octets, reply, None):
                return

    def receive(self, count):
        octets = b""
        while len(octets) < count:
            part = self.socket.recv(count - len(octets))
            if not part:
                raise RuntimeError("the meter hung up")
            octets += part
        return octets


def session(meter, request):
    from gurux_dlms.enums import Authentication, InterfaceType, Security
    from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSProfileGeneric
    from gurux_dlms.secure import GXDLMSSecureClient

    ends = (True, request["client"], request["server"])
    client = GXDLMSSecureClient(*ends, Authentication.HIGH_GMAC, None, InterfaceType.WRAPPER)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.systemTitle = bytes.fromhex(request["title"])
    client.ciphering.blockCipherKey = bytes.fromhex(meter["ek"])
    client.ciphering.authenticationKey = bytes.fromhex(meter["ak"])
    client.ciphering.invocationCounter = meter["counter"]
    line = Meter(client, meter["host"], meter["port"])
    try:
        client.parseAareResponse(line.ask(client.aarqRequest()).data)
        client.parseApplicationAssociationResponse(line.ask(client.getApplicationAssociationRequest()).data)
        line.ask(client.read(GXDLMSClock(), 2))
        line.ask(client.read(GXDLMSData("0.0.96.15.4.255"), 2))
        start = datetime.datetime.fromisoformat(request["start"])
        end = datetime.datetime.fromisoformat(request["end"])
        rows = []
        for name in (BLOCK, DAILY, request["events"]):
            profile = GXDLMSProfileGeneric(name)
            reply = line.ask(client.readRowsByRange(profile, start, end))
            rows.append(len(reply.value or []))
        line.ask(client.releaseRequest())
    finally:
        line.socket.close()
    return rows


def collect(request):
    meters = request["meters"]
    session(meters[0], request)
    began, rows = time.process_time_ns(), []
    for meter in meters[1:]:
        rows.append(session(meter, request))
    spent = time.process_time_ns() - began
    return {
        "version": version("gurux-dlms"),
        "sessions_per_core_s": len(rows) / (spent / 1e9),
        "rows": rows,
    }


if __name__ == "__main__":
    answer(collect)
