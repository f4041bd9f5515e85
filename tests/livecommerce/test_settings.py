"""Settings no server can have are refused, each with one sentence that names the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livecommerce.settings import Settings, SettingsError

SECRET = "a-secret-of-quite-enough-bytes-0123456789"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"port": 0, "workers": 4, "media_port": 65_532},
        {"host": "0.0.0.0", "secret": SECRET},
        {"host": "::1"},
        {"redis_url": "redis://valkey:6379/0", "secret": SECRET},
        {"redis_url": "unix:///run/valkey.sock", "secret": SECRET},
        {"public_url": "https://shop.example"},
        {"public_url": "http://[::1]:8080/"},
        {"media_host": "203.0.113.7,relay.shop.example"},
        {"trusted_proxy": ("10.0.0.0/8", "::1")},
        {"turn_url": "turn:turn.shop.example:3478?transport=udp", "turn_secret": "x"},
    ],
)
def test_what_a_server_can_run_with_is_accepted(options: dict[str, Any]) -> None:
    settings = Settings(**options)
    assert settings.checked() is settings


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"host": "no such host"}, "--host"),
        ({"host": "127.0.0.256"}, "--host"),
        ({"host": ""}, "--host"),
        ({"port": 65_536}, "--port"),
        ({"port": -1}, "--port"),
        ({"workers": 0}, "--workers"),
        ({"media_port": -1}, "--media-port"),
        ({"media_port": 70_000}, "--media-port"),
        ({"end_after": -1}, "--end-after"),
        ({"end_after": 400 * 86_400}, "--end-after"),
        ({"media_port": 65_533, "workers": 4}, "--media-port"),
        ({"media_host": "0.0.0.0"}, "--media-host"),
        ({"media_host": "1.2.3.4,"}, "--media-host"),
        ({"host": "0.0.0.0"}, "needs a --secret"),
        ({"host": "0.0.0.0", "demo": True}, "needs a --secret"),
        ({"host": "shop.example"}, "needs a --secret"),
        ({"redis_url": "redis://valkey:6379"}, "needs a --secret"),
        ({"secret": "short"}, "at least 32 bytes"),
        ({"secret": "change-me-" * 5}, "easily guessed"),
        ({"secret": "a" * 64}, "easily guessed"),
        ({"redis_url": "valkey:6379", "secret": SECRET}, "--redis-url"),
        ({"redis_url": "redis://", "secret": SECRET}, "--redis-url"),
        ({"redis_url": "redis://valkey:port", "secret": SECRET}, "--redis-url"),
        ({"redis_url": "unix://", "secret": SECRET}, "--redis-url"),
        ({"public_url": "shop.example"}, "--public-url"),
        ({"public_url": "https://shop.example/live"}, "--public-url"),
        ({"public_url": "https://shop.example?x=1"}, "--public-url"),
        ({"public_url": "https://me:pw@shop.example"}, "--public-url"),
        ({"public_url": "https://[shop"}, "--public-url"),
        ({"trusted_proxy": ("10.0.0.0/40",)}, "--trusted-proxy"),
        ({"allow_origin": ("shop.example",)}, "--allow-origin"),
        ({"allow_origin": ("https://shop.example/page",)}, "--allow-origin"),
        ({"turn_url": "turn:turn.shop.example"}, "--turn-secret"),
        ({"turn_secret": "x"}, "--turn-url"),
        ({"turn_url": "https://turn.shop.example", "turn_secret": "x"}, "--turn-url"),
        ({"tls_cert": "cert.pem"}, "--tls-key"),
        ({"tls_cert": "/nowhere/cert.pem", "tls_key": "/nowhere/key.pem"}, "/nowhere/cert.pem"),
        ({"data_dir": Path(__file__)}, "--data-dir"),
    ],
)
def test_what_no_server_can_run_with_is_refused_by_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**options).checked()
    sentence = str(refused.value)
    assert named in sentence
    assert "\n" not in sentence


def test_a_refusal_does_not_repeat_the_secret() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(secret="hunter2").checked()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "development"),
    [
        (Settings(), True),
        (Settings(public_url="https://shop.example"), False),
        (Settings(trusted_proxy=("10.0.0.0/8",)), False),
        (Settings(host="0.0.0.0"), False),
        (Settings(host="0.0.0.0", demo=True), True),
    ],
)
def test_simulated_payments_are_for_a_server_that_only_this_machine_reaches_or_a_demo(
    settings: Settings, development: bool
) -> None:
    assert settings.development is development
