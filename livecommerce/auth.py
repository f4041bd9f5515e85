"""Who may do what: JWTs with grants (RFC 7519), minted by the shop's back end, the CLI, or guest sign-in."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import jwt
import msgspec

from livecommerce.problems import Problem
from livecommerce.token_keys import Key, PublicKey

AUDIENCE = "livecommerce"
#: the stream claim that means "every stream"
EVERY_STREAM = "*"
#: RFC 7518 §3.2: an HS256 key must have at least 256 bits
MIN_SECRET_BYTES = 32
#: verified tokens kept, least recently used first out: at about 500 bytes each, 5 MB
MAX_REMEMBERED = 10_000
#: the header that PyJWT (and most others) write for HS256
_HS256_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
#: claims with no rules beyond those checked here
_USUAL_CLAIMS = frozenset({"sub", "name", "stream", "can", "aud", "exp", "iat", "jti", "single"})
#: a display name's bound, in characters
MAX_NAME = 40
#: and a token id's
MAX_TOKEN_ID = 128


class Grant(StrEnum):
    """What a token allows."""

    WATCH = "watch"
    CHAT = "chat"
    BUY = "buy"
    HOST = "host"
    MODERATE = "moderate"
    ADMIN = "admin"


_GRANTS = {grant.value: grant for grant in Grant}
#: what a guest may do (and host streams of their own)
GUEST_GRANTS = frozenset({Grant.WATCH, Grant.CHAT, Grant.BUY, Grant.HOST})


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified token's bearer: ``user_id`` (``sub``), public ``name``, ``stream`` (one id or ``*``) and grants.

    ``single`` is the token's id where it asks for one connection a room at a time (claims ``jti`` and ``single``).
    """

    user_id: str
    name: str
    stream: str
    can: frozenset[Grant]
    expires_s: int
    single: str = ""

    def may(self, grant: Grant, stream_id: str) -> bool:
        """Whether the token allows ``grant`` in this stream (``admin`` allows all)."""
        return (grant in self.can or Grant.ADMIN in self.can) and self.stream in (EVERY_STREAM, stream_id)

    def controls(self, stream_id: str, host_id: str) -> bool:
        """Whether the bearer runs this stream: its host, a host token naming the stream, or an admin."""
        if not self.may(Grant.HOST, stream_id):
            return False
        return Grant.ADMIN in self.can or self.user_id == host_id or self.stream == stream_id

    def moderates(self, stream_id: str, host_id: str) -> bool:
        """Whether the bearer may moderate this stream's chat."""
        return self.controls(stream_id, host_id) or self.may(Grant.MODERATE, stream_id)


