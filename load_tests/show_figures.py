"""The figures of a show."""

from __future__ import annotations

from load_tests.history import ACCEPTED
from load_tests.report import percentile
from load_tests.run import Run
from load_tests.show_checks import Evidence
from load_tests.show_watched import Watched


def joins(run: Run, seen: Watched) -> None:
    """From a viewer's POST to its first whole frame."""
    for name, share in (("p50", 50), ("p99", 99)) if seen.first_frame_ms else ():
        run.figure(f"first frame, {name}", percentile(seen.first_frame_ms, share), "ms", "lower")


def media(run: Run, seen: Watched) -> None:
    """How the picture came, and what the load itself has to do with what did not."""
    sent, missed = seen.packets + seen.lost, seen.lost + seen.repaired
    checked = f"{seen.verified:,} authenticated, sound included; of the rest the header" if seen.verified else ""
    run.figure("packets of the picture received", seen.packets, "", "", checked)
    run.figure("packets that came only when asked for again", 100 * missed / sent, "%", "lower", f"{missed:,}")
    if seen.gaps_ms:
        worst = f"the worst viewer's: {max(seen.gaps_ms):,.0f} ms"
        run.figure("a viewer's longest wait for a frame, median", percentile(seen.gaps_ms, 50), "ms", "lower", worst)
    slowest = max(seen.delays_ms, default=0.0)
    run.figure("from host to viewer, p99 of the worst sampled viewer", slowest, "ms", "lower")
    if seen.dropped_here:
        run.note(
            f"The load was too slow for its own viewers: their buffers dropped {seen.dropped_here:,} packets that the "
            "server had sent. These are not counted against the server; give the load more --generators or fewer "
            "viewers and believe no delay of this run."
        )


def write(run: Run, evidence: Evidence) -> None:
    """What the crowd did, how the picture came to it, and what was asked again."""
    deeds, plan = evidence.deeds, evidence.plan
    run.figure("messages said", len(deeds.said), "", "", f"each to {plan.chat:,} viewers")
    accepted = sum(o.outcome == ACCEPTED and o.verb == "claim" for o in deeds.operations)
    run.figure("orders", accepted, "", "", f"of {plan.buyers:,} buyers; {len(deeds.paid):,} paid")
    if evidence.watched.packets:
        media(run, evidence.watched)
    if deeds.again or deeds.refused:
        rows = [(what, float(n)) for what, n in (deeds.again + deeds.refused).most_common()]
        run.table("Refusals", ("what", "times"), rows, "Temporary ones were asked again with the same key.")
