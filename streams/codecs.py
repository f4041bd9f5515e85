"""What the relay has to know about codecs: names, H.264 families, and where a keyframe begins. Pure.

Payload formats: VP8 RFC 7741, H.264 RFC 6184, VP9 RFC 9628, AV1 (AOM, RTP payload format v1.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams import vp8


class Codec(NamedTuple):
    """A codec as far as two ends have to agree on it: the same value means the same packets can be played."""

    kind: str
    #: canonical capitals, as in ``VP8``, ``H264``, ``OPUS``
    name: str
    clock_rate: int
    #: what else must match: ``<family>/<packetization-mode>`` of H.264, ``profile-id`` of VP9, ``profile`` of AV1
    flavour: str = ""


OPUS = Codec("audio", "OPUS", 48000)
VP8 = Codec("video", "VP8", 90000)

#: which video codec an offer is answered with: VP8 first, because Chromium's H.264 sends needless keyframes
VIDEO_PREFERENCE = ("VP8", "H264", "VP9", "AV1")

_H264_FAMILIES = {"42": "baseline", "4d": "main", "58": "extended", "64": "high", "f4": "high444"}


def codec_of(kind: str, name: str, clock_rate: int, parameters: Mapping[str, str]) -> Codec | None:
    """The codec an rtpmap and fmtp describe, or None when the relay does not carry it."""
    name = name.upper()
    if kind == "audio":
        return OPUS if (name, clock_rate) == ("OPUS", 48000) else None
    if kind != "video" or clock_rate != 90000 or name not in VIDEO_PREFERENCE:
        return None
    flavour = ""
    if name == "H264":
        profile = parameters.get("profile-level-id", "42e01f").lower()
        # 42e0xx, 42001f and 42001e are one family: real senders of any are played by receivers of each
        flavour = f"{_H264_FAMILIES.get(profile[:2], profile[:4])}/{parameters.get('packetization-mode', '0')}"
    elif name == "VP9":
        flavour = parameters.get("profile-id", "0")
    elif name == "AV1":
        flavour = parameters.get("profile", "0")
    return Codec(kind, name, clock_rate, flavour)


def starts_keyframe(codec: Codec, payload: bytes) -> bool:
    """Whether this packet is the first of a keyframe (of H.264: carries the parameter sets or starts an IDR)."""
    if not payload:
        return False
    if codec.name == "VP8":
        return vp8.starts_keyframe(payload)
    if codec.name == "H264":
        return _h264_keyframe(payload)
    if codec.name == "VP9":
        # not inter-predicted, begins a frame, lowest spatial layer
        return payload[0] & 0x48 == 0x08 and not (payload[0] & 0x20 and _vp9_spatial(payload))
    return bool(payload[0] & 0x08)  # AV1: N, the first packet of a coded video sequence


def _h264_keyframe(payload: bytes) -> bool:
    kind = payload[0] & 0x1F
    if kind in (5, 7):
        return True
    if kind == 28:  # FU-A
        return len(payload) > 1 and bool(payload[1] & 0x80) and payload[1] & 0x1F in (5, 7)
    if kind == 24:  # STAP-A
        position = 1
        while position + 2 < len(payload):
            if payload[position + 2] & 0x1F in (5, 7):
                return True
            position += 2 + (payload[position] << 8 | payload[position + 1])
    return False


def _vp9_spatial(payload: bytes) -> int:
    position = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            return 0
        position += 2 if payload[1] & 0x80 else 1
    return payload[position] >> 1 & 0x07 if len(payload) > position else 0
