"""A stream's figures over the workers that serve it."""

from __future__ import annotations

from typing import Any

from livecommerce.http.media_stats import combined


def told(viewers: int, sent: int, dropped: int, *, layers: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "viewers": viewers,
        "pipes": 0,
        "packets_received": 1000,
        "packets_sent": sent,
        "packets_dropped": dropped,
        "runs_dropped": dropped,
        "forward_delay_s": {"0.001": sent // 2, "+Inf": sent},
        "layers": [{"layer": slot, "width": 640, "viewers": viewers, "viewers_coming": 1} for slot in range(layers)],
        "viewers_in_detail": [{"id": f"{viewers}.{n}"} for n in range(viewers)],
        **more,
    }


def test_what_is_counted_where_viewers_are_served_is_added_up() -> None:
    whole = combined(
        "w1", told(1, 100, 0), {"w2": told(3, 300, 5), "w3": told(2, 50, 1, layers=1), "w4": {}}, details=4
    )
    assert (whole["viewers"], whole["packets_sent"], whole["packets_dropped"], whole["runs_dropped"]) == (6, 450, 6, 6)
    assert whole["packets_received"] == 1000  # the pullers had the same packets from here
    assert whole["forward_delay_s"] == {"0.001": 225, "+Inf": 450}
    assert [(row["layer"], row["viewers"], row["viewers_coming"]) for row in whole["layers"]] == [(0, 6, 3), (1, 4, 2)]
    assert [row["id"] for row in whole["viewers_in_detail"]] == ["1.0", "3.0", "3.1", "3.2"]
    assert [(row["worker"], row["home"], row["viewers"], row["runs_dropped"]) for row in whole["workers"]] == [
        ("w1", True, 1, 0),
        ("w2", False, 3, 5),
        ("w3", False, 2, 1),
    ]


def test_a_stream_of_one_worker_is_told_as_it_is() -> None:
    own = told(2, 10, 0)
    whole = combined("w1", own, {}, details=0)
    assert {name: whole[name] for name in own} == own
    assert [row["worker"] for row in whole["workers"]] == ["w1"]


def test_a_worker_of_an_older_version_breaks_nothing() -> None:
    whole = combined("w1", told(1, 10, 0), {"w2": {"viewers": 2}}, details=3)
    assert (whole["viewers"], whole["packets_sent"]) == (3, 10)
    assert whole["forward_delay_s"]["+Inf"] == 10
