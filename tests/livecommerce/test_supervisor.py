"""A real `livecommerce serve`: what it leaves behind when it is stopped or killed, and what it brings back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from livecommerce.data_dir import read_secret
from tests.running import RunningServer, free_port, healthy, running_server


def until(condition: Callable[[], bool], within_s: float = 30.0, said: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not in time:\n{said()}"
        time.sleep(0.02)


def family(server: RunningServer) -> list[psutil.Process]:
    """The supervisor's children: Valkey and the workers."""
    return psutil.Process(server.process.pid).children(recursive=True)


def command_of(process: psutil.Process) -> str:
    """Its command line; none for a process that has just died."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def valkey_of(server: RunningServer) -> psutil.Process:
    [valkey] = [p for p in family(server) if "valkey-server" in command_of(p)]
    return valkey


def workers_of(server: RunningServer) -> list[psutil.Process]:
    return [p for p in family(server) if "livecommerce.worker" in command_of(p)]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(_alive(p) for p in processes)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def serve(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to refuse to start."""
    command = [sys.executable, "-m", "livecommerce", "serve", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_takes_over(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        children = family(server)
        assert len(workers_of(server)) == 2
        os.kill(server.process.pid, signal.SIGKILL)
        until(lambda: gone(children), within_s=2.0)
        server.process.wait()
    with running_server(tmp_path) as again:
        assert healthy(again.url)


def test_sigterm_stops_everything_within_five_seconds(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        assert (tmp_path / "data" / "metrics").exists()
        children = family(server)
        server.process.terminate()
        assert server.process.wait(5) == 0
        assert gone(children)
        assert "Traceback" not in server.output()
        assert "SIGKILL" not in server.output()
    assert not (tmp_path / "data" / "valkey.sock").exists()
    assert not (tmp_path / "data" / "metrics").exists()


def test_ctrl_c_is_a_stop_and_not_a_traceback(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.output()


def test_a_stop_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "livecommerce", "serve", "--port", str(free_port())]
    for moment in ("data/lock", "data/valkey.sock"):
        process = subprocess.Popen([*command, "--data-dir", "data"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        until((tmp_path / moment).exists)
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        assert gone(children)
        (tmp_path / "data" / "lock").unlink()


def test_a_killed_worker_is_started_again_while_the_other_serves(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        first, second = workers_of(server)
        first.kill()
        until(lambda: len(workers_of(server)) == 2 and first not in workers_of(server), said=server.output)
        assert second in workers_of(server)
        until(lambda: healthy(server.url), said=server.output)
        assert "was killed by SIGKILL" in server.output()


def test_a_killed_valkey_is_started_again_under_the_same_workers(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        workers, valkey = workers_of(server), valkey_of(server)
        valkey.kill()
        until(lambda: gone([valkey]))
        until(lambda: healthy(server.url), said=server.output)
        assert valkey_of(server) != valkey
        assert workers_of(server) == workers


def test_a_data_directory_in_use_is_refused_and_the_first_server_goes_on(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        second = serve(tmp_path, "--port", str(free_port()), "--data-dir", "data")
        assert second.returncode == 1
        assert f"in use by process {server.process.pid};" in second.stderr
        assert "Traceback" not in second.stderr
        assert healthy(server.url)


def test_a_port_in_use_is_refused_even_when_it_is_ours(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        second = serve(tmp_path, "--port", port, "--data-dir", "other")
        assert second.returncode == 1
        assert f"Port {port} is in use" in second.stderr
        assert not (tmp_path / "other").exists()


def test_a_media_port_in_use_is_said_in_words_and_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        media_port = str(taken.getsockname()[1])
        refused = serve(tmp_path, "--port", str(free_port()), "--media-port", media_port, "--workers", "1")
    assert refused.returncode == 1
    assert "cannot start" in refused.stderr
    assert "The media port, UDP " in refused.stderr
    assert "Address already in use" in refused.stderr
    assert "The workers do not start; the reason is above." in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_useless_certificate_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    refused = serve(tmp_path, "--port", str(free_port()), "--tls-cert", "cert.pem", "--tls-key", "cert.pem")
    assert refused.returncode == 1
    assert "--tls-cert cert.pem" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_outside_server_that_does_not_answer_is_said_in_words(tmp_path: Path) -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}"
    refused = serve(
        tmp_path, "--port", str(free_port()), "--redis-url", url, "--secret", "k3yY-w1th-enough-d1fferent-bytes!"
    )
    assert refused.returncode == 1
    assert "does not answer" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    command = ["nohup", sys.executable, "-m", "livecommerce", "serve", "--port", str(free_port())]
    log = tmp_path / "log"
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
    try:
        until(lambda: "/studio" in log.read_text(), said=log.read_text)
        [valkey] = [p for p in psutil.Process(process.pid).children() if "valkey-server" in command_of(p)]
        process.send_signal(signal.SIGHUP)
        # A stop takes Valkey down within its first second; nothing but time can show that none has begun.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert not gone([valkey])
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert log.read_text().count("stopping") == 1


def test_the_links_are_said_once_it_is_ready_and_the_secret_never(tmp_path: Path) -> None:
    with running_server(tmp_path, "--log-level", "debug") as server:
        until(lambda: "/studio" in server.output(), said=server.output)
        port = server.url.rpartition(":")[2]
        assert f"http://localhost:{port}/studio" in server.output()
        secret = read_secret(tmp_path / "data")
        assert secret is not None
        assert secret not in server.output()
        for process in [psutil.Process(server.process.pid), *family(server)]:
            assert secret not in " ".join(process.cmdline())
            assert secret not in " ".join(process.environ().values())
