"""Prometheus gets the differences, once a second."""

from __future__ import annotations

from prometheus_client import REGISTRY

from streams.counters import Counters
from streams.metrics import RelayMetrics
from streams.transport import Transport


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"livecommerce_media_{name}", labels) or 0.0


def test_sums_become_differences_and_never_shrink() -> None:
    metrics = RelayMetrics()
    transport = Transport("127.0.0.1", 0)
    less, more = (value("forwarded_total", within_s=bound) for bound in ("0.001", "0.002"))
    joined = value("joined_total", within_s="0.02")
    before = value("packets_sent_total"), value("strangers_total")
    for sent, strangers in ((10, 1), (25, 4), (20, 4), (26, 4)):
        transport.strangers = strangers
        transport.delays.note(0.0015, 2)
        transport.joins.note(0.012)
        metrics.flush(Counters(packets_sent=sent), {"view": 3, "publish": 1}, transport=transport, layers={0: 1, 1: 2})
    assert (value("packets_sent_total") - before[0], value("strangers_total") - before[1]) == (26, 4)
    assert value("forwarded_total", within_s="0.001") == less
    assert value("forwarded_total", within_s="0.002") == more + 8
    assert value("joined_total", within_s="0.02") - joined == 4
    assert value("sessions", kind="view") == 3
    assert [value("layer_viewers", layer=rank) for rank in "01"] == [1, 2]


def test_counts_add_up() -> None:
    total = Counters(packets_sent=1, bytes_sent=2)
    total.add(Counters(packets_sent=10, nacks_sent=3))
    assert (total.packets_sent, total.bytes_sent, total.nacks_sent) == (11, 2, 3)
    assert total.as_dict()["packets_sent"] == 11
