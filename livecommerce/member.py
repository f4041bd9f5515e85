"""A viewer in a room, whatever it is connected by."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from livecommerce import room_metrics as metrics
from livecommerce.close_codes import CloseCode
from livecommerce.frames import Batch, Codec, Item
from livecommerce.outbox import Outbox, Transport

if TYPE_CHECKING:
    from livecommerce.room import Room

#: a viewer that has been silent this long is pinged; one that stays silent is closed
PING_S, SILENT_S = 25.0, 60.0
#: private events that may wait while a viewer joins; more is no human's business
HELD_MAX = 100


class Member:
    """One connection: who it is, how it is written to, and what it has seen.

    ``shut(code)`` is called once, when the server wants the connection closed; it must not block. The room has
    already forgotten the member then, and nothing more is written to it.
    """

    __slots__ = (
        "announced",
        "closing",
        "codec",
        "expires_s",
        "held",
        "last_heard_s",
        "outbox",
        "pinged_s",
        "roles",
        "room",
        "seen",
        "shut",
        "single",
        "stale",
        "tag",
        "user_id",
    )

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        *,
        user_id: str,
        roles: Collection[str],
        expires_s: float,
        single: str = "",
        shut: Callable[[CloseCode], None],
        now_s: float,
    ) -> None:
        self.outbox = Outbox(transport, self._too_slow)
        self.codec = codec
        self.user_id = user_id
        #: names this connection where a command of its own is told to the user's others
        self.tag = secrets.token_hex(4)
        #: what private events "role:<name>" it gets
        self.roles = frozenset(roles)
        #: when its token expires, in seconds since the epoch
        self.expires_s = expires_s
        #: its token's id, where that is for one connection at a time
        self.single = single
        #: whether the room has heard of it, which matters for such a token
        self.announced = False
        self.shut = shut
        self.room: Room | None = None
        #: the newest offset it has been sent, at the time it joined
        self.seen = 0
        #: private events that came while it was joining; ``None`` once it has joined
        self.held: list[Item] | None = []
        #: whether a latest-only event was withheld from it
        self.stale = False
        self.closing: CloseCode | None = None
        #: by the loop's clock
        self.last_heard_s = self.pinged_s = now_s

    def close(self, code: CloseCode) -> None:
        """Close the connection from our side; only the first call counts."""
        if self.closing is not None or not self.outbox.open:
            return
        self.closing = code
        self.leave()
        metrics.CLOSED.labels(str(int(code))).inc()
        self.shut(code)

    def leave(self) -> None:
        """Forget the room, and write nothing more; safe to call twice."""
        self.outbox.close()
        room, self.room = self.room, None
        if room is not None:
            room.remove(self)

    def send(self, *bodies: bytes) -> bool:
        """Write what must not be dropped (replies, private events); whether the viewer is still with us."""
        return self.outbox.write(self.codec.frame(bodies))

    def reply(self, body: bytes) -> None:
        """Write what must not be dropped with everything else that the loop has for this viewer now."""
        self.outbox.post(self.codec.frame((body,)))

    def tell(self, item: Item) -> None:
        """A private event: now, or right after the join."""
        if self.held is None:
            self.send(self.codec.body(item))
        elif len(self.held) < HELD_MAX:
            self.held.append(item)
        else:
            self.close(CloseCode.POSITION_LOST)

    def deliver(self, batch: Batch, latest: Collection[Item]) -> int:
        """A tick's events by the slow-viewer policy; the number of events written. ``latest``: every slot's newest."""
        outbox = self.outbox
        if not outbox.open or outbox.transport.is_closing():
            return 0
        roomy = outbox.roomy
        if not roomy and batch.latest:
            self.stale = True
            metrics.WITHHELD.inc()
        if self.seen >= batch.first:
            frame = batch.rest(self.codec, self.seen, with_latest=roomy)
        else:
            frame = batch.frame(self.codec, with_latest=roomy)
        if frame and not outbox.write(frame):
            return 0
        if self.stale and roomy:
            self.stale = False
            self.send(*(self.codec.body(item) for item in latest))
        return len(batch.numbered) + (len(batch.latest) if roomy else 0)

    def admitted(self, seen: int) -> None:
        """It has everything up to ``seen``: what was kept for it follows."""
        self.seen = seen
        held, self.held = self.held or [], None
        for item in held:
            self.tell(item)

    def look_after(self, now_s: float) -> None:
        """Close it when its token has expired or it has gone silent; ask whether it is there when it is quiet."""
        if self.expires_s <= time.time():
            self.close(CloseCode.BAD_TOKEN)
        elif now_s - self.last_heard_s >= SILENT_S:
            self.close(CloseCode.SILENT)
        elif now_s - self.last_heard_s >= PING_S and now_s - self.pinged_s >= PING_S:
            self.pinged_s = now_s
            self.outbox.write(self.codec.ping)

    def _too_slow(self) -> None:
        self.close(CloseCode.SLOW_CONSUMER)
