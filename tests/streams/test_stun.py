"""Binding requests."""

from __future__ import annotations

from aioice import stun as reference
from hypothesis import given
from hypothesis import strategies as st

from streams import stun

PASSWORD = "p" * 24


def request(*, user: str = "ours:theirs", password: str = PASSWORD, use: bool = False) -> bytes:
    message = reference.Message(reference.Method.BINDING, reference.Class.REQUEST)
    message.attributes["USERNAME"] = user
    message.attributes["PRIORITY"] = 1
    if use:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


def test_an_authentic_request_is_recognised() -> None:
    data = request(use=True)
    assert stun.looks_like_request(data)
    assert stun.local_ufrag(data) == "ours"
    found = stun.authenticate(data, PASSWORD)
    assert found is not None
    assert (found.remote_ufrag, found.use_candidate) == ("theirs", True)


def test_the_response_tells_the_address_and_is_authentic() -> None:
    found = stun.authenticate(request(), PASSWORD)
    assert found is not None
    for address in ("192.0.2.9", "::ffff:192.0.2.9"):
        response = reference.parse_message(stun.success(found, (address, 5000), PASSWORD))
        assert response.message_class == reference.Class.RESPONSE
        assert response.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.9", 5000)
        assert response.check_message_integrity(PASSWORD.encode())


def test_an_ipv6_address_is_told_as_such() -> None:
    found = stun.authenticate(request(), PASSWORD)
    assert found is not None
    response = reference.parse_message(stun.success(found, ("2001:db8::7", 5000, 0, 0), PASSWORD))
    assert response.attributes["XOR-MAPPED-ADDRESS"] == ("2001:db8::7", 5000)


def test_what_stands_behind_the_integrity_is_not_believed() -> None:
    data = request()[:-8]  # without FINGERPRINT
    data = data[:2] + (len(data) - 20 + 4).to_bytes(2, "big") + data[4:] + b"\x00\x25\x00\x00"
    found = stun.authenticate(data, PASSWORD)
    assert found is not None
    assert not found.use_candidate


def test_another_password_a_changed_byte_or_no_integrity_is_refused() -> None:
    assert stun.authenticate(request(password="other"), PASSWORD) is None
    data = bytearray(request())
    data[30] ^= 1
    assert stun.authenticate(bytes(data), PASSWORD) is None
    bare = reference.Message(reference.Method.BINDING, reference.Class.REQUEST, attributes={"USERNAME": "ours:theirs"})
    assert stun.authenticate(bytes(bare), PASSWORD) is None


def test_responses_and_other_datagrams_are_no_requests() -> None:
    response = bytes(reference.Message(reference.Method.BINDING, reference.Class.RESPONSE))
    assert not stun.looks_like_request(response)
    assert not stun.looks_like_request(request()[:19])
    assert not stun.looks_like_request(request() + bytes(600))


def test_the_name_is_looked_for_among_the_first_attributes_alone() -> None:
    data = request()
    for others, found in ((8, "ours"), (9, None)):
        assert stun.local_ufrag(data[:20] + b"\x80\x22\x00\x00" * others + data[20:]) == found


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_bytes_are_refused_without_an_exception(data: bytes, keep: int) -> None:
    for each in (data, request()[:keep] + data, request()[:20] + data):
        stun.looks_like_request(each)
        stun.local_ufrag(each)
        stun.authenticate(each, PASSWORD)


def again(data: bytes, address: tuple[object, ...] = ("192.0.2.1", 5000)) -> stun.Check:
    found = stun.authenticate(data, PASSWORD)
    assert found is not None
    return stun.Check(data, found, address, PASSWORD)


def test_a_check_like_the_last_one_gets_the_very_answer_it_would_get_by_itself() -> None:
    check = again(request())
    for address in (("192.0.2.1", 5000), ("::ffff:192.0.2.1", 5000, 0, 0)):
        another = request()
        found = stun.authenticate(another, PASSWORD)
        assert found is not None
        assert check.answer(another) == stun.success(found, address, PASSWORD)


def test_a_check_that_is_forged_or_says_something_else_is_none_like_the_last_one() -> None:
    check = again(request())
    forged = bytearray(request())
    forged[9] ^= 1  # the transaction is covered
    assert check.answer(bytes(forged)) is None
    assert check.answer(request(password="other")) is None
    assert check.answer(stun.request("other", PASSWORD, bytes(12))) is None
    for cut in range(len(request())):
        assert check.answer(request()[:cut]) is None
    assert check.answer(request() + b"more") is None
    assert again(request(), ("2001:db8::7", 5000, 0, 0)).answer(request()) is None
