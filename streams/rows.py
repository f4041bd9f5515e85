"""Viewers in rows of a batch's width: what is the same for a row from run to run is made once.

A run to a row is then one pass over arguments that are ready, and one ``sendmmsg``. Before each run it is looked at
whether every viewer of the row still is who it was: where a context, an address or a refusal of segmentation differs,
the row is made anew. libsrtp's contexts are freed when a viewer leaves, so nothing is encrypted unlooked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from streams.batch import WIDTH, Batch, Call, Outlet


class Receiver(Protocol):
    """What the fan-out needs to know of a viewer."""

    #: libsrtp context; None once the viewer has left
    context: Any
    address: Any
    #: the same as the kernel reads it: :func:`streams.batch.packed`
    name: bytes
    #: whether sends to this address may be segmented by the kernel; sticky for each viewer
    segmented: bool
    #: what the fan-out keeps for the next run; :data:`streams.batch.NO_OUTLET` at first
    outlet: Outlet
    packets_sent: int
    bytes_sent: int
    packets_dropped: int


#: a viewer, and the context and name that it had when the row was made
Member = tuple[Receiver, Any, bytes]


class Row:
    """At most :data:`streams.batch.WIDTH` viewers, who are sent a run together."""

    __slots__ = ("_batch", "_calls", "_count", "_others", "members", "names", "viewers")

    def __init__(self, viewers: tuple[Receiver, ...]) -> None:
        self.viewers = viewers
        #: those with a slot, in the order of the slots
        self.members: list[Member] = []
        #: their addresses, one after the other
        self.names = b""
        #: the rest: who has left, or has to be sent packet by packet
        self._others: tuple[Receiver, ...] = ()
        self._batch: Batch | None = None
        self._calls: list[Call] = []
        self._count = 0

    def calls(self, batch: Batch, count: int) -> list[Call]:
        """How to encrypt so many packets for each member, one member after the other. Hot path."""
        if batch is not self._batch or self._changed():
            self._make(batch)
        if count != self._count:
            self._calls = list(self._each(batch, count))
            self._count = count
        return self._calls

    def singly(self) -> list[Receiver]:
        """Those who have to be sent packet by packet."""
        return [viewer for viewer in self._others if viewer.context is not None] if self._others else []

    def _changed(self) -> bool:
        for viewer, context, name in self.members:
            if viewer.context is not context or viewer.name is not name or not viewer.segmented:
                return True
        return any(viewer.segmented and viewer.context is not None for viewer in self._others)

    def _make(self, batch: Batch) -> None:
        self._batch, self._count = batch, 0
        whole = [viewer for viewer in self.viewers if viewer.context is not None and viewer.segmented]
        self.members = [(viewer, viewer.context, viewer.name) for viewer in whole]
        self._others = tuple(viewer for viewer in self.viewers if viewer not in whole)
        self.names = b"".join(name for _, _, name in self.members)

    def _each(self, batch: Batch, count: int) -> Iterator[Call]:
        for (viewer, context, _), slot in zip(self.members, batch.slots, strict=False):
            known, its, calls = viewer.outlet
            if known is not slot or its is not context or len(calls) < count:
                calls = slot.calls(context, count)
                viewer.outlet = slot, context, calls
            yield from calls if len(calls) == count else calls[:count]


class Group(tuple[Receiver, ...]):
    """Viewers who get the same runs; as it never changes, what is sent in slices goes on with those it began with."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, viewers: Iterable[Receiver], before: Sequence[Receiver] = ()) -> Group:
        """A group; it shares the rows that a group before it has alike."""
        group = cls(viewers)
        old = before.rows if isinstance(before, Group) else ()
        rows = []
        for index, start in enumerate(range(0, len(group), WIDTH)):
            part = tuple(group[start : start + WIDTH])
            alike = index < len(old) and old[index].viewers == part
            rows.append(old[index] if alike else Row(part))
        group.rows = tuple(rows)
        return group

    def without(self, viewer: Receiver) -> Group:
        """The group when a viewer has left: the last takes its place, so only two rows change."""
        rest = list(self)
        index = next((index for index, each in enumerate(rest) if each is viewer), None)
        if index is None:
            return self
        last = rest.pop()
        if index < len(rest):
            rest[index] = last
        return Group.of(rest, self)
