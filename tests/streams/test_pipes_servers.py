"""Two server processes on one Valkey: a viewer at one watches a host at the other, through a pipe."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from load_tests.viewers_host import Rate, SyntheticHost
from load_tests.viewers_peers import Crowd
from load_tests.whep_peer import Shared
from tests.running import running_server
from tests.streams.namespaces import Machine, machines
from tests.streams.peers import until

__all__ = ["machines"]  # the fixture

SECRET = "two-servers-share-this-secret-of-enough-bytes"
RATE = Rate(frames_per_s=25, frame_bytes=3300, packet_bytes=1100, audio=True)


async def ask(http: aiohttp.ClientSession, method: str, url: str, token: str = "", body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.request(method, url, json=body, headers=headers) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


async def watch_across(one: str, two: str) -> None:
    """A host and a viewer at the first server, three viewers at the second; figures and the end reach all."""
    async with aiohttp.ClientSession() as http:
        token = (await ask(http, "POST", f"{one}/api/v1/guest", body={"name": "Host"}))["token"]
        stream = await ask(http, "POST", f"{one}/api/v1/streams", token, {"title": "Pipes"})
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, stream["urls"]["whip"], token)
        address = f"{one}/api/v1/streams/{stream['id']}"
        while (await ask(http, "GET", address))["state"] != "live":
            pass
        here, there = Crowd(1), Crowd(3)
        await here.join(http, stream["urls"]["whep"], [token], 100.0, (0.0, 1.0))
        other = stream["urls"]["whep"].replace(one, two)
        await there.join(http, other, [token], 100.0, (0.0, 1.0))
        await until("a picture at each", lambda: len(there.result()["first_frame_ms"]) == 3)
        there.restart()
        await until("frames", lambda: there.result()["frames"] > 60)
        result = there.result()
        assert (result["lost"], result["unauthentic"], result["frames_incomplete"]) == (0, 0, 0)
        await until("sound", lambda: all(viewer.audio_packets > 5 for viewer in there.viewers))
        # A session names the second server: what it sends came from there.
        workers = {viewer.peer.location.rsplit("/", 1)[1].partition(".")[0] for viewer in there.viewers}
        assert len(workers) == 1
        assert workers.isdisjoint({here.viewers[0].peer.location.rsplit("/", 1)[1].partition(".")[0]})
        stats = await ask(http, "GET", f"{two}/api/v1/streams/{stream['id']}/stats?viewers=5", token)
        # Whichever is asked: the home adds what the puller counts of its viewers.
        assert (stats["viewers"], stats["pipes"], len(stats["viewers_in_detail"])) == (4, 1, 4)
        assert [(row["home"], row["viewers"]) for row in stats["workers"]] == [(True, 1), (False, 3)]
        assert stats["packets_sent"] > sum(row["packets_sent"] for row in stats["workers"]) - 100
        # What the puller drops, and how its viewers joined, is in its own metrics; told once a second.
        metrics = ""
        while 'joined_total{within_s="+Inf"} 3.0' not in metrics:
            async with http.get(f"{two}/metrics") as answer:
                metrics = await answer.text()
        assert "livecommerce_media_runs_dropped_total 0.0" in metrics
        await ask(http, "DELETE", f"{two}/api/v1/streams/{stream['id']}", token)
        sessions: list[Any] = [viewer.peer._dtls for viewer in there.viewers]
        await until("those at the other server are told that it is over", lambda: all(s.closed for s in sessions))
        await here.aclose()
        await there.aclose()
        await host.aclose(http, token)


async def test_a_viewer_at_another_server_is_served_there(valkey_url: str, tmp_path: Path) -> None:
    options = ("--redis-url", valkey_url, "--secret", SECRET, "--guests", "on")
    with running_server(tmp_path, *options) as one, running_server(tmp_path, *options) as two:
        await watch_across(one.url, two.url)


@pytest.mark.soak
async def test_a_viewer_at_another_machine_is_served_there(
    valkey_url: str, tmp_path: Path, machines: tuple[Machine, Machine]
) -> None:
    """Each server is in a network of its own, found by its own address; only the Valkey is reached by a file."""
    options = ("--redis-url", valkey_url, "--secret", SECRET, "--guests", "on", "--host", "0.0.0.0")
    urls = []
    with contextlib.ExitStack() as stack:
        for machine in machines:
            with machine.inside():
                server = stack.enter_context(running_server(tmp_path / machine.name, *options))
            urls.append(server.url.replace("127.0.0.1", machine.address))
        await watch_across(*urls)
