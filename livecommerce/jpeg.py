"""Judging a JPEG picture without decoding it: whether it is one, and how large it would become."""

from __future__ import annotations

_START, _END = b"\xff\xd8", b"\xff\xd9"
#: baseline and extended sequential frames. Not the progressive ones: 64 KB hold thousands of scans, each of which makes
#: every viewer's browser go over the whole picture again
_FRAMES = frozenset({0xC0, 0xC1})
#: application data, comments, tables and restart intervals: what may stand before the frame
_BEFORE = frozenset({0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a sequential JPEG picture; ``None`` for anything else (ITU-T T.81, annex B)."""
    if not (data.startswith(_START) and data.endswith(_END)):
        return None
    position = len(_START)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker in _FRAMES:
            height = int.from_bytes(data[position + 5 : position + 7])
            width = int.from_bytes(data[position + 7 : position + 9])
            whole = length >= 11 and position + 2 + length + len(_END) <= len(data)
            return (width, height) if whole and width and height else None
        if marker not in _BEFORE or length < 2:
            return None
        position += 2 + length
    return None
