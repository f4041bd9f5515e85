"""What the README's tables show: commands of this tool, and the rows that their figures make.

To add a row, add it to ``BENCHMARKS``; rows stand under their benchmark's subject, in this order. ``quick`` are the
words of a run of a few seconds, of which only the checks count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    what: str
    #: the figure's name in the command's report
    figure: str
    #: the figure beside it, measured in the same run: its name, and what that is in a few words
    beside: str = ""
    beside_is: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A rate taken from a figure of an earlier benchmark: ``--rate`` of ``share`` times that."""

    benchmark: str
    figure: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One command of the tool, and what of it stands in the tables."""

    #: the table that its rows belong to
    subject: str
    name: str
    words: Sequence[str]
    rows: Sequence[Row]
    #: about how long it takes, in seconds
    takes_s: int
    #: the words of a small run; none: it has no small form
    quick: Sequence[str] = ()
    rate: Share | None = None


_BUYING, _ROOMS, _MOMENTS = "Buying", "Chat and rooms", "Deals on time"
_PICTURE, _START, _TOOL = "Picture", "Starting and resting", "The load tool itself"
_RUSH = ("flash-sale", "--claims", "50", "--limit", "50", "--replay", "0", "--buyers", "400", "--units", "20000")
_PEAK = "claims over WebSocket"
_DURABLE = "of these durable"

BENCHMARKS: list[Benchmark] = [
    Benchmark(
        subject=_BUYING,
        name=_PEAK,
        words=(*_RUSH, "--over", "websocket", "--in-flight", "4", "--runs", "3"),
        rows=(
            Row("orders over WebSocket, on disk before the yes", _DURABLE,
                "floor: bare script calls", "bare calls of the same script"),
            Row("the worker's CPU for one of them", "server CPU a claim"),
            Row("Valkey's CPU for one of them", "Valkey's CPU a claim",
                "floor: Valkey's CPU a claim", "bare calls of the same script"),
            Row("p99 of a yes, when as many ask as can", "p99 of a yes"),
        ),
        takes_s=45,
        quick=("flash-sale", "--buyers", "40", "--units", "20", "--claims", "2", "--replay", "0.5", "--no-floor"),
    ),
    Benchmark(
        subject=_BUYING,
        name="claims at 80 % of that rate",
        words=(*_RUSH, "--over", "websocket", "--no-floor", "--runs", "3"),
        rate=Share(_PEAK, _DURABLE, 0.8),
        rows=(Row("p99 of a yes at 80 % of that rate, arrivals in an open loop", "p99 of a yes"),),
        takes_s=20,
    ),
    Benchmark(
        subject=_BUYING,
        name="claims over HTTP",
        words=(*_RUSH, "--over", "http", "--no-floor", "--runs", "3"),
        rows=(
            Row("orders over HTTP, on disk before the yes", _DURABLE),
            Row("the worker's CPU for one of them", "server CPU a claim"),
        ),
        takes_s=50,
    ),
    Benchmark(
        subject=_BUYING,
        name="sold out",
        words=(
            *("flash-sale", "--over", "websocket", "--buyers", "400", "--units", "100", "--claims", "150"),
            *("--in-flight", "4", "--no-floor", "--runs", "3"),
        ),
        rows=(Row("answers “sold out” over WebSocket", "sold out"),),
        takes_s=45,
    ),
    Benchmark(
        subject=_ROOMS,
        name="chat at 50 messages a second",
        words=("chat-storm", "--viewers", "1000", "--seconds", "6", "--messages", "50"),
        rows=(
            Row("workers' CPU for one message to one of 1,000 viewers, 50 a second",
                "livecommerce, 50/s: CPU a delivery",
                "floor: socket.send to all, 50/s", "a bare loop of `socket.send`"),
            Row("the same of an aiohttp server that sends in a loop", "plain, 50/s: CPU a delivery",
                "floor: socket.send to all, 50/s", "a bare loop of `socket.send`"),
            Row("p99 from when one of these was due to a viewer's reading it", "livecommerce, 50/s: p99 to a viewer"),
        ),
        takes_s=45,
        quick=("chat-storm", "--viewers", "20", "--seconds", "0.5", "--messages", "20", "--driver", "livecommerce"),
    ),
    Benchmark(
        subject=_ROOMS,
        name="chat at 200 messages a second, and so few that each goes out by itself",
        words=(
            *("chat-storm", "--viewers", "1000", "--seconds", "5", "--messages", "200", "--messages", "15"),
            *("--driver", "livecommerce"),
        ),
        rows=(
            Row("workers' CPU for one message to one of 1,000 viewers, 200 a second",
                "livecommerce, 200/s: CPU a delivery",
                "floor: socket.send to all, 200/s", "a bare loop of `socket.send`"),
            Row("the same at 15 a second, each sent by itself", "livecommerce, 15/s: CPU a delivery",
                "floor: socket.send to all, 15/s", "a bare loop of `socket.send`"),
        ),
        takes_s=35,
    ),
    Benchmark(
        subject=_ROOMS,
        name="a room of 5,000",
        words=(
            *("chat-storm", "--viewers", "5000", "--workers", "2", "--seconds", "6", "--messages", "5", "--no-floor"),
            *("--driver", "livecommerce"),
        ),
        rows=(Row("p99 from when a message was due to the reading of one of 5,000 viewers, 5 a second",
                  "livecommerce, 5/s: p99 to a viewer"),),
        takes_s=15,
    ),
    Benchmark(
        subject=_ROOMS,
        name="a reader that sleeps",
        words=(
            *("chat-storm", "--viewers", "1000", "--seconds", "1", "--messages", "10", "--no-floor", "--stalled"),
            *("--driver", "livecommerce"),
        ),
        rows=(
            Row("one of 1,000 sleeps, 200 messages a second: p99 of the others", "to a viewer, while one sleeps, p99",
                "to a viewer, before one sleeps, p99", "before it slept"),
        ),
        takes_s=20,
    ),
    Benchmark(
        subject=_ROOMS,
        name="reconnect storm",
        words=("reconnect-storm", "--viewers", "5000", "--workers", "2"),
        rows=(
            Row("5,000 viewers cut off at once are back after", "all back in the room after, the slowest storm"),
            Row("commands to Valkey for each who comes back", "commands to Valkey a join"),
        ),
        takes_s=25,
    ),
    Benchmark(
        subject=_MOMENTS,
        name="deal timers",
        words=("deal-timers",),
        rows=(
            Row("a deal opens in front of a viewer, p99 of 200", "opened, in front of a viewer, p99"),
            Row("a deal closes in front of a viewer, p99 of 200", "closed, in front of a viewer, p99"),
        ),
        takes_s=35,
    ),
    Benchmark(
        subject=_PICTURE,
        name="200 viewers of 2 Mbit/s",
        words=("viewers", "--viewers", "200", "--megabits", "2", "--seconds", "8", "--no-floor"),
        rows=(
            Row("packets lost of 2 Mbit/s and sound to each of 200 viewers, by one worker", "lost"),
            Row("the worker's share of a core", "server's worker, of a core"),
            Row("from the host to a viewer's socket, p99", "forward delay, p99"),
        ),
        takes_s=45,
    ),
    Benchmark(
        subject=_PICTURE,
        name="first picture",
        words=("first-frame",),
        rows=(
            Row("a viewer's POST to the first picture in Chromium", "POST to first picture"),
            Row("p90 of these joins", "POST to first picture, p90"),
        ),
        takes_s=25,
    ),
    Benchmark(
        subject=_PICTURE,
        name="200 viewers of one stream",
        words=("viewers", "--viewers", "200"),
        rows=(
            Row("worker's CPU for one packet of 1,100 bytes to one of 200 viewers", "server CPU a packet to a viewer",
                "floor: copy, protect, send", "a bare loop of copy, protect and segmented send"),
            Row("a viewer's share of the worker's memory", "memory a viewer"),
        ),
        takes_s=60,
    ),
    Benchmark(
        subject=_PICTURE,
        name="joining without media",
        words=("viewers", "--viewers", "200", "--pause", "--no-floor", "--seconds", "2"),
        rows=(Row("worker's CPU for a viewer's whole join: HTTP, keys, first report", "server CPU a join"),),
        takes_s=30,
    ),
    Benchmark(
        subject=_START,
        name="start",
        words=("startup", "--make", "--runs", "3"),
        rows=(
            Row("`make run`, installed already, to ready", "make run, command to ready"),
            Row("and to the demo's show being live", "make run, command to the demo being live"),
        ),
        takes_s=15,
    ),
    Benchmark(
        subject=_START,
        name="rest",
        words=("idle", "--settle", "5", "--seconds", "10", "--demo-seconds", "25"),
        rows=(
            Row("a server with nothing to do, all processes", "idle: all"),
            Row("a server with the demo's show, all processes", "demo: all"),
        ),
        takes_s=55,
    ),
    Benchmark(
        subject=_TOOL,
        name="generator",
        words=("generator",),
        rows=(
            Row("claims over WebSocket that a core of it offers", "as fast as it can: a core of generator offers"),
        ),
        takes_s=20,
        quick=("generator", "--buyers", "20", "--claims", "50", "--open-rate", "2000", "--seconds", "0.2"),
    ),
]  # fmt: skip
