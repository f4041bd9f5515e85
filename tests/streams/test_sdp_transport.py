"""Offers: whose transport counts where sections are bundled, and what a hostile one may cost."""

from __future__ import annotations

import re

import pytest

from streams.answer import choose_publisher, choose_viewer, write
from streams.codecs import VP8
from streams.relay_errors import BadSdp
from streams.sdp import ABS_SEND_TIME, MAX_FINGERPRINTS, MID, ORIENTATION, REPAIRED_RID, RID, TRANSPORT_CC, parse_offer
from tests.streams.test_sdp import CHROMIUM, LOCAL, check_answer

GSTREAMER = """v=0
o=- 7019 0 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-options:trickle
a=group:BUNDLE video0 audio1
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=setup:actpass
a=ice-ufrag:PictureHasThisOfItsOwnThirtyTwoC
a=ice-pwd:PictureHasThisPasswordThirtyTwoC
a=sendonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 transport-cc
a=framerate:30
a=fmtp:96 packetization-mode=1;profile-level-id=42c01f;sprop-parameter-sets=Z0LAH9oBQBbsBagICAg=,aM48gA==
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=mid:video0
a=fingerprint:sha-256 AA:BB
m=audio 9 UDP/TLS/RTP/SAVPF 98
c=IN IP4 0.0.0.0
a=setup:actpass
a=ice-ufrag:SoundHasAnotherOneOfThirtyTwoCha
a=ice-pwd:SoundHasAnotherOneOfThirtyTwoChaa
a=sendonly
a=rtcp-mux
a=rtpmap:98 OPUS/48000/2
a=mid:audio1
a=fingerprint:sha-256 AA:BB
"""


@pytest.mark.parametrize("order", ["video0 audio1", "audio1 video0"])
def test_gstreamer_s_sections_have_credentials_of_their_own_and_the_first_that_is_bundled_counts(order: str) -> None:
    offer = parse_offer(GSTREAMER.replace("BUNDLE video0 audio1", f"BUNDLE {order}"))
    chosen = choose_publisher(offer)
    answer = write(offer, chosen, LOCAL, 1, senders={})
    check_answer(GSTREAMER, answer)
    assert f"a=group:BUNDLE {order}\r\n" in answer
    whose = "Picture" if order.startswith("video") else "Sound"
    for each in chosen.values():
        assert each.section.ufrag.startswith(whose)
        assert each.section.password.startswith(whose)
    with pytest.raises(BadSdp, match="BUNDLE"):
        choose_publisher(parse_offer(GSTREAMER.replace("a=group:BUNDLE video0 audio1\n", "")))
    with pytest.raises(BadSdp, match="BUNDLE"):
        choose_publisher(parse_offer(GSTREAMER.replace("BUNDLE video0 audio1", "BUNDLE video0")))


def test_what_is_refused_lends_nobody_its_transport() -> None:
    viewing = GSTREAMER.replace("sendonly", "recvonly")
    offer = parse_offer(viewing)
    chosen = choose_viewer(offer, {"video": VP8})  # which it cannot play
    assert set(chosen) == {"audio"}
    assert chosen["audio"].section.ufrag.startswith("Sound")


def test_a_bundle_only_section_needs_no_transport_of_its_own() -> None:
    """RFC 8843 §7.2.2: what all sections share stands in one of them."""
    *rest, sound = GSTREAMER.partition("m=audio 9")
    for own in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
        sound = re.sub(rf"a={own}:.*\n", "", sound)
    chosen = choose_publisher(parse_offer("".join(rest).replace("m=audio 9", "m=audio 0") + sound + "a=bundle-only\n"))
    assert chosen["audio"].section.fingerprints == (("sha-256", "AA:BB"),)
    assert set(chosen) == {"audio", "video"}


def test_of_a_hostile_offer_little_is_kept_and_what_all_sections_share_is_read_once() -> None:
    many = "".join(
        f"a=extmap:{1 + number % 14} urn:{number}\r\na=fingerprint:sha-256 {number:X}\r\n" for number in range(800)
    )
    offer = parse_offer(CHROMIUM.replace("\r\nm=", f"\r\n{many}m=", 1) + many.split("\r\n", 9)[0] + "\r\n")
    assert all(
        set(each.extensions) <= {TRANSPORT_CC, ORIENTATION, MID, RID, REPAIRED_RID, ABS_SEND_TIME}
        for each in offer.sections
    )
    assert all(len(each.fingerprints) <= MAX_FINGERPRINTS for each in offer.sections)


@pytest.mark.parametrize("number", [128, 300, 70000])
def test_a_number_that_no_packet_has_room_for_is_no_payload_type(number: int) -> None:
    section = (
        "m=video 9 UDP/TLS/RTP/SAVPF 96 {0}\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:{0} rtx/90000\r\na=fmtp:{0} apt=96\r\n"
    )
    formats = [parse_offer("v=0\r\n" + section.format(each)).sections[0].formats[0].rtx for each in (127, number)]
    assert formats == [127, None]
