"""VP8 payload descriptors: read, shifted, and any bytes at all."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from streams import vp8
from streams.codecs import VP8, starts_keyframe

FRAME_TAG = b"\x10\x02\x00"


def keyframe(width: int, height: int) -> bytes:
    return FRAME_TAG + b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"rest"


def descriptor(picture: int | None, base: int | None, *, short: bool = False, key_index: bool = False) -> bytes:
    """A descriptor as aiortc writes it, so that not we ourselves say what is right; ``short`` is of 7 bits."""
    built = VpxPayloadDescriptor(
        partition_start=1,
        partition_id=0,
        picture_id=picture,
        tl0picidx=base,
        tid=(1, 0) if base is not None else None,
        keyidx=3 if key_index else None,
    )
    data = bytes(built)
    if short and picture is not None:
        assert picture < 128
        data = data[:2] + data[3:]
    return data


@pytest.mark.parametrize(("picture", "short"), [(None, False), (0, True), (127, True), (0, False), (0x7FFF, False)])
@pytest.mark.parametrize("base", [None, 0, 255])
@pytest.mark.parametrize("key_index", [False, True])
def test_every_form_is_read(picture: int | None, short: bool, base: int | None, key_index: bool) -> None:
    data = descriptor(picture, base, short=short, key_index=key_index)
    found = vp8.parse(data + keyframe(640, 480))
    assert found is not None
    assert (found.begins, found.size) == (True, len(data))
    assert (found.picture_place > 0, found.picture) == (picture is not None, picture or 0)
    assert found.picture_bits == (0 if picture is None else 7 if short else 15)
    assert (found.base_place > 0, found.base) == (base is not None, base or 0)
    assert vp8.keyframe_size(data + keyframe(640, 480)) == (640, 480)
    assert starts_keyframe(VP8, data + keyframe(640, 480))


@given(
    st.one_of(st.none(), st.integers(0, 0x7FFF)),
    st.one_of(st.none(), st.integers(0, 255)),
    st.integers(0, 0x7FFF),
    st.integers(0, 255),
    st.booleans(),
)
def test_counters_are_shifted_around_their_wraps_and_nothing_else_changes(
    picture: int | None, base: int | None, more: int, more_base: int, short: bool
) -> None:
    short = short and picture is not None and picture < 128
    data = descriptor(picture, base, short=short) + b"the picture"
    found = vp8.parse(data)
    assert found is not None
    shifted = vp8.shifted(data, found, more, more_base)
    assert len(shifted) == len(data)
    assert shifted[found.size :] == b"the picture"
    again, _ = VpxPayloadDescriptor.parse(shifted)
    width = 0x80 if short else 0x8000
    assert again.picture_id == (None if picture is None else (picture + more) % width)
    assert again.tl0picidx == (None if base is None else (base + more_base) % 256)
    assert (again.partition_start, again.tid) == (1, None if base is None else (1, 0))


@given(st.binary(max_size=40), st.integers(0, 0x7FFF), st.integers(0, 255))
def test_any_bytes_are_read_or_refused_and_keep_their_size(data: bytes, more: int, more_base: int) -> None:
    vp8.keyframe_size(data)
    found = vp8.parse(data)
    assert isinstance(vp8.starts_keyframe(data), bool)
    if found is None:
        return
    assert found.size <= len(data)
    shifted = vp8.shifted(data, found, more, more_base)
    assert len(shifted) == len(data)
    assert shifted[found.size :] == data[found.size :]
    assert vp8.shifted(data, found, 0, 0) == data


@pytest.mark.parametrize("cut", range(6))
def test_a_descriptor_cut_short_is_none(cut: int) -> None:
    whole = descriptor(300, 9, key_index=True)
    assert len(whole) == 6
    assert vp8.parse(whole) is not None
    assert vp8.parse(whole[:cut]) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x10",
        b"\x10" + keyframe(640, 480)[:9],
        b"\x00" + keyframe(640, 480),  # not the first packet
        b"\x11" + keyframe(640, 480),  # another partition
        b"\x10\x01" + keyframe(640, 480)[1:],  # the P bit: no keyframe
        b"\x10" + keyframe(640, 480).replace(b"\x9d", b"\x9c"),
        b"\x10" + keyframe(0, 480),
        b"\x10" + keyframe(0xC000, 480),  # scale bits alone
    ],
)
def test_what_is_no_beginning_of_a_keyframe_has_no_size(payload: bytes) -> None:
    assert vp8.keyframe_size(payload) is None
