"""The figures of a show's picture."""

from __future__ import annotations

from load_tests.report import percentile
from load_tests.run import Run
from load_tests.show_watched import Watched


def joins(run: Run, seen: Watched) -> None:
    """From a viewer's POST to its first whole frame."""
    for name, share in (("p50", 50), ("p99", 99)) if seen.first_frame_ms else ():
        run.figure(f"first frame, {name}", percentile(seen.first_frame_ms, share), "ms", "lower")


def media(run: Run, seen: Watched) -> None:
    """How the picture came, and what the load itself has to do with what did not."""
    sent, missed = seen.packets + seen.lost, seen.lost + seen.repaired
    checked = f"{seen.verified:,} authenticated, of all the header read" if seen.verified < seen.packets else ""
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
