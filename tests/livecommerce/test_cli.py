"""The command line: options, environment, tokens, and refusals in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from livecommerce import cli
from livecommerce import cores as cores_module
from livecommerce.auth import Grant, TokenAuthority
from livecommerce.cores import default_workers, usable_cores
from livecommerce.data_dir import make_secret
from livecommerce.limits import Limits, Rate
from livecommerce.settings import Settings

KEY_FILE = Path(__file__).with_name("shop_public_key.pem")
SECRET = "a-secret-of-quite-enough-bytes-0123456789"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What `serve` would run with; nothing is started."""
    seen: list[Settings] = []
    monkeypatch.setattr(cli, "_run", seen.append)
    return seen


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(cli.cli, arguments)


def test_serve_without_options_has_the_documented_defaults(served: list[Settings]) -> None:
    assert run("serve").exit_code == 0
    assert served == [Settings(workers=default_workers(demo=False))]


def test_unasked_there_is_a_worker_for_each_core_but_one_for_the_demo(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores in (1, 6, 64):
        monkeypatch.setattr(cores_module, "usable_cores", lambda cores=cores: cores)
        assert run("serve").exit_code == 0
    assert run("serve", "--demo").exit_code == 0
    assert run("serve", "--demo", "--workers", "3").exit_code == 0
    assert [each.workers for each in served] == [1, 6, 16, 1, 3]


def test_a_container_s_quota_counts_as_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    assert usable_cores(quota) == 8
    for text, expected in (
        ("max 100000", 8),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
    ):
        quota.write_text(text + "\n")
        assert usable_cores(quota) == expected, text


#: every field of the settings, as an option's words and as it ends up
GIVEN: dict[str, tuple[str, Any]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("9000", 9000),
    "media_host": ("203.0.113.7", "203.0.113.7"),
    "media_port": ("50000", 50000),
    "workers": ("3", 3),
    "redis_url": ("redis://valkey:6379", "redis://valkey:6379"),
    "data_dir": ("/tmp/d", Path("/tmp/d")),
    "public_url": ("https://shop.example", "https://shop.example"),
    "guests": ("off", "off"),
    "secret": (SECRET, SECRET),
    "token_public_key": (str(KEY_FILE), str(KEY_FILE)),
    "limit": ("user=2.5/7,viewers=9", Limits(user=Rate(2.5, 7), viewers=9)),
    "trusted_proxy": ("10.0.0.0/8,192.168.0.0/16", ("10.0.0.0/8", "192.168.0.0/16")),
    "allow_origin": ("https://a.example,https://b.example", ("https://a.example", "https://b.example")),
    "payments": ("my_shop.payments:provider", "my_shop.payments:provider"),
    "end_after": ("60", 60),
    "turn_url": ("turn:turn.shop.example", "turn:turn.shop.example"),
    "turn_secret": ("s", "s"),
    "tls_cert": (__file__, __file__),
    "tls_key": (__file__, __file__),
    "demo": ("", True),
    "log_level": ("debug", "debug"),
}


def test_this_test_knows_every_setting() -> None:
    assert set(GIVEN) == {field.name for field in msgspec.structs.fields(Settings)}


def test_every_setting_is_an_option_and_an_environment_variable(served: list[Settings]) -> None:
    options = [w for n, (text, _) in GIVEN.items() for w in (f"--{n.replace('_', '-')}", text) if w]
    by_option = run("serve", *options)
    by_environment = run("serve", env={f"LIVECOMMERCE_{n.upper()}": text or "1" for n, (text, _) in GIVEN.items()})
    assert (by_option.exit_code, by_environment.exit_code) == (0, 0), by_option.output + by_environment.output
    expected = Settings(**{name: value for name, (_, value) in GIVEN.items()})
    assert served == [expected, expected]


def test_an_option_beats_its_environment_variable(served: list[Settings]) -> None:
    run("serve", "--port", "9001", env={"LIVECOMMERCE_PORT": "9002"})
    assert served[0].port == 9001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--host", "0.0.0.0"], "needs a --secret"),
        (["serve", "--limit", "user=20"], "write it like user=20/100"),
        (["serve", "--limit", "speed=1/1"], "choose from address, guest"),
        (["serve", "--token-public-key", __file__], "--token-public-key"),
        (["serve", "--port", "eighty"], "'eighty' is not a valid integer"),
        (["serve", "--guests", "maybe"], "'maybe' is not one of"),
        (["serve", "--prot", "1"], "No such option"),
        (["token"], "--sub"),
        (["token", "--sub", "a", "--secret", "short"], "at least 32 bytes"),
        (["token", "--sub", "a", "--secret", SECRET, "--can", "fly"], "no grant 'fly'"),
        (["token", "--sub", "a", "--secret", SECRET, "--ttl", "soon"], "--ttl 'soon'"),
        (["token", "--sub", "a", "--secret", SECRET, "--ttl", "0"], "--ttl '0'"),
        (["token", "--sub", "a", "--secret", SECRET, "--ttl", "999999999d"], "at most a year"),
        (["token", "--sub", "", "--secret", SECRET], "--sub"),
        (["token", "--sub", "a", "--data-dir", "/nowhere"], "There is no secret in /nowhere"),
    ],
)
def test_a_wrong_command_is_refused_in_words(arguments: list[str], said: str, served: list[Settings]) -> None:
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert "Traceback" not in result.output
    assert served == []


