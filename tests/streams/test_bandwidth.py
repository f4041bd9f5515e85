"""What reports say of a path: loss, a queue that fills, the viewer's own estimate."""

from __future__ import annotations

import pytest

from streams.bandwidth import BAD_LOSS, GOOD_WINDOW_S, QUEUE_S, WORST_QUEUE_S, Path, Report, Verdict


class Told:
    """A path whose viewer reports once a second of 100 packets of 1,000 bytes."""

    def __init__(self) -> None:
        self.path = Path()
        self.now_s, self.bytes_sent, self.sent, self.highest, self.lost = 50.0, 0, 70_000, 70_000, 0
        self.tell()

    def tell(
        self,
        lost: int = 0,
        *,
        packets: int = 100,
        queued: int = 0,
        delay_s: float | None = 0.05,
        estimate: int | None = None,
        after_s: float = 1.0,
    ) -> Verdict:
        self.now_s += after_s
        self.bytes_sent += 1000 * packets
        self.sent += packets
        self.highest += packets - queued
        self.lost += lost
        report = Report(self.now_s, self.bytes_sent, self.sent, self.highest, self.lost, delay_s, estimate)
        self.path.reported(report)
        return self.path.verdict()


def test_a_clean_path_is_good_once_it_was_so_for_a_while() -> None:
    told = Told()
    verdicts = [told.tell() for _ in range(5)]
    unsure = int(GOOD_WINDOW_S) - 1
    assert verdicts == [Verdict.UNSURE] * unsure + [Verdict.GOOD] * (5 - unsure)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [(3, Verdict.GOOD), (7, Verdict.UNSURE), (10, Verdict.UNSURE), (11, Verdict.BAD), (31, Verdict.WORST)],
)
def test_shares_of_loss(lost: int, expected: Verdict) -> None:
    told = Told()
    for _ in range(4):
        verdict = told.tell(lost)
    assert verdict is expected


def test_few_packets_say_nothing_about_loss() -> None:
    told = Told()
    assert told.tell(4, packets=7) is Verdict.UNSURE
    assert told.tell(4, packets=8) is Verdict.WORST


def test_five_percent_that_come_in_bursts_do_not_step_down() -> None:
    """Resends make up for it: 5 % of loss is no reason for a smaller picture."""
    told = Told()
    assert [told.tell(lost) for lost in (9, 1, 8, 2, 9, 1)].count(Verdict.BAD) == 0
    assert BAD_LOSS > 0.09


def test_a_delay_that_grows_is_a_queue_that_fills() -> None:
    told = Told()
    assert told.tell(delay_s=0.05 + QUEUE_S) is not Verdict.BAD
    assert told.tell(delay_s=0.06 + QUEUE_S) is Verdict.BAD
    assert told.tell(delay_s=0.06 + WORST_QUEUE_S) is Verdict.WORST
    assert told.tell(delay_s=None) is not Verdict.BAD


def test_a_queue_that_has_begun_to_fill_while_less_comes_than_is_sent_is_bad_already() -> None:
    """Half a second before it is long: a path of a third of the picture's bits."""
    told = Told()
    told.tell()
    assert told.tell(delay_s=0.05 + 0.6 * QUEUE_S) is not Verdict.BAD
    assert told.tell(delay_s=0.05 + 0.6 * QUEUE_S, queued=40) is Verdict.BAD
    assert told.tell(delay_s=0.06, queued=40) is not Verdict.BAD


def test_the_shortest_delay_is_forgotten_for_a_path_that_has_become_another() -> None:
    told = Told()
    for _ in range(70):
        verdict = told.tell(delay_s=0.6)
    assert verdict is Verdict.GOOD


def test_an_estimate_well_below_what_is_sent_is_bad_where_something_else_says_so_too() -> None:
    told = Told()
    low = 500_000  # 800 kbit/s are sent
    assert told.tell(estimate=low) is not Verdict.BAD
    assert told.tell(3, estimate=low) is Verdict.BAD
    assert told.tell(delay_s=0.2, estimate=low) is Verdict.BAD
    assert told.tell(3, delay_s=0.2, estimate=600_000) is not Verdict.BAD


def test_a_path_that_is_reported_four_times_a_second_becomes_good_too() -> None:
    """Chromium's reports: a sender's clock that kept only the newest few would never see three seconds."""
    told = Told()
    assert Verdict.GOOD in [told.tell(packets=25, after_s=0.25) for _ in range(20)]


def test_what_arrives_is_what_was_sent_less_what_was_lost() -> None:
    told = Told()
    assert told.path.bits_per_s is None
    told.tell(25)
    assert (told.path.share, told.path.bits_per_s) == (0.75, 600_000)
    told.tell(5, queued=45)
    assert (told.path.share, told.path.bits_per_s) == (0.5, 400_000)
    told.tell(queued=100)
    assert told.path.bits_per_s == 0


def test_a_change_of_layer_begins_anew() -> None:
    told = Told()
    for _ in range(4):
        told.tell(50)
    told.path.changed()
    assert told.path.verdict() is Verdict.UNSURE
    assert [told.tell() for _ in range(3)][-1] is Verdict.GOOD


def test_reports_in_a_flood_or_out_of_order_are_not_believed() -> None:
    told = Told()
    assert not told.path.reported(Report(told.now_s + 0.1, 0, 0, 0, 0, None, None))
    told.highest -= 50_000
    assert told.tell(90) is Verdict.UNSURE
    told.lost -= 1000
    assert told.tell() is Verdict.UNSURE  # fewer lost than before: no loss, and nothing raised
