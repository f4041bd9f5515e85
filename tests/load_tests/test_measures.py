"""The measuring commands, short: they find every process, and a picture in a real browser."""

from __future__ import annotations

import pytest

from load_tests import first_frame, idle
from load_tests.own_server import own_server
from tests.browser.chromium import require_chromium


def test_every_process_of_a_server_is_accounted_for() -> None:
    with own_server("--workers", "2") as server:
        used = idle.usage(server, 0.2)
        assert server.start_s > 0
    assert sorted(process.name for process in used) == ["supervisor", "valkey", "worker", "worker"]
    assert all(process.memory_mib > 1 for process in used)


@pytest.mark.browser
def test_a_viewers_first_picture_is_timed() -> None:
    require_chromium()
    report = first_frame.measure(None, joins=2, warm_up=1, chromium="chromium")
    assert report.passed
    assert "ms (of 2:" in str(report.figures["POST to first picture"])
