"""A show's poster: who may send what, how it is served, and when it is gone."""

from __future__ import annotations

import io

import av
import pytest

from livecommerce import keys
from livecommerce.jpeg import jpeg_size
from livecommerce.posters import KEPT_S, MAX_POSTER_BYTES, MOST_KEPT, Posters
from tests.livecommerce.edge import EdgeWorker
from tests.livecommerce.rooms import room_worker


def picture(width: int = 64, height: int = 96, shade: int = 90) -> bytes:
    """A grey JPEG picture."""
    frame = av.VideoFrame(width, height, "yuvj420p")
    for plane, value in zip(frame.planes, (shade, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    written = io.BytesIO()
    with av.open(written, "w", format="mjpeg") as file:
        stream = file.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return written.getvalue()


JPEG = {"Content-Type": "image/jpeg"}


def test_the_size_of_a_picture_is_read_without_decoding_it() -> None:
    body = picture(1280, 16)
    assert jpeg_size(body) == (1280, 16)
    frame = body.index(b"\xff\xc0")
    progressive = body[:frame] + b"\xff\xc2" + body[frame + 2 :]
    endless = b"\xff\xd8" + b"\xff\xe0\x00\x00" * 5 + b"\xff\xd9"
    no_height = body[: frame + 5] + b"\0\0" + body[frame + 7 :]
    for other in (b"", b"\xff\xd8\xff\xd9", body[:-2], body[2:], progressive, endless, no_height, b"<svg/>" + body):
        assert jpeg_size(other) is None
    for end in range(len(body)):
        assert jpeg_size(body[:end] + b"\xff\xd9") in (None, (1280, 16))


async def test_a_poster_is_shown_to_everybody_and_kept_by_its_tag(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    host, path = edge.token("host", "host"), f"/api/v1/streams/{stream_id}/poster"
    assert (await edge.ask("GET", path)).code == "not_found"
    first, second = picture(), picture(shade=200)
    assert (await edge.ask("PUT", path, token=host, data=first, headers=JPEG)).status == 204
    url = (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["poster_url"]
    assert url.startswith(f"{edge.url}{path}?v=")
    shown = await edge.ask("GET", url.removeprefix(edge.url))
    assert (shown.status, shown.raw) == (200, first)
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "immutable" in shown.headers["Cache-Control"]
    known = await edge.ask("GET", path, headers={"If-None-Match": shown.headers["ETag"]})
    assert (known.status, known.headers["Cache-Control"]) == (304, "no-cache")

    assert (await edge.ask("PUT", path, token=host, data=second, headers=JPEG)).status == 204
    later = (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["poster_url"]
    assert later != url
    # who still has the first address gets what there is, not to be kept under that name
    assert (await edge.ask("GET", path)).raw == second
    assert 0 < await edge.context.redis.ttl(keys.poster(stream_id)) <= KEPT_S
    await edge.context.redis.delete(keys.poster(stream_id))
    assert (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["poster_url"] is None
    assert (await edge.ask("GET", path)).status == 404


async def test_only_the_host_s_small_jpeg_is_taken(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    host, path = edge.token("host", "host"), f"/api/v1/streams/{stream_id}/poster"
    body = picture()
    refused = {
        "token_required": await edge.ask("PUT", path, data=body, headers=JPEG),
        "forbidden": await edge.ask("PUT", path, token=edge.token("other", "host"), data=body, headers=JPEG),
        "stream_not_found": await edge.ask("PUT", "/api/v1/streams/none/poster", token=host, data=body, headers=JPEG),
        "unsupported_media_type": await edge.ask(
            "PUT", path, token=host, data=body, headers={"Content-Type": "image/svg+xml"}
        ),
        "too_large": await edge.ask("PUT", path, token=host, data=bytes(MAX_POSTER_BYTES + 1), headers=JPEG),
        "invalid": await edge.ask("PUT", path, token=host, data=b"<script>alert(1)</script>", headers=JPEG),
    }
    assert {code: answer.code for code, answer in refused.items()} == {code: code for code in refused}
    wide = await edge.ask("PUT", path, token=host, data=picture(2048, 16), headers=JPEG)
    assert wide.code == "invalid"
    assert (await edge.ask("GET", path)).status == 404
    assert (await edge.ask("DELETE", f"/api/v1/streams/{stream_id}", token=host)).status == 200
    assert (await edge.ask("PUT", path, token=host, data=body, headers=JPEG)).code == "stream_ended"


async def test_posters_come_at_a_pace_and_few_stay_in_memory(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    stream_id = await edge.stream()
    host, path = edge.token("host", "host"), f"/api/v1/streams/{stream_id}/poster"
    body = picture()
    answers = [await edge.ask("PUT", path, token=host, data=body, headers=JPEG) for _ in range(4)]
    assert [answer.status for answer in answers] == [204, 204, 204, 429]
    assert answers[-1].body["retry_after_ms"] > 0

    posters = Posters(edge.context.redis)
    for number in range(MOST_KEPT + 1):
        await posters.put(f"{stream_id}-{number}", body)
        assert await posters.get(f"{stream_id}-{number}", None) is not None
    newest, oldest = f"{stream_id}-{MOST_KEPT}", f"{stream_id}-0"
    kept = await posters.get(newest, None)
    assert kept is not None
    await edge.context.redis.delete(keys.poster(newest), keys.poster(oldest))
    assert await posters.get(newest, kept.tag) == kept
    assert await posters.get(oldest, kept.tag) is None
    assert await posters.get(newest, "another") is None


async def test_who_joins_is_told_where_the_poster_is(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        with_one, without = await worker.stream(), await worker.stream()
        path = f"/api/v1/streams/{with_one}/poster"
        headers = JPEG | {"Authorization": f"Bearer {worker.token('host', 'host')}"}
        async with worker.client.put(worker.url + path, data=picture(), headers=headers) as answer:
            assert answer.status == 204
        told = [(await worker.join(each)).joined["stream"]["poster_url"] for each in (with_one, without)]
        assert told[0].startswith(f"https://shop.example{path}?v=")
        assert told[1] is None
