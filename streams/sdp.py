"""Offers, read tolerantly (RFC 8866, RFC 9429): whatever is wrong with one is a :class:`BadSdp`. Pure.

Real clients differ: fingerprints and ICE passwords stand at session or media level, codec names in any case, mids are
words or numbers, video comes before or after audio, ``m=audio 0`` with ``a=bundle-only`` is no rejection. Only the
attributes the relay acts on are looked at. (``aiortc.sdp`` drops ``bundle-only``, fails on unknown ``setup`` values and
costs 1.5 ms for a Chromium offer; this costs 0.2 ms, and half of that where the same browser asked before.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from streams.codecs import Codec, codec_of
from streams.relay_errors import BadSdp

#: browsers' offers have 2 to 7 KB in 40 to 210 lines
MAX_BYTES = 64 * 1024
MAX_LINES = 2000
MAX_SECTIONS = 32
#: certificates that an end may have, each by several digests
MAX_FINGERPRINTS = 16
MAX_FORMATS = 128

TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ORIENTATION = "urn:3gpp:video-orientation"
#: names of sections and layers, as packets carry them until they are heard (RFC 8843 §15, RFC 8852)
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

_EXTENSIONS = frozenset((TRANSPORT_CC, ORIENTATION, MID, RID, REPAIRED_RID, ABS_SEND_TIME))
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
#: attributes that are acted on; others are not kept
_NAMES = frozenset(
    ("bundle-only", "extmap", "extmap-allow-mixed", "fingerprint", "fmtp", "group", "ice-pwd", "ice-ufrag", "mid",
     "rid", "rtcp-fb", "rtcp-rsize", "rtpmap", "setup", "simulcast", *_DIRECTIONS)
)  # fmt: skip
#: lines that each session says of its own; all else is the same in every offer of one browser. What is no attribute
#: is not looked at.
_OWN = re.compile(r"\n(?:(a=(?:ice-ufrag:|ice-pwd:|fingerprint:|ssrc|msid:|candidate:)[^\n]*)|[b-z]=[^\n]*)")
#: lines that begin with white space, or are nothing else
_RAGGED = re.compile(r"\n\s")
_RID = re.compile("[A-Za-z0-9_-]{1,16}", re.ASCII)
#: digests that DTLS certificates are checked by
_DIGESTS = ("sha-256", "sha-384", "sha-512")


class Format(NamedTuple):
    """One payload type of a media section that the relay carries."""

    payload_type: int
    codec: Codec
    #: payload type of its retransmissions, when offered
    rtx: int | None
    #: the offer's own words for name and parameters, to be echoed
    name: str
    parameters: str
    feedback: frozenset[str]


class Section(NamedTuple):
    """One media section of an offer."""

    kind: str
    protocol: str
    #: the m-line's formats as they stood, to be echoed in a refusal
    raw_formats: str
    mid: str
    direction: str
    rejected: bool
    setup: str
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    formats: tuple[Format, ...]
    #: header extension ids by URI
    extensions: dict[str, int]
    reduced_size: bool
    #: names of the layers offered by ``a=simulcast:send``, in its order; empty without simulcast
    rids: tuple[str, ...] = ()


class Offer(NamedTuple):
    """A parsed offer."""

    sections: tuple[Section, ...]
    bundle: tuple[str, ...]
    mixed_extensions: bool


def parse_offer(text: str) -> Offer:
    """The offer; raises BadSdp, and nothing else, when it cannot be used."""
    if len(text) > MAX_BYTES or text.count("\n") + text.count("\r") > 2 * MAX_LINES:
        raise BadSdp("The session description is too large.")
    if not text.startswith("v=0"):
        raise BadSdp("This is no session description: it does not begin with v=0.")
    try:
        return _parse(text)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise BadSdp("The session description could not be read.") from error


def _parse(text: str) -> Offer:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _RAGGED.search(text):
        text = "\n".join(line for each in text.split("\n") if (line := each.strip()))
    session, *blocks = text.split("\nm=")
    if not blocks:
        raise BadSdp("The session description has no media.")
    if len(blocks) > MAX_SECTIONS:
        raise BadSdp("The session description has too many media sections.")
    own, rest = _parted(session)
    shared = _shared(rest)
    prints = _fingerprints(own)
    bundle = next((group.split()[1:] for group in shared.all("group") if group.upper().startswith("BUNDLE")), [])
    sections = [_section(index, block, own, rest, prints) for index, block in enumerate(blocks)]
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise BadSdp("Two media sections have the same mid.")
    return Offer(tuple(sections), tuple(bundle), shared.has("extmap-allow-mixed"))


class _Attributes:
    """The ``a=`` lines of one block."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._values: dict[str, list[str]] = {}
        for line in lines:
            if line.startswith("a="):
                name, _, value = line[2:].partition(":")
                if (name := name.strip().lower()) in _NAMES:
                    self._values.setdefault(name, []).append(value.strip())

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def first(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]

    def has(self, name: str) -> bool:
        return name in self._values


