"""Offers of real clients, answers they accept, and anything else: BadSdp, never another exception."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from streams.answer import Local, Sender, choose_publisher, choose_viewer, write
from streams.codecs import VP8, Codec
from streams.relay_errors import BadSdp
from streams.sdp import (
    ABS_SEND_TIME,
    MAX_BYTES,
    MAX_LINES,
    MID,
    ORIENTATION,
    REPAIRED_RID,
    RID,
    TRANSPORT_CC,
    Offer,
    parse_offer,
)
from tests.streams.conftest import OFFERS

LOCAL = Local("ufragufrag", "p" * 24, "AA:BB", ("192.0.2.1", "127.0.0.1"), 4000)
SENDERS = {"audio": Sender(11, 12, "name", "live"), "video": Sender(21, 22, "name", "live")}
H264 = Codec("video", "H264", 90000, "baseline/1")


def text(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


def names(pattern: str) -> list[str]:
    return sorted(path.stem for path in OFFERS.glob(pattern))


def publisher_answer(name: str) -> str:
    offer = parse_offer(text(name))
    return write(offer, choose_publisher(offer), LOCAL, 1, senders={})


def viewer_answer(name: str, playing: dict[str, Codec] | None = None) -> str:
    offer = parse_offer(text(name))
    return write(offer, choose_viewer(offer, playing or {}), LOCAL, 1, senders=SENDERS)


def check_answer(offer: str, answer: str) -> SessionDescription:
    """What every client insists on."""
    parsed = SessionDescription.parse(answer)
    asked = [line.split()[0] for line in offer.splitlines() if line.startswith("m=")]
    assert [line.split()[0] for line in answer.splitlines() if line.startswith("m=")] == asked
    assert "a=ice-lite" in answer
    (bundle,) = parsed.group
    for media in parsed.media:
        if media.port == 0:
            assert media.rtp.muxId not in bundle.items
            continue
        assert media.rtp.muxId in bundle.items
        assert media.rtcp_mux
        assert len(media.ice_candidates) == 2
        assert media.ice_candidates_complete
        for codec in media.rtp.codecs:
            if codec.name == "rtx":
                assert codec.parameters["apt"] in [each.payloadType for each in media.rtp.codecs]
    return parsed


@pytest.mark.parametrize("name", names("publish-*"))
def test_every_real_publisher_gets_video_and_sound_of_one_codec_each(name: str) -> None:
    parsed = check_answer(text(name), publisher_answer(name))
    media = {each.kind: each for each in parsed.media}
    assert {each.direction for each in parsed.media} == {"recvonly"}
    video = [codec.name for codec in media["video"].rtp.codecs if codec.name != "rtx"]
    assert video == (["H264"] if name in ("publish-ffmpeg-8.1-whip", "publish-aiortc-1.16-h264") else ["VP8"])
    assert [codec.name.lower() for codec in media["audio"].rtp.codecs] == ["opus"]


@pytest.mark.parametrize("name", names("view-*"))
@pytest.mark.parametrize("playing", [{}, {"video": VP8}, {"video": H264}], ids=["nothing yet", "VP8", "H264"])
def test_every_real_viewer_gets_what_plays_and_what_else_it_can_play(name: str, playing: dict[str, Codec]) -> None:
    answer = viewer_answer(name, playing)
    parsed = check_answer(text(name), answer)
    video = next(each for each in parsed.media if each.kind == "video")
    codecs = [codec.name for codec in video.rtp.codecs if codec.name != "rtx"]
    if playing == {"video": H264} and "H264" not in text(name):  # Firefox without its H.264 plug-in
        assert video.port == 0
        return
    assert codecs[0] == (playing["video"].name if playing else "VP8")
    assert video.direction == "sendonly"
    assert "transport" not in answer
    assert f"a=ssrc:{SENDERS['video'].ssrc} cname:name" in answer


def test_a_passive_offer_is_answered_active_and_all_others_passive() -> None:
    assert "a=setup:active" in publisher_answer("publish-ffmpeg-8.1-whip")
    assert "a=setup:passive" in publisher_answer("publish-chromium-156-whip-whep-vp8")


def test_transport_feedback_and_orientation_are_granted_only_where_offered() -> None:
    chosen = choose_publisher(parse_offer(text("publish-chromium-156-whip-whep-vp8")))
    assert chosen["video"].extensions == {TRANSPORT_CC: 3, ORIENTATION: 13}
    chosen = choose_publisher(parse_offer(text("publish-aiortc-1.16-vp8")))
    assert chosen["video"].extensions == {ABS_SEND_TIME: 3}
    assert "transport-cc" not in publisher_answer("publish-libdatachannel-0.24")
    viewing = choose_viewer(parse_offer(text("view-chromium-156-whip-whep")), {})
    assert viewing["video"].extensions == {ORIENTATION: 13}


def test_a_bundle_only_section_is_no_rejection_and_a_rejected_one_is_refused() -> None:
    firefox = text("publish-firefox-153-whip-whep")
    assert re.search(r"m=video 0 ", firefox)
    assert re.search(r"m=video 4000 ", publisher_answer("publish-firefox-153-whip-whep"))
    with pytest.raises(BadSdp):
        choose_publisher(parse_offer(firefox.replace("a=bundle-only", "a=x")))


def test_a_viewer_without_the_codec_is_refused_the_picture_and_keeps_the_sound() -> None:
    offer = text("view-werift").replace("H264/90000", "H265/90000")
    parsed = parse_offer(offer)
    answer = write(parsed, choose_viewer(parsed, {"video": H264}), LOCAL, 1, senders=SENDERS)
    media = {each.kind: each for each in check_answer(offer, answer).media}
    assert media["video"].port == 0
    assert media["audio"].port == 4000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OPUS", "opus"),
        ("VP8/90000", "vp8/90000"),
        ("\r\n", "\n"),
        ("a=mid:1", "a=mid:the-video"),
    ],
)
def test_capitals_line_ends_and_words_for_mids_do_not_matter(old: str, new: str) -> None:
    offer = parse_offer(text("publish-aiortc-1.16-vp8").replace(old, new))
    assert set(choose_publisher(offer)) == {"audio", "video"}


def test_a_session_level_fingerprint_counts_and_several_may_stand_there() -> None:
    offer = parse_offer(text("view-libdatachannel-0.24"))
    assert [each[0] for each in choose_viewer(offer, {})["video"].section.fingerprints] == ["sha-256"]
    offer = parse_offer(text("publish-aiortc-1.16-vp8"))
    assert {each[0] for each in offer.sections[0].fingerprints} == {"sha-256", "sha-384", "sha-512"}


CHROMIUM = text("publish-chromium-156-whip-whep-vp8")


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        "v=0",
        "v=0\r\nm=video",
        "v=0\r\nm=video x UDP/TLS/RTP/SAVPF 96",
        "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 40,
        "v=0" + "x" * MAX_BYTES,
        CHROMIUM + "a=x\r\n" * MAX_LINES,
        CHROMIUM.split("m=video")[0],  # sound alone
        CHROMIUM.replace("a=sendonly", "a=recvonly"),
        CHROMIUM.replace("a=mid:1", "a=mid:0"),
        CHROMIUM.replace("a=ice-pwd:", "a=x:"),
        CHROMIUM.replace("a=ice-ufrag:r3nX", "a=ice-ufrag:r"),
        CHROMIUM.replace("a=fingerprint:sha-256", "a=fingerprint:md5"),
        CHROMIUM.replace("a=setup:actpass", "a=setup:holdconn"),
        CHROMIUM.replace("VP8", "X").replace("H264", "X").replace("VP9", "X").replace("AV1", "X"),
        CHROMIUM.replace("a=mid:1", "a=mid:1 2\x00"),
    ],
)
def test_what_cannot_be_used_is_a_bad_sdp(offer: str) -> None:
    with pytest.raises(BadSdp):
        choose_publisher(parse_offer(offer))


def _answered(offer: str) -> None:
    try:
        parsed: Offer = parse_offer(offer)
        write(parsed, choose_publisher(parsed), LOCAL, 1, senders={})
        write(parsed, choose_viewer(parsed, {}), LOCAL, 1, senders=SENDERS)
    except BadSdp:
        return


LINES = st.lists(st.text(max_size=60), max_size=8)


@given(st.sampled_from(names("*")), st.data())
def test_damaged_offers_are_answered_or_refused(name: str, data: st.DataObject) -> None:
    lines = text(name).splitlines()
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        cut = data.draw(st.integers(0, len(line)))
        lines[index] = data.draw(
            st.sampled_from([line[:cut], line[cut:], line + line, line[:cut] + data.draw(st.text(max_size=9))])
        )
        if data.draw(st.booleans()):
            lines[index], lines[index - 1] = lines[index - 1], lines[index]
    _answered("\n".join(lines))


@given(st.text(max_size=400), LINES)
def test_any_text_is_refused_politely(start: str, lines: list[str]) -> None:
    _answered(start)
    _answered("v=0\r\n" + "\r\n".join(f"a={line}" for line in lines) + "\r\nm=video 9 X 96\r\n" + "\r\n".join(lines))


def test_nothing_of_an_offer_can_smuggle_lines_into_the_answer() -> None:
    for separator in ("\r", "\u2028", "\x85", "\x0b"):
        offer = CHROMIUM.replace("minptime=10", f"minptime=10{separator}a=evil:1")
        parsed = parse_offer(offer)
        answer = write(parsed, choose_publisher(parsed), LOCAL, 1, senders={})
        assert all(not line.startswith("a=evil") for line in answer.splitlines())


def layered(rids: str = "q;h;f", *, simulcast: str | None = None, declared: str = "q h f") -> str:
    """Chromium's offer with sendEncodings of three layers."""
    lines = "".join(f"a=rid:{rid} send\r\n" for rid in declared.split())
    return CHROMIUM + lines + f"a=simulcast:{simulcast or f'send {rids}'}\r\n"


