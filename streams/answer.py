"""Answers to WHIP and WHEP offers: which media, which payload types, and the text (RFC 9725, RFC 9429). Pure.

Chromium rejects answers without rtcp-mux or the RTX apt fmtp, and plays nothing without BUNDLE, setup and candidates.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from streams.codecs import VIDEO_PREFERENCE, Codec
from streams.layers import MAX_LAYERS
from streams.relay_errors import BadSdp
from streams.sdp import (
    ABS_SEND_TIME,
    MID,
    ORIENTATION,
    REPAIRED_RID,
    RID,
    TRANSPORT_CC,
    Format,
    Offer,
    Section,
)

_VIDEO_FEEDBACK = ("ccm fir", "nack", "nack pli")


class Local(NamedTuple):
    """Our end of a session."""

    ufrag: str
    password: str
    #: SHA-256, as SDP writes it
    fingerprint: str
    #: addresses told to the peer, the preferred one first
    addresses: tuple[str, ...]
    port: int


class Chosen(NamedTuple):
    """One accepted media section."""

    section: Section
    formats: tuple[Format, ...]
    #: ids of the header extensions agreed, by URI
    extensions: dict[str, int]
    #: the layers that a publisher may send, by their names; empty without simulcast
    rids: tuple[str, ...] = ()


class Sender(NamedTuple):
    """What a viewer is told about an outgoing track."""

    ssrc: int
    rtx_ssrc: int
    cname: str
    stream: str


def choose_publisher(offer: Offer) -> dict[str, Chosen]:
    """The sections a publisher's offer is answered with, by kind: one codec each."""
    chosen: dict[str, Chosen] = {}
    for section in offer.sections:
        if not _usable(section, ("sendonly", "sendrecv")) or section.kind in chosen:
            continue
        best = sorted(section.formats, key=_preference)[:1]
        if best:
            wanted = [TRANSPORT_CC, ORIENTATION] if section.kind == "video" else [TRANSPORT_CC]
            if "transport-cc" not in best[0].feedback:
                wanted.remove(TRANSPORT_CC)
            if TRANSPORT_CC not in wanted or TRANSPORT_CC not in section.extensions:
                wanted.append(ABS_SEND_TIME)
            rids = _layers(section, best[0])
            if rids:
                wanted += [MID, RID, REPAIRED_RID]
            chosen[section.kind] = Chosen(section, tuple(best), _agreed(section, wanted), rids)
    if "video" not in chosen:
        raise BadSdp("The offer sends no video that can be relayed (VP8, H264, VP9 or AV1).")
    return _bundled(offer, chosen)


def _layers(section: Section, best: Format) -> tuple[str, ...]:
    """The layers taken: of VP8, whose numbers can be continued over a change, and only if packets can name them."""
    if best.codec.name != "VP8" or not 0 < section.extensions.get(RID, 0) < 15:
        return ()
    return section.rids[-MAX_LAYERS:]


def choose_viewer(offer: Offer, playing: dict[str, Codec]) -> dict[str, Chosen]:
    """The sections a viewer's offer is answered with, by kind, the codec that is playing first.

    All codecs the viewer can play are agreed, so that it keeps playing when the host returns with another one. A
    viewer that cannot play what is playing is refused that section and keeps the other.
    """
    chosen: dict[str, Chosen] = {}
    for section in offer.sections:
        if not _usable(section, ("recvonly", "sendrecv")) or section.kind in chosen:
            continue
        now = playing.get(section.kind)
        formats: dict[Codec, Format] = {}
        for each in sorted(section.formats, key=_preference):
            formats.setdefault(each.codec, each)
        if not formats or (now is not None and now not in formats):
            continue
        ordered = sorted(formats.values(), key=lambda each: each.codec != now)
        chosen[section.kind] = Chosen(section, tuple(ordered), _agreed(section, [ORIENTATION]))
    if not chosen:
        raise BadSdp("The offer can receive nothing that this stream sends.")
    return _bundled(offer, chosen)


def _usable(section: Section, directions: tuple[str, ...]) -> bool:
    return section.kind in ("audio", "video") and not section.rejected and section.direction in directions


def _preference(each: Format) -> int:
    return VIDEO_PREFERENCE.index(each.codec.name) if each.codec.kind == "video" else 0


def _agreed(section: Section, wanted: Sequence[str]) -> dict[str, int]:
    # Ids above 14 need the two-byte form, which nobody sends for these.
    return {uri: section.extensions[uri] for uri in wanted if section.extensions.get(uri, 15) < 15}


def _bundled(offer: Offer, chosen: dict[str, Chosen]) -> dict[str, Chosen]:
    """One transport for all: that of the first accepted section that the offer bundles (RFC 8843 §7.3.1).

    GStreamer gives each section credentials of its own; one that is bundle-only need not have any.
    """
    sections = {each.section.mid: each.section for each in chosen.values()}
    if set(sections) <= set(offer.bundle):
        tagged = next(sections[mid] for mid in offer.bundle if mid in sections)
        chosen = {kind: each._replace(section=_moved(each.section, tagged)) for kind, each in chosen.items()}
    _check(chosen)
    return chosen


def _moved(section: Section, tagged: Section) -> Section:
    return section._replace(
        ufrag=tagged.ufrag, password=tagged.password, fingerprints=tagged.fingerprints, setup=tagged.setup
    )


