"""Which wall-clock moment a timestamp is: what viewers' sender reports say, so that lips and voice agree. Pure."""

from __future__ import annotations

from streams import rtcp


class HostClock:
    """The host's sender reports, moved onto our clock.

    Host clocks are wrong by minutes; a viewer would see its sound and picture jump apart when another host machine
    takes over. So the host's first report fixes a shift to our clock, the same one for sound and picture.
    """

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._shift_s: float | None = None
        #: (our unix seconds, the host's timestamp) by kind, or by whatever else has a clock of its own
        self._known: dict[str, tuple[float, int]] = {}

    def reported(self, kind: str, ntp: int, timestamp: int, unix_s: float) -> None:
        """Note a sender report that came at ``unix_s``."""
        host_s = ntp / (1 << 32) - rtcp.NTP_EPOCH_S
        if self._shift_s is None:
            self._shift_s = unix_s - host_s
        self._known[kind] = (host_s + self._shift_s, timestamp)

    def offset(self, one: str, other: str, clock_rate: int) -> int | None:
        """What to add to timestamps of ``other`` to get those of ``one`` at the same moment; None before both told."""
        if one not in self._known or other not in self._known:
            return None
        (one_s, ours), (other_s, theirs) = self._known[one], self._known[other]
        return (ours - theirs + round((other_s - one_s) * clock_rate)) & 0xFFFFFFFF

    def timestamp(self, kind: str, unix_s: float, clock_rate: int) -> int | None:
        """The host's timestamp at a moment of our clock, once every kind was reported, else None.

        Half an answer would be worse than none: sound by the host's clock and picture by ours are apart by the
        encoder's delay.
        """
        if any(each not in self._known for each in self._kinds):
            return None
        at_s, timestamp = self._known[kind]
        return (timestamp + round((unix_s - at_s) * clock_rate)) & 0xFFFFFFFF
