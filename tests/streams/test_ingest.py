"""Loss, jitter and NACK windows of one incoming SSRC."""

from __future__ import annotations

from streams.ingest import MAX_GAP, MAX_TRIES, RETRY_S, MissingPackets, SourceStatistics


def test_loss_is_told_once_a_report_and_in_all_around_the_wrap() -> None:
    source = SourceStatistics(7, 90000)
    for number in (65533, 65534, 1, 2):  # 65535 and 0 lost
        source.received(number, 0, 0.0)
    report = source.report(1.0)
    assert report is not None
    assert (report.lost, report.fraction_lost, report.highest) == (2, (2 << 8) // 6, 0x10002)
    source.received(3, 0, 1.0)
    report = source.report(2.0)
    assert report is not None
    assert (report.lost, report.fraction_lost) == (2, 0)


def test_a_packet_from_before_the_first_is_no_wrap() -> None:
    source = SourceStatistics(7, 90000)
    first = source.received(0, 0, 0.0)
    assert source.received(65535, 0, 0.0) == first - 1


def test_jitter_follows_uneven_arrival() -> None:
    source = SourceStatistics(7, 90000)
    for index in range(100):
        source.received(index, index * 3000, index / 30 + (0.01 if index % 2 else 0.0))
    report = source.report(4.0)
    assert report is not None
    assert 700 < report.jitter < 950  # 10 ms back and forth are 900 ticks


def test_the_last_sender_report_is_echoed_with_its_age() -> None:
    source = SourceStatistics(7, 90000)
    source.received(0, 0, 0.0)
    source.sender_report(0x1122334455667788, 1.0)
    report = source.report(1.5)
    assert report is not None
    assert (report.last_sender_report, report.delay) == (0x33445566, 32768)


def test_a_gap_is_asked_for_at_once_and_again_until_it_comes() -> None:
    missing = MissingPackets()
    assert missing.received(10, 0.0) == []
    assert missing.received(13, 0.0) == [11, 12]
    assert missing.due(RETRY_S / 2) == []
    assert missing.received(11, 0.05) == []
    assert missing.due(RETRY_S) == [12]
    assert 12 in missing
    assert 11 not in missing


def test_what_never_comes_is_given_up() -> None:
    missing = MissingPackets()
    missing.received(10, 0.0)
    missing.received(12, 0.0)
    asked = [missing.due(index * RETRY_S * 1.01) for index in range(1, MAX_TRIES + 3)]
    assert [len(each) for each in asked] == [1] * (MAX_TRIES - 1) + [0] * 3
    assert (missing.abandoned, len(missing)) == (1, 0)
    assert [missing.gave_up(), missing.gave_up()] == [True, False]


def test_a_hole_too_large_is_not_asked_for() -> None:
    missing = MissingPackets()
    missing.received(10, 0.0)
    assert missing.received(12 + MAX_GAP, 0.0) == []
    assert missing.abandoned == MAX_GAP + 1
