"""The generator against a server that keeps nothing: every claim leaves, every answer is taken."""

from __future__ import annotations

from load_tests.generator_limit import Plan, measure
from load_tests.report import Figure
from load_tests.run import Options


def test_the_generators_limit_is_measured_in_both_loops() -> None:
    plan = Plan(buyers=20, claims=50, in_flight=4, rate=2000, seconds=0.2)
    report = measure(plan, Options(generators=2, quiet=True))
    assert report.passed, report.checks
    assert len(report.checks) == 2
    offered = report.figures["as fast as it can: a core of generator offers"]
    assert isinstance(offered, Figure)
    assert offered.value > 0
    assert offered.better == "higher"
    assert report.codes == {"websocket": {"accepted": 20 * 50 + 400}}
    assert report.latency_us["websocket, accepted"]["count"] == 1400
