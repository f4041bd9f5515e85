"""Runs of a frame: made once for a rendering, and from another's where only numbers differ."""

from __future__ import annotations

import pytest

from streams.fanout import Drafts, prepare
from streams.packet import Packet, Rendering, Shift
from tests.streams.receivers import BUFFER, RENDERING, frame


def described(number: int, descriptor: bytes, size: int, *, padding: int = 0) -> Packet:
    packet = Packet(number, 3000 * number, number % 3 == 0, descriptor + bytes((number & 0xFF,)) * size, orientation=1)
    packet.padding = padding
    return packet


@pytest.mark.parametrize("first", [None, Shift(0, 0xFFFFFFFF, 32767, 255)])
@pytest.mark.parametrize("ssrc", [0, 77])
@pytest.mark.parametrize("shift", [None, Shift(7, 0xFFFFF000, 5, 250), Shift(7, 1, 0, 0)])
def test_a_run_made_from_that_of_another_rendering_is_byte_for_byte_what_it_would_be_by_itself(
    first: Shift | None, ssrc: int, shift: Shift | None
) -> None:
    short, long = b"\x90\xf0\x7f\xff\x00", b"\x90\xe0\xff\xfe\xfd\x40"  # picture ids of 7 and of 15 bits
    packets = [described(65534 + index, each, 900) for index, each in enumerate([short, short, long, b"\x10"])]
    packets += [described(65540, long, 890, padding=9), described(65541, b"", 2), described(65542, b"\x90\xe0", 0)]
    mine = Rendering(96, 3, 8192, 16, shift, ssrc)
    drafts: Drafts = {}
    prepare(packets, Rendering(96, 3, 0, 16, first, ssrc), 99, BUFFER, drafts)
    made = prepare(packets, mine, 99, BUFFER, drafts)
    alone = prepare(packets, mine, 99, BUFFER)
    assert [run.template for run in made] == [run.template for run in alone]
    assert [run.sizes for run in made] == [run.sizes for run in alone]
    assert len(drafts) == 1


def test_renderings_whose_plaintexts_differ_in_more_are_made_by_themselves() -> None:
    packets, drafts = frame(100, 500, 500), Drafts()
    for other in ({}, {"payload_type": 97}, {"orientation_id": 4}, {"tag_bytes": 10}, {"ssrc": 5}):
        mine = RENDERING._replace(**other)
        made = prepare(packets, mine, 99, BUFFER, drafts)
        assert [run.template for run in made] == [run.template for run in prepare(packets, mine, 99, BUFFER)]
    assert len(drafts) == 5
