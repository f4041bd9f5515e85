"""One viewer of a crowd, and the commands it waits for."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from load_tests.room_history import History

#: a viewer that lost its connection comes back after a random time up to this, doubled up to the second
FIRST_BACK_S, LAST_BACK_S = 0.25, 2.0

#: of so many viewers one is asked for the time at which its bytes came to this machine
STAMPED = 8

Json = dict[str, Any]


class Errand:
    """One command of a viewer, asked again on every new connection until it was answered."""

    __slots__ = ("answered", "due_s", "fields", "tries")

    def __init__(self, fields: Json, due_s: float, answered: Callable[[Viewer, Errand, Json], None]) -> None:
        self.fields, self.due_s, self.answered = fields, due_s, answered
        self.tries = 0


class Viewer:
    """One connection and its history."""

    __slots__ = (
        "asked",
        "back_s",
        "history",
        "index",
        "joined",
        "number",
        "pending",
        "sock",
        "stamped",
        "token",
        "upgraded",
    )

    def __init__(self, index: int, token: str) -> None:
        self.index, self.token = index, token
        self.stamped = index % STAMPED == 0
        self.history = History()
        self.sock: socket.socket | None = None
        self.pending = b""
        self.upgraded = self.joined = False
        self.number = 1
        self.back_s = FIRST_BACK_S
        #: commands without an answer by their number; below zero: not sent yet
        self.asked: dict[int, Errand] = {}
