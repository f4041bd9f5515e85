"""The exact hooks of aiortc that ``streams/dtls.py`` stands on: this fails first when aiortc moves them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import aiortc
import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

from streams.dtls import DtlsSession, SharedCertificate
from tests.streams.peers import until


def test_aiortc_is_the_version_that_was_looked_at() -> None:
    assert aiortc.__version__.startswith("1.16.")


def test_the_private_parts_have_the_shape_we_use() -> None:
    assert list(inspect.signature(RTCDtlsTransport.__init__).parameters) == ["self", "transport", "certificates"]
    assert list(inspect.signature(RTCDtlsTransport._set_role).parameters) == ["self", "role"]
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    source = inspect.getsource(RTCDtlsTransport)
    for hook in (
        "transport._recv()",
        "transport._send(",
        "_rx_srtp = Session(",
        "_tx_srtp = Session(",
        '"statechange"',
    ):
        assert hook in source
    assert ffi.typeof(Session()._srtp) is ffi.typeof("srtp_t *")
    for function in (lib.srtp_protect, lib.srtp_unprotect, lib.srtp_protect_rtcp, lib.srtp_unprotect_rtcp):
        assert ffi.typeof(function).cname == "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


def pair(fingerprint: Callable[[str], str] = str) -> tuple[DtlsSession, DtlsSession, list[str]]:
    """Two sessions wired to each other; what they told when they closed."""
    certificates = SharedCertificate.generateCertificate(), SharedCertificate.generateCertificate()
    closed: list[str] = []
    ends: list[DtlsSession] = []
    for index in (0, 1):
        ends.append(
            DtlsSession(
                certificates[index],
                client=index == 0,
                fingerprints=(("sha-256", fingerprint(certificates[1 - index].sha256())),),
                send=lambda data, other=1 - index: ends[other].feed(data),
                on_closed=lambda index=index: closed.append("client" if index == 0 else "server"),
            )
        )
    return ends[0], ends[1], closed


async def test_two_ends_agree_on_keys_and_a_goodbye_is_heard() -> None:
    client, server, closed = pair()
    assert await asyncio.gather(client.handshake(), server.handshake()) == [True, True]
    assert client.tag_bytes == server.tag_bytes == 16
    data, length = ffi.new("unsigned char[100]", b"\x80\x60\0\1\0\0\0\0\0\0\0\5payload"), ffi.new("int *", 19)
    assert lib.srtp_protect(client.send_context, data, length) == 0
    assert length[0] == 19 + 16
    assert lib.srtp_unprotect(server.receive_context, data, length) == 0
    assert ffi.buffer(data)[12:19] == b"payload"
    await client.aclose()
    await until("the server heard it", lambda: "server" in closed)
    await server.aclose()
    await server.aclose()


async def test_another_certificate_than_promised_is_refused() -> None:
    client, server, _ = pair(lambda print_: print_[:-2] + ("00" if not print_.endswith("00") else "01"))
    assert await asyncio.gather(client.handshake(), server.handshake()) == [False, False]
    await client.aclose()
    await server.aclose()


def test_all_handshakes_share_one_ssl_context() -> None:
    certificate = SharedCertificate.generateCertificate()
    profiles = RTCDtlsTransport(object(), [certificate])._srtp_profiles
    assert certificate._create_ssl_context(profiles) is certificate._create_ssl_context(profiles)


@pytest.mark.parametrize("datagram", [b"", b"\x16", b"\x16\xfe\xfd" + bytes(40), bytes(range(20, 60))])
async def test_garbage_during_the_handshake_harms_nothing(datagram: bytes) -> None:
    client, server, _ = pair()
    if datagram:
        server.feed(datagram)
    assert await asyncio.gather(client.handshake(), server.handshake()) == [True, True]
    await client.aclose()
    await server.aclose()