def _check(chosen: dict[str, Chosen]) -> None:
    for each in chosen.values():
        section = each.section
        if not (4 <= len(section.ufrag) <= 256 and 22 <= len(section.password) <= 256):
            raise BadSdp("The offer has no usable ICE user fragment and password.")
        if not section.fingerprints:
            raise BadSdp("The offer has no certificate fingerprint.")
        if section.setup not in ("actpass", "active", "passive"):
            raise BadSdp("The offer's setup attribute has to be actpass, active or passive.")
    if len({each.section.ufrag for each in chosen.values()}) > 1:
        raise BadSdp("All media has to share one transport (BUNDLE).")


def is_dtls_client(setup: str) -> bool:
    """Whether we open the handshake: only where the offer insists on being passive (FFmpeg's does)."""
    return setup == "passive"


def candidate_lines(local: Local) -> list[str]:
    """Our candidates, all of them: the relay gathers nothing later."""
    return list(_candidates(local.addresses, local.port))


@lru_cache(maxsize=16)
def _candidates(addresses: tuple[str, ...], port: int) -> tuple[str, ...]:
    lines = []
    for index, address in enumerate(addresses):
        # type preference of host candidates 126, the first address preferred (RFC 8445 §5.1.2)
        priority = (126 << 24) | ((65535 - index) << 8) | 255
        lines.append(f"a=candidate:{index + 1} 1 udp {priority} {address} {port} typ host")
    return (*lines, "a=end-of-candidates")


def write(offer: Offer, chosen: dict[str, Chosen], local: Local, session: int, *, senders: dict[str, Sender]) -> str:
    """The answer's text; ``senders`` are the outgoing tracks by kind, empty for a publisher."""
    accepted = {each.section.mid: each for each in chosen.values()}
    # The section whose transport counts stands first, as in the offer.
    mids = [mid for mid in dict.fromkeys((*offer.bundle, *(each.mid for each in offer.sections))) if mid in accepted]
    lines = ["v=0", f"o=- {session} 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    if offer.mixed_extensions:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic: WMS *")
    for section in offer.sections:
        if section.mid in accepted:
            lines += _accepted(accepted[section.mid], local, senders.get(section.kind), sending=bool(senders))
        else:
            lines += [f"m={section.kind} 0 {section.protocol} {section.raw_formats}", "c=IN IP4 0.0.0.0"]
            lines += ["a=inactive", f"a=mid:{section.mid}"]
    return "\r\n".join(lines) + "\r\n"


def _accepted(each: Chosen, local: Local, sender: Sender | None, *, sending: bool) -> list[str]:
    section = each.section
    numbers = [n for f in each.formats for n in (f.payload_type, f.rtx) if n is not None]
    address = local.addresses[0]
    version = ipaddress.ip_address(address).version
    setup = "active" if is_dtls_client(section.setup) else "passive"
    lines = [
        f"m={section.kind} {local.port} {section.protocol} {' '.join(map(str, numbers))}",
        f"c=IN IP{version} {address}",
        f"a=rtcp:{local.port} IN IP{version} {address}",
        *candidate_lines(local),
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
        f"a=mid:{section.mid}",
        *(f"a=extmap:{number} {uri}" for uri, number in each.extensions.items()),
        "a=sendonly" if sending else "a=recvonly",
        "a=rtcp-mux",
    ]
    if section.reduced_size:
        lines.append("a=rtcp-rsize")
    if each.rids:
        lines += [f"a=rid:{rid} recv" for rid in each.rids]
        lines.append(f"a=simulcast:recv {';'.join(each.rids)}")
    lines += _formats_lines(each.formats, TRANSPORT_CC in each.extensions, sending)
    if sender is not None:
        lines.append(f"a=msid:{sender.stream} {section.kind}")
        with_rtx = any(form.rtx is not None for form in each.formats)
        if with_rtx:
            lines.append(f"a=ssrc-group:FID {sender.ssrc} {sender.rtx_ssrc}")
        for ssrc in (sender.ssrc, sender.rtx_ssrc) if with_rtx else (sender.ssrc,):
            lines.append(f"a=ssrc:{ssrc} cname:{sender.cname}")
            lines.append(f"a=ssrc:{ssrc} msid:{sender.stream} {section.kind}")
    return lines


# The same for all viewers with one browser, whose formats come from one parsed offer: 60 µs of 7 formats.
@lru_cache(maxsize=64)
def _formats_lines(formats: tuple[Format, ...], transport_cc: bool, sending: bool) -> tuple[str, ...]:
    return tuple(line for form in formats for line in _format_lines(form, transport_cc=transport_cc, sending=sending))


def _format_lines(form: Format, *, transport_cc: bool, sending: bool) -> list[str]:
    number = form.payload_type
    channels = "/2" if form.codec.kind == "audio" else ""
    lines = [f"a=rtpmap:{number} {form.name}/{form.codec.clock_rate}{channels}"]
    feedback = [what for what in _VIDEO_FEEDBACK if what in form.feedback] if form.codec.kind == "video" else []
    if not sending and transport_cc:
        feedback.append("transport-cc")
    elif not sending and "goog-remb" in form.feedback:
        feedback.append("goog-remb")
    lines += [f"a=rtcp-fb:{number} {what}" for what in feedback]
    if form.parameters:
        lines.append(f"a=fmtp:{number} {form.parameters}")
    if form.rtx is not None:
        lines += [f"a=rtpmap:{form.rtx} rtx/{form.codec.clock_rate}", f"a=fmtp:{form.rtx} apt={number}"]
    return lines