def test_a_minted_token_says_what_was_asked() -> None:
    result = run(
        *("token", "--sub", "42", "--name", "Bob", "--can", "watch,chat", "--can", "buy"),
        *("--stream", "s1", "--ttl", "2h", "--secret", SECRET),
    )
    identity = TokenAuthority(SECRET).verify(result.output.strip())
    assert (identity.user_id, identity.name, identity.stream) == ("42", "Bob", "s1")
    assert identity.can == {Grant.WATCH, Grant.CHAT, Grant.BUY}


def test_a_token_is_signed_with_the_secret_kept_in_the_data_directory(tmp_path: Path) -> None:
    secret = make_secret(tmp_path)
    result = run("token", "--sub", "ann", "--can", "host", "--data-dir", str(tmp_path))
    assert TokenAuthority(secret).verify(result.output.strip()).can == {Grant.HOST}


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800)]
)
def test_a_duration_is_read_in_its_unit(text: str, expected: int) -> None:
    assert cli.seconds(text) == expected


def test_help_teaches_by_example() -> None:
    assert "serve --demo" in run("--help").output
    serve = run("serve", "--help").output
    assert "Examples:" in serve
    assert "LIVECOMMERCE_MEDIA_PORT" in serve
    for name in GIVEN:
        assert f"--{name.replace('_', '-')}" in serve
    assert "Examples:" in run("token", "--help").output


def test_the_version_is_said() -> None:
    assert run("--version").output.startswith("livecommerce, version 0.")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(media_port=50000, workers=3), "media on UDP 50000 to 50002"),
        (Settings(media_port=50000), "media on UDP 50000\n"),
    ],
)
def test_a_start_says_which_udp_ports_have_to_be_open(
    settings: Settings, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.announce(settings, "http://localhost:8080")
    assert said in capsys.readouterr().out


def test_free_udp_ports_are_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    cli.announce(Settings(workers=3), "http://localhost:8080")
    assert "UDP" not in capsys.readouterr().out


@pytest.mark.parametrize("command", [["journal"], ["reconcile"], ["forget", "--days", "3"]])
@pytest.mark.parametrize("url", ["valkey", "redis://127.0.0.1:99999", "unix://"])
def test_books_that_can_be_nowhere_are_refused_in_words(command: list[str], url: str) -> None:
    result = run(*command, "--redis-url", url)
    assert (result.exit_code, "--redis-url must look like" in result.output) == (1, True), result.output
