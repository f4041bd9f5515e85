"""A shop signs with a key of its own: its public half lets it in, and nothing else in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from livecommerce.auth import TokenAuthority
from livecommerce.problems import Problem
from livecommerce.settings import Settings, SettingsError
from livecommerce.token_keys import KeyFileError, read_public_keys
from tests.livecommerce.edge import SECRET

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
CLAIMS: dict[str, Any] = {
    "sub": "shopper",
    "can": ["buy"],
    "stream": "*",
    "aud": "livecommerce",
    "exp": 4_000_000_000,
}

KeyFile = Callable[..., Path]


def pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    def write(*parts: bytes) -> Path:
        path = tmp_path / "keys.pem"
        path.write_bytes(b"a comment\n".join(parts))
        return path

    return write


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256")])
def test_the_shops_tokens_are_accepted_besides_our_own(key_file: KeyFile, key: Any, algorithm: str) -> None:
    authority = TokenAuthority(SECRET, public_keys=read_public_keys(key_file(pem(key))))
    token = jwt.encode(CLAIMS, key, algorithm=algorithm)
    assert authority.verify(token).user_id == "shopper"
    assert authority.verify(authority.mint("guest", "Ann", ["buy"])).user_id == "guest"
    with pytest.raises(Problem) as refused:
        TokenAuthority(SECRET).verify(token)
    assert refused.value.code == "token_invalid"
    with pytest.raises(Problem) as expired:
        authority.verify(jwt.encode(CLAIMS | {"exp": 1_000_000_000}, key, algorithm=algorithm))
    assert expired.value.code == "token_expired"


def test_a_shop_may_change_its_key(key_file: KeyFile) -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    authority = TokenAuthority(SECRET, public_keys=read_public_keys(key_file(pem(EC), pem(new), pem(RSA))))
    for key, algorithm in ((EC, "ES256"), (new, "ES256"), (RSA, "RS256")):
        assert authority.verify(jwt.encode(CLAIMS, key, algorithm=algorithm)).user_id == "shopper"


def forgeries() -> dict[str, str]:
    public = pem(RSA).decode()
    header, _, rest = jwt.encode(CLAIMS, RSA, algorithm="RS256").partition(".")
    # PyJWT refuses to sign with a public key as an HMAC secret, so the classic forgery is made by its parts.
    algorithm = jwt.get_algorithm_by_name("HS256")
    hs_header = jwt.encode(CLAIMS, "x" * 32, algorithm="HS256").partition(".")[0]
    signed = f"{hs_header}.{rest.partition('.')[0]}".encode()
    confused = signed + b"." + jwt.utils.base64url_encode(algorithm.sign(public.encode(), signed))
    return {
        "the public key as an HMAC secret": confused.decode(),
        "another algorithm of the same key": jwt.encode(CLAIMS, RSA, algorithm="RS512"),
        "another key": jwt.encode(CLAIMS, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "no algorithm": jwt.encode(CLAIMS, "", algorithm="none"),
        "a header that was exchanged": f"{hs_header}.{rest}",
        "a signature cut off": f"{header}.{rest.rpartition('.')[0]}.",
    }


@pytest.mark.parametrize("name", list(forgeries()))
def test_a_forged_token_is_refused(key_file: KeyFile, name: str) -> None:
    authority = TokenAuthority(SECRET, public_keys=read_public_keys(key_file(pem(RSA), pem(EC))))
    with pytest.raises(Problem) as refused:
        authority.verify(forgeries()[name])
    assert refused.value.code == "token_invalid"


def private(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        (b"", "must hold 1 to 8"),
        (b"hello", "must hold 1 to 8"),
        (pem(EC) * 9, "must hold 1 to 8"),
        (private(EC), "holds a private key"),
        (pem(EC) + private(RSA), "holds a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "neither RSA"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "neither RSA"),
        (pem(rsa.generate_private_key(65537, 1024)), "neither RSA"),
    ],
)
def test_a_file_that_would_not_do_is_refused_before_the_server_starts(
    key_file: KeyFile, contents: bytes, why: str
) -> None:
    path = key_file(contents)
    with pytest.raises(KeyFileError, match=why):
        read_public_keys(path)
    with pytest.raises(SettingsError, match=f"--token-public-key .*{why}"):
        Settings(token_public_key=str(path)).checked()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings(token_public_key=str(tmp_path / "none.pem")).checked()
