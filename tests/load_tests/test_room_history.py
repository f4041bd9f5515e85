"""The checker that judges load tests has to notice what it is there for."""

from __future__ import annotations

import msgspec

from load_tests.room_history import Book, History, StockStep, missing, wrong_stock


def frame(*offsets: int, name: str = "m") -> bytes:
    return msgspec.json.encode(
        [{"offset": o, "type": "chat.message", "data": {"id": f"{name}{o}", "text": "t:5 x"}} for o in offsets]
    )


def told(history: History, *frames: bytes) -> History:
    book = Book()
    for one in frames:
        history.take(book.parse(one))
    return history


def joined() -> History:
    history = History()
    history.join("e", 0, recovered=False)
    return history


def verdict(history: History) -> tuple[int, int, int]:
    return history.lost, history.doubled, history.announced


def test_a_whole_history_is_right_whatever_the_frames() -> None:
    history = told(joined(), frame(1), frame(2, 3), frame(4))
    assert (verdict(history), history.last, history.events) == ((0, 0, 0), 4, 4)


def test_a_hole_between_frames_or_inside_one_is_noticed() -> None:
    assert verdict(told(joined(), frame(1), frame(3))) == (1, 0, 0)
    assert verdict(told(joined(), frame(1, 4))) == (2, 0, 0)
    assert verdict(told(joined(), frame(2))) == (1, 0, 0)


def test_a_double_and_a_step_back_are_noticed() -> None:
    assert verdict(told(joined(), frame(1, 2), frame(2, 3))) == (0, 1, 0)
    assert verdict(told(joined(), frame(2, 1))) == (1, 1, 0)


def test_a_recovered_join_goes_on_and_an_unrecovered_one_is_an_announced_hole() -> None:
    history = told(joined(), frame(1, 2))
    history.join("e", 9, recovered=True)
    assert verdict(told(history, frame(4))) == (1, 0, 0)
    history.join("e", 9, recovered=False)
    assert verdict(told(history, frame(8, 9))) == (1, 0, 1)
    history.join("other", 3, recovered=True)
    assert verdict(told(history, frame(2, 3))) == (1, 0, 2)


def test_two_viewers_told_differently_are_a_fork() -> None:
    book = Book()
    book.parse(frame(1, 2))
    assert book.forks == 0
    book.parse(frame(2, name="x"))
    assert book.forks == 1


def test_stamps_and_replies_are_found() -> None:
    parsed = Book().parse(b'[{"re":1,"ok":{}},{"offset":3,"type":"deal.opened","data":{"deal":{}}}]')
    assert (len(parsed.replies), [offset for offset, _ in parsed.events], parsed.stamps_ns) == (1, [3], [])
    assert Book().parse(frame(1, 2)).stamps_ns == [5, 5]


def test_two_viewers_who_were_told_otherwise_of_a_deal_are_a_fork_too() -> None:
    book = Book()
    claimed = b'{"offset":%d,"type":"deal.claimed","data":{"deal_id":"d","units":%d,"left":%d,"buyers":[],"more":0}}'
    book.parse(claimed % (1, 2, 8))
    book.parse(claimed % (1, 3, 7))
    assert book.forks == 1


def test_the_stock_that_was_told_has_to_follow_from_what_was_taken() -> None:
    step = StockStep
    right = {1: step("d", 2, 8), 2: step("e", 1, 1), 3: step("d", -1, 9), 9: step("d", 9, 0)}
    assert list(wrong_stock(right)) == []
    assert list(wrong_stock(right | {9: step("d", 8, 0)})) == ["offset 9: 9 left, 8 taken, 0 left"]
    assert list(wrong_stock({1: step("d", 2, -1)})) == ["offset 1: -1 left"]


def test_what_was_acknowledged_and_not_seen_is_counted() -> None:
    assert missing({1: "a", 2: "b"}, [(1, "a"), (2, "x"), (3, "c")]) == 2


def test_the_newest_count_of_viewers_is_kept() -> None:
    frame_ = b'[{"type":"viewers","as_of":1,"data":{"count":2}},{"type":"viewers","as_of":1,"data":{"count":3}}]'
    assert Book().parse(frame_).viewers == 3
    assert Book().parse(b'{"re":1,"ok":{}}').viewers is None
