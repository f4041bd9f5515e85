"""What the viewers' run found, as a report: figures with units, and what must be so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from load_tests.report import Figure, Report

#: from the fewest viewers to the most, one packet to one viewer may cost so much more or less
FLAT_WITHIN = 0.25
_COST, _FLOOR = "server CPU a packet to a viewer", "floor: copy, protect, send"
#: (key of the run's result, name, unit, factor to the unit)
_FIGURES = (
    ("server_us_a_packet_a_viewer", _COST, "µs", 1.0),
    ("floor_us", _FLOOR, "µs", 1.0),
    ("times_floor", "times the floor", "×", 1.0),
    ("server_cpu_share", "server's worker, of a core", "%", 100.0),
    ("lost", "lost", "packets", 1.0),
    ("lost_here", "of these at the viewers' own sockets", "packets", 1.0),
    ("delay_p50_ms", "forward delay, median", "ms", 1.0),
    ("delay_p99_ms", "forward delay, p99", "ms", 1.0),
    ("memory_kib_a_viewer", "memory a viewer", "KiB", 1.0),
    ("join_cpu_ms", "server CPU a join", "ms", 1.0),
    ("join_cpu_ms_above_idle", "the same above what it takes while nobody joins", "ms", 1.0),
    ("first_frame_ms", "POST to the first whole keyframe, median", "ms", 1.0),
)


def figures(found: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of one run by their names; what was not measured is not there."""
    made = {}
    for key, name, unit, factor in _FIGURES:
        value, note = found.get(key), ""
        if key == "floor_us" and value is not None:
            note, value = f"before {value[0]:.2f}, after {value[1]:.2f}", min(value)
        elif key == "first_frame_ms" and value is not None:
            note, value = f"p95 {value['p95']:.0f} ms", value["median"]
        if value is not None:
            made[name] = Figure(round(value * factor, 3), unit, "lower", note)
    packets = Figure(found["packets"], "packets", "", f"to {found['playing']} viewers")
    return made | {"received": packets, "host late, at most": Figure(found["host_late_ms_max"], "ms")}


def report(settings: dict[str, Any], runs: Mapping[int, Mapping[str, Any]]) -> Report:
    """The report of runs by their number of viewers: one, or a sweep."""
    made = Report("viewers", settings)
    made.notes.append(
        "Every viewer has a socket and keys of its own and checks what comes; the crowd's own CPU is not the server's."
    )
    for count, found in runs.items():
        prefix = f"{count} viewers: " if len(runs) > 1 else ""
        made.figures.update({prefix + name: figure for name, figure in figures(found).items()})
        _judge(made, prefix, count, found)
    costs = [found["server_us_a_packet_a_viewer"] for found in runs.values() if "server_us_a_packet_a_viewer" in found]
    if len(costs) > 1:
        growth = max(costs) / min(costs) - 1
        made.figures["the dearest packet over the cheapest"] = Figure(round(growth * 100, 1), "%", "lower")
        made.check(f"cost is flat within {FLAT_WITHIN:.0%}", growth <= FLAT_WITHIN, f"{growth:.1%}")
    return made


def _judge(made: Report, prefix: str, count: int, found: Mapping[str, Any]) -> None:
    connected, playing, packets = found["connected"], found["playing"], found["packets"]
    why = "; ".join(found["failures"])
    made.check(f"{prefix}everybody is connected", connected == count, f"{connected} of {count} {why}".strip())
    made.check(f"{prefix}everybody gets the picture", playing == count, f"{playing} of {count}")
    # What a viewer's own socket threw away reached it: the crowd was too slow, not the server.
    missing = max(0, found["lost"] - found["lost_here"])
    made.check(f"{prefix}nothing lost before the viewers' sockets", missing == 0, f"{missing} of {packets}")
    strange = found["unauthentic"] + found["duplicates"]
    made.check(f"{prefix}nothing forged and nothing twice", strange == 0, f"{strange}")
