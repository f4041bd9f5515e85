"""Ids that nobody guesses and no two things share."""

from __future__ import annotations

import os
import threading

from livecommerce.ids import new_id


def test_ids_have_their_length_and_differ_between_calls_and_threads() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(new_id("d") for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8000
    assert {(one[0], len(one)) for one in found} == {("d", 13)}
    assert len(new_id("", 9000)) == 9000
    assert not set("".join(found)) & set("aeiou01l")


def test_a_forked_process_makes_other_ids() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 64).decode() not in {new_id() for _ in range(200)}
    os.close(reading)
    os.close(writing)