def test_layers_are_taken_by_their_names_with_what_packets_need_to_tell_them() -> None:
    offer = parse_offer(layered())
    chosen = choose_publisher(offer)
    assert chosen["video"].rids == ("q", "h", "f")
    assert {MID: 4, RID: 10, REPAIRED_RID: 11}.items() <= chosen["video"].extensions.items()
    answer = write(offer, chosen, LOCAL, 1, senders={})
    assert [line for line in answer.splitlines() if line.startswith(("a=rid", "a=simul"))] == [
        "a=rid:q recv",
        "a=rid:h recv",
        "a=rid:f recv",
        "a=simulcast:recv q;h;f",
    ]
    assert "rtp-stream-id" not in publisher_answer("publish-chromium-156-whip-whep-vp8")


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (layered("~q;h,x;f"), ("q", "h", "f")),  # paused, and with an alternative
        (layered(simulcast="recv a;b send q;h"), ("q", "h")),
        (layered("f"), ()),
        (layered(simulcast="recv q;h"), ()),
        (layered(simulcast="send"), ()),
        (layered("a;b;c;d", declared="a b c d"), ("b", "c", "d")),
        (layered().replace("a=extmap:10 ", "a=extmap:99 "), ()),  # of two bytes
        (layered().replace("VP8/", "X/"), ()),  # of H.264 the numbers could not be continued
    ],
)
def test_which_layers_are_taken(offer: str, expected: tuple[str, ...]) -> None:
    assert choose_publisher(parse_offer(offer))["video"].rids == expected


