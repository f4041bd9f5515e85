"""What a flash sale looked like: rates, costs, latencies, fairness; as figures, curves and a table of the report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from load_tests.claims import Claim
from load_tests.history import ACCEPTED
from load_tests.report import percentile
from load_tests.run import Run
from load_tests.sale_checks import Sale, fairness

#: stretches that a sale is cut into for its curves, whatever it took
STRETCHES = 60


def show(sale: Sale, run: Run, used_s: Mapping[str, float]) -> None:
    """Write all of it; ``used_s``: CPU seconds of ``worker``, ``valkey`` and ``generator`` during the sale."""
    answered = [claim for claim in sale.claims if math.isfinite(claim.ended_s)]
    _rates(sale, run, answered)
    count = max(1, len(answered))
    for kind, name in (("worker", "server CPU a claim"), ("valkey", "Valkey's CPU a claim")):
        if run.target.server is not None:
            run.figure(name, used_s[kind] / count * 1e6, "µs", "lower")
    run.figure("generator's CPU a claim", used_s["generator"] / count * 1e6, "µs", "lower")
    for name, histogram in sorted(run.timeline.total.histograms.items()):
        for percent in (50, 99):
            run.figure(f"{name}: p{percent}", histogram.percentile(percent) / 1000, "ms", "lower")
    _fairness(sale, run)
    _curves(run, answered)


def spans_s(claims: Sequence[Claim]) -> dict[str, float]:
    """Seconds in which each kind of answer came: a yes from the first claim on, others from the first of their kind."""
    first_s = min((claim.due_s for claim in claims), default=0.0)
    spans = {"all": max((claim.ended_s for claim in claims), default=first_s) - first_s, ACCEPTED: 0.0}
    for outcome in {claim.outcome for claim in claims}:
        ended = [claim.ended_s for claim in claims if claim.outcome == outcome]
        spans[outcome] = max(ended) - (first_s if outcome == ACCEPTED else min(ended))
    return spans


def _rates(sale: Sale, run: Run, answered: Sequence[Claim]) -> None:
    """Accepted, durable and sold out are never one number."""
    spans, accepted = spans_s(answered), len(sale.accepted)
    rate = accepted / spans[ACCEPTED] if spans[ACCEPTED] > 0 else 0.0
    run.figure("accepted", rate, "claims/s", "higher", f"{accepted:,} in {spans[ACCEPTED]:.2f} s")
    durable = bool(run.report.server.get("durable"))
    note = "each on disk before its yes" if durable else "a yes may be lost with the machine"
    run.figure("of these durable", rate if durable else 0.0, "claims/s", "higher", note)
    counts = Counter(claim.outcome for claim in answered if claim.outcome != ACCEPTED)

    def refused(outcome: str) -> None:
        count = counts.pop(outcome, 0)
        if count and spans[outcome] > 0:
            run.figure(outcome.replace("_", " "), count / spans[outcome], "answers/s", "higher", f"{count:,} in all")

    refused("sold_out")
    yes = [(claim.ended_s - claim.due_s) * 1000 for claim in answered if claim.outcome == ACCEPTED]
    run.figure("p99 of a yes", percentile(yes, 99), "ms", "lower", f"median {percentile(yes, 50):,.1f} ms")
    for outcome, _ in counts.most_common():
        refused(outcome)
    run.figure("answered", len(answered) / max(spans["all"], 1e-9), "answers/s", "higher", f"{len(answered):,} in all")


def _fairness(sale: Sale, run: Run) -> None:
    fair = fairness(sale.claims)
    rows = [
        (f"{tenth * 10}–{tenth * 10 + 10} %", asked, got, f"{100 * got / asked:.0f} %" if asked else "–")
        for tenth, (asked, got) in enumerate(fair.deciles)
    ]
    note = "Tenths of the claims by when they were sent, those over the limit left out, and how many got a unit."
    run.table("Fairness by arrival", ("arrived", "claims", "got a unit", "share"), rows, note)
    run.figure("served in the order of arrival", fair.in_order * 100, "%", "higher")


def _curves(run: Run, answered: Sequence[Claim]) -> None:
    if not answered:
        return
    began_s, ended_s = min(c.due_s for c in answered), max(c.ended_s for c in answered)
    width_s = max((ended_s - began_s) / STRETCHES, 1e-6)

    def stretch(at_s: float) -> int:
        return max(0, min(STRETCHES - 1, int((at_s - began_s) / width_s)))

    def curve(name: str, unit: str, values: Mapping[int, float], plot: str, *, everywhere: bool = False) -> None:
        points = [
            (round(began_s - run.began_s + (n + 0.5) * width_s, 4), round(values.get(n, 0.0), 3))
            for n in range(STRETCHES)
            if everywhere or n in values
        ]
        run.curve(name, unit, points, plot=plot)

    if run.options.pace is not None:
        due = Counter(stretch(claim.due_s) for claim in answered)
        curve("due", "a second", {n: count / width_s for n, count in due.items()}, "The rush", everywhere=True)
    for outcome, _ in Counter(claim.outcome for claim in answered).most_common():
        came = Counter(stretch(claim.ended_s) for claim in answered if claim.outcome == outcome)
        rates = {n: count / width_s for n, count in came.items()}
        curve(outcome.replace("_", " "), "a second", rates, "The rush", everywhere=True)
    times: dict[int, list[float]] = {}
    for claim in answered:
        times.setdefault(stretch(claim.ended_s), []).append((claim.ended_s - claim.due_s) * 1000)
    for percent, name in ((50, "p50"), (99, "p99"), (100, "max")):
        slowest = {n: percentile(of, percent) for n, of in times.items()}
        curve(name, "ms", slowest, "Latency, from when a claim was due")
