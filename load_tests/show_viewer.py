"""A viewer of the picture that asks for what it lost, as every browser does, and takes it when it comes again."""

from __future__ import annotations

import time

from load_tests.viewers_peers import LoadViewer
from load_tests.whep_peer import RTX, Shared
from streams import rtcp, rtp

#: packets asked for in one NACK; the relay allows 400 retransmissions a second and viewer
MOST_ASKED = 100


class RepairingViewer(LoadViewer):
    """NACKs holes once a second, and reads retransmissions (RFC 4588: the number of the original comes first)."""

    #: one core holds twice the viewers, and a forged or torn packet is still found within a fraction of a second
    verify_every = 8

    def __init__(self, shared: Shared, index: int) -> None:
        super().__init__(shared, index)
        #: packets that came when they were asked for
        self.repaired = 0
        self._asked: dict[int, int] = {}

    def restart(self) -> None:
        """Count from here."""
        self.video.restart()
        self.audio.restart()
        self.repaired, self._asked = 0, {}

    def ask_again(self) -> None:
        """Ask for what is missing."""
        missing = self.video.missing(MOST_ASKED)
        self._asked = {each & 0xFFFF: each for each in missing}
        if missing:
            self.peer.send_rtcp(
                rtcp.build_receiver_report(self.peer.ssrcs[1], ())
                + rtcp.build_nack(self.peer.ssrcs[1], self.media_ssrc, [each & 0xFFFF for each in missing])
            )

    def _rtp(self, size: int) -> bool:
        if self._view[1] & 0x7F != RTX:
            return super()._rtp(size)
        header = rtp.parse(self._view[:size])
        if header is None or header.payload_end - header.payload_start < 2:
            return False
        start = header.payload_start
        original = int.from_bytes(self._view[start : start + 2], "big")
        if self._asked.pop(original, None) is not None:
            # Its frame has ended without it: it only counts as a packet that came.
            self.repaired += 1
            self.video.received(
                header._replace(sequence=original, marker=False), keyframe=False, now_s=time.monotonic()
            )
        return False