@pytest.mark.parametrize(
    "offer",
    [layered("q;nobody"), layered("q;q"), layered("q;a b"), layered("q;" + "h" * 17, declared="q " + "h" * 17),
     layered("q;h=1", declared="q h=1"), layered("q;")],
)  # fmt: skip
def test_layers_that_nobody_could_send_are_a_bad_sdp(offer: str) -> None:
    with pytest.raises(BadSdp):
        choose_publisher(parse_offer(offer))


def test_the_fixtures_are_there() -> None:
    assert len(list(Path(OFFERS).glob("*.sdp"))) == 17


def test_offers_that_differ_only_in_what_is_a_session_s_own_are_read_each_for_itself() -> None:
    """What many offers share is read once: nobody may get another's credentials, certificate or SSRCs by that."""
    original = changed = text("publish-chromium-156-whip-whep-vp8")
    first = parse_offer(original)
    for name, value in (("ice-ufrag", "other"), ("ice-pwd", "p" * 24), ("fingerprint", "sha-256 AB:CD")):
        changed = re.sub(rf"a={name}:[^\r\n]+", f"a={name}:{value}", changed)
    changed = re.sub(r"a=ssrc:\d+", "a=ssrc:4711", changed)
    assert changed != original
    second = parse_offer(changed)
    for before, after in zip(first.sections, second.sections, strict=True):
        assert (after.ufrag, after.password, after.fingerprints) == ("other", "p" * 24, (("sha-256", "AB:CD"),))
        own = {name: getattr(before, name) for name in ("ufrag", "password", "fingerprints")}
        assert after._replace(**own) == before
    assert parse_offer(original) == first
