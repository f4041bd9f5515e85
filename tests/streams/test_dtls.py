"""The exact hooks that ``streams/dtls.py`` stands on (this fails first when they move), and whole handshakes."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import aiortc
import pytest
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from streams import dtls
from streams.dtls import PROFILES, DtlsSession, SharedCertificate, srtp_session
from streams.goodbye import split_records
from streams.srtp import ReceiveBuffer, SendBuffer


def test_aiortc_is_the_version_that_was_looked_at() -> None:
    assert aiortc.__version__.startswith("1.16.")


def test_the_private_parts_have_the_shape_we_use() -> None:
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    assert list(inspect.signature(SRTPProtectionProfile.get_key_and_salt).parameters) == ["self", "src", "idx"]
    assert [each.openssl_profile for each in PROFILES] == [
        b"SRTP_AEAD_AES_128_GCM",
        b"SRTP_AEAD_AES_256_GCM",
        b"SRTP_AES128_CM_SHA1_80",
    ]
    fields = [name for name, _ in ffi.typeof("srtp_policy_t").fields]
    assert fields == ["ssrc", "rtp", "rtcp", "key", "window_size", "allow_repeat_tx"]
    for function in (lib.srtp_protect, lib.srtp_unprotect, lib.srtp_protect_rtcp, lib.srtp_unprotect_rtcp):
        assert ffi.typeof(function).cname == "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.openssl_profile.decode())
def test_our_sessions_understand_pylibsrtp_s_own(profile: SRTPProtectionProfile) -> None:
    key = bytes(range(profile.key_length + profile.salt_length))
    number = profile.libsrtp_profile
    ours = srtp_session(key, number, outbound=True), srtp_session(key, number, outbound=False)
    theirs = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=number))
    other = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=number))
    sent, received = SendBuffer(), ReceiveBuffer()
    packet = bytes.fromhex("80600001000000010000000a") + b"payload"
    encrypted = sent.encrypt(ours[0].context, packet)
    assert encrypted is not None
    assert theirs.unprotect(bytes(encrypted)) == packet
    data = other.protect(packet)
    received.view[: len(data)] = data
    size = received.unprotect(ours[1].context, len(data))
    assert bytes(received.view[:size]) == packet
    received.view[: len(data)] = data
    assert received.unprotect(ours[1].context, len(data)) == -1, "a replay"


def test_a_session_begins_where_the_last_one_s_key_has_been_forgotten() -> None:
    number = PROFILES[0].libsrtp_profile
    with pytest.raises(ValueError, match="too short"):
        srtp_session(bytes(27), number, outbound=True)
    packet = bytes.fromhex("80600001000000010000000a") + b"payload"
    first, second = (srtp_session(bytes([byte]) * 28, number, outbound=True) for byte in (1, 2))
    encrypted = [bytes(SendBuffer().encrypt(each.context, packet) or b"") for each in (first, second)]
    assert encrypted[0] != encrypted[1]
    check = Session(Policy(key=bytes([1]) * 28, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=number))
    with pytest.raises(Error):
        check.unprotect(encrypted[1])
    assert check.unprotect(encrypted[0]) == packet


class Pair:
    """Two sessions whose datagrams wait until they are carried over; ``lose`` drops some."""

    def __init__(self, fingerprint: Callable[[str], str] = str) -> None:
        self.certificates = SharedCertificate.generateCertificate(), SharedCertificate.generateCertificate()
        self.wires: tuple[list[bytes], list[bytes]] = ([], [])
        self.told: list[str] = []
        self.client, self.server = (
            DtlsSession(
                self.certificates[index],
                client=index == 0,
                fingerprints=(("sha-256", fingerprint(self.certificates[1 - index].sha256())),),
                send=self.wires[index].append,
                on_connected=lambda index=index: self.told.append(f"{'client' if index == 0 else 'server'} connected"),
                on_closed=lambda index=index: self.told.append(f"{'client' if index == 0 else 'server'} closed"),
            )
            for index in (0, 1)
        )

    def carry(self, lose: Callable[[bytes], bool] = lambda _: False) -> None:
        """Carry datagrams both ways until there are none."""
        self.client.start()
        while any(self.wires):
            for wire, end in zip(self.wires, (self.server, self.client), strict=True):
                waiting, wire[:] = list(wire), []
                for datagram in waiting:
                    if not lose(datagram):
                        end.feed(datagram)


def test_two_ends_agree_on_keys() -> None:
    pair = Pair()
    pair.carry()
    assert sorted(pair.told) == ["client connected", "server connected"]
    packet = bytes([0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7]) + b"payload"
    for one, other in ((pair.client, pair.server), (pair.server, pair.client)):
        encrypted = SendBuffer().encrypt(one.send_context, packet)
        assert encrypted is not None
        received = ReceiveBuffer()
        received.view[: len(encrypted)] = encrypted
        assert received.unprotect(other.receive_context, len(encrypted)) == len(packet)
        assert bytes(received.view[: len(packet)]) == packet
    assert pair.server.tag_bytes == 16


@pytest.mark.parametrize("light", [(), ("client",), ("server",), ("client", "server")], ids=str)
@pytest.mark.parametrize("leaver", ["client", "server"])
def test_a_goodbye_is_heard_with_and_without_openssl_at_either_end(leaver: str, light: tuple[str, ...]) -> None:
    pair = Pair()
    pair.carry()
    for name in light:
        getattr(pair, name).lighten()
        assert getattr(pair, name).light
    stayer = pair.server if leaver == "client" else pair.client
    getattr(pair, leaver).close()
    assert len(pair.wires[0] + pair.wires[1]) == 1
    pair.carry()
    assert stayer.closed
    assert pair.told[2:] == [f"{'server' if leaver == 'client' else 'client'} closed"]
    getattr(pair, leaver).close()
    assert not any(pair.wires)


def test_what_a_peer_says_is_thrown_away_and_its_goodbye_heard_after_it() -> None:
    pair = Pair()
    pair.carry()
    chatter = pair.client._connection
    assert chatter is not None
    records = []
    for _ in range(30):
        chatter.send(b"x")
        records.append(chatter.bio_read(4096))
    pair.server.feed(b"".join(records))
    pair.client.close()
    pair.carry()
    assert pair.server.closed


def test_a_forged_goodbye_is_not_heard() -> None:
    pair = Pair()
    pair.carry()
    pair.server.lighten()
    pair.client.close()
    genuine = pair.wires[0].pop()
    for position in (0, 5, 13, 22, len(genuine) - 1):
        forged = bytearray(genuine)
        forged[position] ^= 1
        pair.server.feed(bytes(forged))
    for size in range(len(genuine)):
        pair.server.feed(genuine[:size])
    assert not pair.server.closed
    pair.server.feed(genuine)
    assert pair.server.closed


def test_another_certificate_than_promised_is_refused() -> None:
    pair = Pair(lambda print_: print_[:-2] + ("00" if not print_.endswith("00") else "01"))
    pair.carry()
    assert "server closed" in pair.told
    assert pair.server.send_context is None
    assert pair.client.send_context is None


def test_of_several_certificates_any_will_do_but_by_every_digest() -> None:
    """RFC 8122 §5: an end may promise several, each by several digests."""
    other, forged = ("sha-256", "AB:CD"), ("sha-512", "AB:CD")
    for more, told in (((), "connected"), ((other,), "connected"), ((other, forged), "closed")):
        pair = Pair()
        pair.server._fingerprints = (*more, *pair.server._fingerprints)
        pair.carry()
        assert f"server {told}" in pair.told


def test_a_lost_flight_is_sent_again_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    lost: list[bytes] = []
    pair.carry(lose=lambda datagram: not lost and not lost.append(datagram))  # type: ignore[func-returns-value]
    assert pair.told == []
    pair.client.tick()
    assert not any(pair.wires)
    monkeypatch.setattr(SSL.Connection, "DTLSv1_get_timeout", lambda self: 0.0)
    handled: list[bool] = []
    monkeypatch.setattr(SSL.Connection, "DTLSv1_handle_timeout", lambda self: handled.append(True))
    pair.client.tick()
    assert handled == [True]


def test_all_handshakes_share_one_ssl_context() -> None:
    certificate = SharedCertificate.generateCertificate()
    assert certificate.context() is certificate.context()


@pytest.mark.parametrize("datagram", [b"", b"\x16", b"\x16\xfe\xfd" + bytes(40), bytes(range(20, 60))])
def test_garbage_during_and_after_the_handshake_harms_nothing(datagram: bytes) -> None:
    pair = Pair()
    pair.server.feed(datagram)
    pair.carry()
    assert sorted(pair.told) == ["client connected", "server connected"]
    pair.server.feed(datagram)
    pair.server.lighten()
    pair.server.feed(datagram)
    assert not pair.server.closed


def test_a_flight_is_cut_between_records_never_within() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    flight = [record(500), record(500), record(500), record(1300), record(10)]
    assert split_records(b"".join(flight), dtls.MAX_FLIGHT_BYTES) == [
        flight[0] + flight[1],
        flight[2],
        flight[3],
        flight[4],
    ]
    assert split_records(b"", 1200) == []


def test_a_session_of_each_profile_can_be_made() -> None:
    for profile in PROFILES:
        key = bytes(profile.key_length + profile.salt_length)
        assert srtp_session(key, profile.libsrtp_profile, outbound=True)
