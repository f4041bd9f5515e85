"""Runs: consecutive packets of one size (the last may be shorter) that one GSO send carries. Pure.

The kernel cuts a ``UDP_SEGMENT`` send every ``stride`` bytes. Chromium cuts a frame into packets that differ by a byte,
so the shorter ones are padded by RTP padding (the P bit) and a frame is one send to each viewer: 5.1 → 2.25 µs CPU for
one packet to one viewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.packet import Packet

#: padding worth its bytes: a send less is worth more than these
MAX_PADDING = 32


def pad_to_runs(packets: Sequence[Packet], *, max_segments: int) -> None:
    """Pad packets that are a little shorter than the largest of their frame; the last stays as it is.

    Only packets that were never sent are touched: the same index must not encrypt two plaintexts.
    """
    for start in range(0, len(packets), max_segments):
        run = packets[start : start + max_segments]
        sizes = [packet.size for packet in run]
        largest = max(sizes)
        if largest == min(sizes):
            continue
        for packet, size in zip(run[:-1], sizes, strict=False):
            if not packet.sent and 0 < largest - size <= MAX_PADDING:
                packet.padding = largest - size
        # The last may be shorter, never longer: nothing to do.


def split_runs(sizes: Sequence[int], *, tag_bytes: int, max_segments: int, max_bytes: int) -> Iterator[range]:
    """Indices of each run: equal sizes, ended by a shorter packet, by the count or by the bytes."""
    first, count = sizes[0] if sizes else 0, len(sizes)
    if 0 < sizes.count(first) == count <= max_segments and count * (first + tag_bytes) <= max_bytes:
        yield range(count)  # as most frames are, once they are padded
        return
    start = 0
    while start < count:
        stride = sizes[start] + tag_bytes
        end = start + 1
        limit = min(count, start + max_segments, start + max_bytes // stride)
        while end < limit and sizes[end] <= sizes[start]:
            end += 1
            if sizes[end - 1] < sizes[start]:
                break
        yield range(start, end)
        start = end
