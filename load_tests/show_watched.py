"""What viewers of a show's picture saw, and who lost what they missed. Pure but for a counter of the kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

#: column of a line of softnet_stat: packets thrown away because a processor's queue was full
_BACKLOG_DROPS = 1


@dataclass
class Watched:
    """What viewers of the picture saw; adds up over viewers and processes."""

    connected: int = 0
    #: viewers to whom a whole frame came since the last question
    playing: int = 0
    packets: int = 0
    #: of these, authenticated: the others are only counted by their headers
    verified: int = 0
    lost: int = 0
    #: came when they were asked for again
    repaired: int = 0
    #: thrown away by the kernel because this process did not read in time: the load's fault, not the server's
    dropped_here: int = 0
    #: holes in picture and sound, repaired or not, that the viewer's own buffer does not explain: lost before us
    missed: int = 0
    duplicates: int = 0
    unauthentic: int = 0
    frames: int = 0
    frames_incomplete: int = 0
    #: joins after the first of a viewer
    rejoins: int = 0
    failures: list[str] = field(default_factory=list)
    first_frame_ms: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    #: each viewer's longest wait for the end of a frame
    gaps_ms: list[float] = field(default_factory=list)

    def add(self, other: Watched) -> None:
        """Add another viewer's, or process's."""
        for name, value in other.__dict__.items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def lost_by_others(self) -> int:
        """Packets that never came and that no viewer's own buffer explains, even if it explains all it can."""
        return min(self.lost, self.missed)


def missed(holes: int, dropped_here: int) -> int:
    """Of one viewer's holes in picture and sound, those that its own buffer cannot have made."""
    return max(0, holes - dropped_here)


def backlog_drops() -> int:
    """Packets that this machine's processors threw away before any socket, since it started; 0 where it is not told."""
    try:
        lines = Path("/proc/net/softnet_stat").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[_BACKLOG_DROPS], 16) for line in lines)