def _parted(block: str) -> tuple[_Attributes, str]:
    """What is a session's own, and the other attributes as they stand: two searches by C, for a line costs 1 µs."""
    return _Attributes(_OWN.findall(block)), _OWN.sub("", block)


@lru_cache(maxsize=64)
def _shared(session: str) -> _Attributes:
    """The session level's attributes but for a session's own."""
    return _Attributes(session.split("\n"))


def _section(
    index: int, block: str, session: _Attributes, session_rest: str, session_prints: tuple[tuple[str, str], ...]
) -> Section:
    mine, rest = _parted(block)
    return _like(index, rest, session_rest)._replace(
        ufrag=mine.first("ice-ufrag") or session.first("ice-ufrag"),
        password=mine.first("ice-pwd") or session.first("ice-pwd"),
        fingerprints=_fingerprints(mine) if mine.has("fingerprint") else session_prints,
    )


def _fingerprints(own: _Attributes) -> tuple[tuple[str, str], ...]:
    pairs = ((name.lower(), value) for name, _, value in (each.partition(" ") for each in own.all("fingerprint")))
    known = dict.fromkeys((name, value) for name, value in pairs if name in _DIGESTS and value)
    return tuple(known)[:MAX_FINGERPRINTS]


# All viewers with one browser offer the same: shared, their offers cost 25 KiB and 0.3 ms less each. What a hostile
# peer can make the cache hold is bounded by its entries and by the size of an offer.
@lru_cache(maxsize=64)
def _like(index: int, block: str, session_rest: str) -> Section:
    """A section but for what is the session's own."""
    media, *lines = block.split("\n")
    kind, port, protocol, raw_formats = media.split(None, 3)
    mine, session = _Attributes(lines), _shared(session_rest)
    # The later of two directions counts, as browsers read it (Firefox's session level says sendrecv).
    directions = [name for name in _DIRECTIONS if mine.has(name)]
    fallback = next((name for name in _DIRECTIONS if session.has(name)), "sendrecv")
    return Section(
        kind=_token(kind.lower()),
        protocol=_token(protocol),
        raw_formats=" ".join(_token(each) for each in raw_formats.split()[:MAX_FORMATS]),
        mid=_token(mine.first("mid", str(index))),
        direction=directions[0] if directions else fallback,
        rejected=int(port.partition("/")[0]) == 0 and not mine.has("bundle-only"),
        setup=(mine.first("setup") or session.first("setup", "actpass")).lower(),
        ufrag="",
        password="",
        fingerprints=(),
        formats=_formats(
            kind.lower(),
            tuple(raw_formats.split()[:MAX_FORMATS]),
            *(tuple(mine.all(name)) for name in ("rtpmap", "fmtp", "rtcp-fb")),
        ),
        extensions=_session_extensions(session_rest) | _extensions(mine.all("extmap")),
        reduced_size=mine.has("rtcp-rsize"),
        rids=_rids(mine.all("rid"), mine.first("simulcast")),
    )


