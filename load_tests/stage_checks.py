"""Checks that stand by themselves: whether everybody came, whether all is well again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from load_tests.report import Check

#: a newcomer waits so long for a clone's first start, installation included
NEWCOMER_S = 60.0


def entered(inside: int, wanted: int, took_s: float | None = None, *, where: str = "") -> Check:
    """Everybody who was to come is there; ``where``: whose room it is, in front of the name."""
    took = "" if took_s is None else f" in {took_s:.1f} s"
    return Check(f"{where}everybody is in the room", inside == wanted, f"{inside:,} of {wanted:,}{took}")


def of(where: str, checks: Iterable[Check]) -> list[Check]:
    """The same checks, said of one room among several."""
    return [replace(check, name=f"{where}: {check.name}") for check in checks]


def first_frames(shown: int, wanted: int, failures: Sequence[str] = ()) -> Check:
    """Every viewer of the picture saw one."""
    return Check("everybody saw a first frame", shown == wanted, f"{shown:,} of {wanted:,} {'; '.join(failures[:2])}")


def recovered(counts: Sequence[int], viewers: int) -> Check:
    """In every storm everybody got exactly what they had missed."""
    said = f"{', '.join(map(str, counts))} of {viewers:,}"
    return Check("everybody recovered, in every storm", bool(counts) and set(counts) == {viewers}, said)


def log_reads(reads: int, workers: int) -> Check:
    """A storm's joiners share one reading of the log on each worker."""
    return Check("a storm reads the log at most once a worker", reads <= workers, f"{reads}, {workers} allowed")


def well_again(is_ready: bool, workers: int, wanted: int) -> Check:
    """After all that broke the server takes traffic, with all of its workers."""
    return Check("the server is well again", is_ready and workers == wanted, f"{workers} of {wanted} workers")


def reconciled(status: int | None, said: str) -> Check:
    """``livecommerce reconcile`` agrees with the books; no status: it gave no answer."""
    return Check("reconcile finds no difference", status == 0, said)


def answered(what: str, answers: int, asked: int) -> Check:
    """Nothing was asked in vain, and something was asked."""
    return Check(f"{what}: every claim was answered", answers == asked > 0, f"{answers:,} of {asked:,}")


def robots(percent: float, most: float) -> Check:
    """The demo's robots are there, and leave the machine to those who look at them."""
    return Check("the robots use at most a third of one core", 0 < percent <= most, f"{percent:.1f} %")


def started(starts: int, wanted: int, median_s: float) -> Check:
    """Every start ended in a server that may take traffic."""
    return Check("became ready every time", starts == wanted, f"median {median_s:.2f} s")


def newcomer(live_s: float) -> Check:
    """From `git clone` to a show on the air before anybody gives up."""
    return Check("within the minute that a newcomer waits", live_s < NEWCOMER_S, f"{live_s:.0f} s")


def pictures(shown: int, joins: int) -> Check:
    """Every join of a browser ended in a picture."""
    return Check("every join showed a picture", shown == joins, f"{shown} of {joins}")


def kept(lost: int, dropped: int) -> Check:
    """Whoever came in is still there."""
    return Check("nobody was lost meanwhile", lost == 0, f"{lost:,} are gone, {dropped:,} were dropped")


def light(kilobytes: float, most: float) -> Check:
    """What a connection costs in memory."""
    return Check(f"a connection takes at most {most:.0f} KB", kilobytes <= most, f"{kilobytes:.1f} KB")
