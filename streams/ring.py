"""The newest packets of a track, to answer NACKs from and to tell a duplicate from a latecomer. Pure."""

from __future__ import annotations

from streams.packet import Packet

#: packets kept; receivers' SRTP windows are 1,024, so nothing older could be authenticated anyway
CAPACITY = 1024


class PacketRing:
    """Packets by their extended outgoing sequence number; a newer packet overwrites the one ``CAPACITY`` before it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity & (capacity - 1):
            raise ValueError("the capacity has to be a power of two")
        self._mask = capacity - 1
        self._slots: list[Packet | None] = [None] * capacity

    def add(self, packet: Packet) -> None:
        """Keep a packet."""
        self._slots[packet.sequence & self._mask] = packet

    def get(self, sequence: int) -> Packet | None:
        """The packet of an extended sequence number, or None when it never came or is overwritten."""
        packet = self._slots[sequence & self._mask]
        return packet if packet is not None and packet.sequence == sequence else None

    def __len__(self) -> int:
        return self._mask + 1