def _token(text: str) -> str:
    """Text that goes back into an answer: one printable word, or the offer is refused."""
    if not text or len(text) > 256 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a token")
    return text


def _rids(declared: list[str], simulcast: str) -> tuple[str, ...]:
    """The layers sent (RFC 8853 §5.1): of alternatives the first; paused ones (``~``) may start later.

    A name that no packet could carry makes the offer unusable (RFC 8852: letters and digits; 16 bytes fit).
    """
    words = simulcast.split()
    if "send" not in words[:-1]:
        return ()
    sent = words[words.index("send") + 1].split(";")
    names = tuple(each.split(",")[0].removeprefix("~") for each in sent[:MAX_FORMATS])
    known = {each.split()[0] for each in declared if each.split()[1:2] == ["send"]}
    for name in names:
        if not (_RID.fullmatch(name) and name in known):
            raise BadSdp("The offer's simulcast names a layer that it does not describe, or by a name none can have.")
    if len(set(names)) != len(names):
        raise BadSdp("The offer names a layer twice.")
    return names if len(names) > 1 else ()


def _formats(
    kind: str, numbers: tuple[str, ...], rtpmap: tuple[str, ...], fmtp: tuple[str, ...], rtcp_fb: tuple[str, ...]
) -> tuple[Format, ...]:
    if kind not in ("audio", "video"):
        return ()
    names = dict(_numbered(rtpmap))
    parameters = dict(_numbered(fmtp))
    feedback: dict[str, set[str]] = {}
    for each in rtcp_fb:
        number, _, what = each.partition(" ")
        feedback.setdefault(number, set()).add(what.strip().lower())
    retransmissions: dict[str, int] = {}
    for number in numbers:
        if names.get(number, "").lower().startswith("rtx/"):
            apt = fmtp_values(parameters.get(number, "")).get("apt", "")
            if 0 <= int(number) <= 127:  # what a packet has room for
                retransmissions.setdefault(apt, int(number))
    formats = []
    for number in numbers:
        name, _, rest = names.get(number, "").partition("/")
        clock = rest.partition("/")[0]
        if not clock.isdigit() or not 0 <= int(number) <= 127:
            continue
        codec = codec_of(kind, name, int(clock), fmtp_values(parameters.get(number, "")))
        if codec is not None:
            wanted = frozenset(feedback.get(number, set()) | feedback.get("*", set()))
            rtx = retransmissions.get(number)
            formats.append(Format(int(number), codec, rtx, _token(name), parameters.get(number, ""), wanted))
    return tuple(formats)


def _numbered(values: Iterable[str]) -> list[tuple[str, str]]:
    """``<number> <text>`` pairs; text that could not be echoed is cut off at the first strange character."""
    pairs = []
    for each in values:
        number, _, text = each.partition(" ")
        if text.isascii() and text.isprintable() and len(text) <= 1024:
            pairs.append((number, text.strip()))
    return pairs


def fmtp_values(text: str) -> dict[str, str]:
    """``a=1;b=2`` as a mapping, names in lower case."""
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def _extensions(values: Iterable[str]) -> dict[str, int]:
    extensions: dict[str, int] = {}
    for each in values:
        number, _, rest = each.partition(" ")
        uri, number = rest.strip().partition(" ")[0], number.partition("/")[0]
        if uri in _EXTENSIONS and number.isdigit() and 1 <= int(number) <= 255 and int(number) != 15:
            extensions.setdefault(uri, int(number))
    return extensions


@lru_cache(maxsize=64)
def _session_extensions(session: str) -> dict[str, int]:
    """What the session level says, for all its sections."""
    return _extensions(_shared(session).all("extmap"))
