"""Rows of viewers: made once, shared by the groups that follow one another, and made anew when a viewer changes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from streams import batch, fanout
from streams.batch import WIDTH
from streams.fanout import FanOut, prepare
from streams.rows import Group
from tests.streams.receivers import BUFFER, RENDERING, Receiver, expected, frame


@pytest.fixture(autouse=True)
def slices_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 10.0)


def test_a_join_makes_the_last_row_anew_and_a_leave_two_at_most(receivers: list[Receiver]) -> None:
    before = Group.of(receivers[: 3 * WIDTH + 2])
    joined = Group.of((*before, receivers[-1]), before)
    assert [row in before.rows for row in joined.rows] == [True, True, True, False]
    left = joined.without(receivers[WIDTH])
    assert set(left) == set(joined) - {receivers[WIDTH]}
    assert [row in joined.rows for row in left.rows] == [True, False, True, False]
    assert left.without(receivers[WIDTH]) is left
    assert [len(each) for each in (before, joined, left)] == [26, 27, 26]


def test_the_last_viewer_leaves_a_group_without_rows(receivers: list[Receiver]) -> None:
    assert not Group.of(receivers[:1]).without(receivers[0])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("refused", [[0], [3, 4], [WIDTH - 1], list(range(WIDTH))])
async def test_who_is_refused_by_libsrtp_goes_without_and_nobody_is_encrypted_for_twice(
    sock: socket.socket, receivers: list[Receiver], refused: list[int], count: int
) -> None:
    fan, group = FanOut(sock, asyncio.get_running_loop()), Group.of(receivers[:WIDTH])
    newer, older = frame(2000, 10), frame(100, *[10] * count)
    unlucky = [group[index] for index in refused]
    fan.send(prepare(newer, RENDERING, 99, BUFFER), unlucky)  # what is older than the window is refused
    fan.send(prepare(older, RENDERING, 99, BUFFER), group)
    for index, viewer in enumerate(receivers[:WIDTH]):
        if index in refused:
            assert (viewer.packets_sent, viewer.packets_dropped) == (1, count)
        else:
            assert (viewer.packets_sent, viewer.packets_dropped) == (count, 0)
            assert viewer.received(count) == expected(older)


async def test_a_row_follows_a_viewer_who_leaves_moves_or_is_sent_to_packet_by_packet(
    sock: socket.socket, receivers: list[Receiver]
) -> None:
    fan, group = FanOut(sock, asyncio.get_running_loop()), Group.of(receivers[:4])
    stays, leaves, moves, narrow = receivers[:4]
    first, second, third = (frame(start, 50, 50) for start in (100, 102, 104))
    fan.send(prepare(first, RENDERING, 99, BUFFER), group)
    elsewhere = Receiver()
    leaves.context, narrow.segmented = None, False
    moves.address, moves.name = elsewhere.address, elsewhere.name
    fan.send(prepare(second, RENDERING, 99, BUFFER), group)
    narrow.segmented = True
    fan.send(prepare(third, RENDERING, 99, BUFFER), group)
    assert stays.received(6) == narrow.received(6) == expected([*first, *second, *third])
    assert leaves.received(2) == moves.received(2) == expected(first)
    assert elsewhere.received(4) == expected([*second, *third])
    assert [viewer.packets_sent for viewer in receivers[:4]] == [6, 2, 6, 6]
    elsewhere.socket.close()


async def test_a_row_serves_packets_of_both_sizes_of_memory(sock: socket.socket, receivers: list[Receiver]) -> None:
    fan, group = FanOut(sock, asyncio.get_running_loop()), Group.of(receivers[:3])
    for first, size in ((100, 400), (102, 1400), (104, 400)):
        packets = frame(first, size, size)
        fan.send(prepare(packets, RENDERING, 99, BUFFER), group)
        for viewer in receivers[:3]:
            assert viewer.received(2) == expected(packets)
    assert batch.UNITS[0] < 1400 < batch.UNITS[1]
