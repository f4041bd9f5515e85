"""What rooms count, for /metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from deals.metrics import Folded

CONNECTIONS = Gauge(
    "livecommerce_room_connections", "Viewers connected now, by protocol.", ["codec"], multiprocess_mode="livesum"
)
ROOMS = Gauge("livecommerce_rooms", "Rooms open now, summed over workers.", multiprocess_mode="livesum")
EVENTS = Folded(Counter("livecommerce_room_events", "Events heard from the bus, by kind.", ["kind"]))
DELIVERIES = Folded(Counter("livecommerce_room_deliveries", "Events handed to viewers' connections."))
FRAMES = Folded(Counter("livecommerce_room_frames", "Frames written to viewers' connections by room ticks."))
FAN_OUT_S = Folded(
    Counter("livecommerce_room_fan_out_seconds", "CPU seconds that room ticks took to write these frames.")
)
WITHHELD = Counter("livecommerce_room_withheld", "Frames whose latest-only events a slow viewer did not get.")
CLOSED = Counter("livecommerce_room_closed", "Connections closed by the server, by close code.", ["code"])
COMMANDS = Folded(Counter("livecommerce_room_commands", "Commands answered, by name and outcome.", ["do", "outcome"]))
JOINS = Counter("livecommerce_room_joins", "Joins, by how missed events were found.", ["recovery"])
GAPS = Counter("livecommerce_room_gaps", "Holes or rewinds noticed in a room's numbering, made good from the log.")
POSITIONS_LOST = Counter("livecommerce_room_positions_lost", "Rooms whose log was lost or trimmed past us.")
BUS_RECONNECTS = Counter("livecommerce_bus_reconnects", "Connections the bus lost.")