class TokenAuthority:
    """Mints and verifies tokens. Each key has one algorithm, and there are no others.

    The secret is HS256's: guests, the ``livecommerce token`` command, the demo. A shop may sign with it too, or with
    a key of its own whose public half is known here (RS256, ES256); then it alone can mint what that key signs.
    """

    def __init__(
        self, secret: str, *, public_keys: Sequence[PublicKey] = (), now_s: Callable[[], float] = time.time
    ) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must have at least {MIN_SECRET_BYTES} bytes")
        self._secret = secret
        self._keys: dict[str, list[str | Key]] = {"HS256": [secret]}
        for algorithm, key in public_keys:
            self._keys.setdefault(algorithm, []).append(key)
        self._now_s = now_s
        self._verified: OrderedDict[str, Identity] = OrderedDict()

    def mint(
        self,
        user_id: str,
        name: str,
        can: Iterable[str],
        *,
        stream: str = EVERY_STREAM,
        ttl_s: int = 12 * 3600,
        single: bool = False,
    ) -> str:
        """A signed token for ``ttl_s`` seconds; ``single``: its newest connection to a room closes the one before."""
        claims = {
            "sub": user_id,
            "name": name,
            "stream": stream,
            "can": sorted(Grant(g).value for g in can),
            "aud": AUDIENCE,
            "exp": int(self._now_s()) + ttl_s,
        }
        if single:
            claims |= {"jti": secrets.token_hex(8), "single": True}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, the same on every worker, from which the secret cannot be learned."""
        return hmac.digest(self._secret.encode(), f"livecommerce/{purpose}".encode(), "sha256")

    def verify(self, token: str) -> Identity:
        """The bearer of a token.

        Raises :class:`Problem` ``token_expired`` or ``token_invalid``; the detail never repeats the token.
        """
        # A viewer asks many times with one token, and checking it takes 60 µs: the last good ones are remembered.
        identity = self._verified.get(token)
        if identity is None:
            identity = self._verified[token] = self._check(token)
            if len(self._verified) > MAX_REMEMBERED:
                self._verified.popitem(last=False)
        elif identity.expires_s <= self._now_s():
            del self._verified[token]
            raise Problem("token_expired", "The token has expired; get a new one.")
        else:
            self._verified.move_to_end(token)
        return identity

    def _check(self, token: str) -> Identity:
        try:
            return _identity(self._plain_claims(token) or self._claims(token))
        except jwt.ExpiredSignatureError:
            raise Problem("token_expired", "The token has expired; get a new one.") from None
        except (jwt.InvalidTokenError, ValueError, UnicodeError):
            raise Problem("token_invalid", "The token is not one of ours.") from None

    def _plain_claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a good token of the most usual form, or ``None``: then PyJWT has to judge.

        A flash sale brings thousands of new tokens in a second, and PyJWT takes 330 µs for each; this takes 12.
        """
        header, _, rest = token.partition(".")
        payload, _, signature = rest.partition(".")
        if header != _HS256_HEADER or not token.isascii():
            return None
        signed = hmac.digest(self._secret.encode(), f"{header}.{payload}".encode(), "sha256")
        if not hmac.compare_digest(base64.urlsafe_b64encode(signed).rstrip(b"="), signature.encode()):
            return None
        try:
            claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        now_s = self._now_s()
        usual = (
            isinstance(claims, dict)
            and claims.get("aud") == AUDIENCE
            and claims.keys() <= _USUAL_CLAIMS
            and type(claims.get("exp")) is int
            and claims["exp"] > now_s
            and type(issued_s := claims.get("iat", 0)) is int
            and issued_s <= now_s
            and isinstance(claims.get("sub"), str)
            and isinstance(claims.get("jti", ""), str)
        )
        return claims if usual else None

    def _claims(self, token: str) -> dict[str, Any]:
        # The header's algorithm only chooses among keys made for it: a public key never serves as an HMAC secret.
        algorithm = jwt.get_unverified_header(token).get("alg")
        if not isinstance(algorithm, str):
            raise jwt.InvalidAlgorithmError
        for key in self._keys.get(algorithm, ()):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=AUDIENCE,
                    options={"require": ["exp", "aud", "sub"]},
                )
            except jwt.InvalidSignatureError:
                continue
            return claims
        raise jwt.InvalidSignatureError


def _identity(claims: dict[str, Any]) -> Identity:
    subject, name, stream = claims["sub"], claims.get("name", "guest"), claims.get("stream", "")
    can, single, token_id = claims.get("can", []), claims.get("single", False), claims.get("jti", "")
    well_formed = (
        isinstance(subject, str)
        and 0 < len(subject) <= 128
        and subject.isprintable()
        and isinstance(name, str)
        and isinstance(stream, str)
        and isinstance(can, list)
        and all(isinstance(g, str) for g in can)
        and isinstance(single, bool)
        and isinstance(token_id, str)
        # Without an id nobody could tell which connections are the same token's.
        and (not single or 0 < len(token_id) <= MAX_TOKEN_ID)
    )
    if not well_formed:
        raise Problem("token_invalid", "The token's claims are not of the documented form.")
    return Identity(
        subject,
        name.strip()[:MAX_NAME] or "guest",
        stream,
        _known(frozenset(can)),
        int(claims["exp"]),
        token_id if single else "",
    )


@lru_cache(maxsize=256)
def _known(can: frozenset[str]) -> frozenset[Grant]:
    """The same set for all whose tokens say the same: thousands of viewers do."""
    # A grant this version does not know allows nothing; refusing the token would break newer mints.
    return frozenset(_GRANTS[g] for g in can if g in _GRANTS)
