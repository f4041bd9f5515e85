"""Trickle ICE fragments (RFC 8840, RFC 9725 §4.3): what a PATCH says. Pure.

The relay is ICE-lite: it never sends checks, so a peer's candidates are read and forgotten. A new user fragment is an
ICE restart.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from streams.relay_errors import BadFragment

MAX_BYTES = 64 * 1024
#: ice-char (RFC 8839 §5.4)
_ICE = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")  # real clients add base64url's own two


class Fragment(NamedTuple):
    """A parsed fragment; empty texts where it says nothing."""

    ufrag: str
    password: str
    candidates: int
    end: bool


def parse_fragment(text: str) -> Fragment:
    """The fragment; raises BadFragment when it is none. Candidates of any kind count, as none is used."""
    if len(text) > MAX_BYTES:
        raise BadFragment("The trickle fragment is too large.")
    ufrag = password = ""
    candidates, end, known = 0, False, 0
    for line in text.replace("\r", "\n").split("\n"):
        name, _, value = line.strip().partition(":")
        if name in ("a=ice-ufrag", "a=ice-pwd") and not _ICE.fullmatch(value):
            raise BadFragment("The trickle fragment's ICE credentials are malformed.")
        if name == "a=ice-ufrag":
            ufrag = ufrag or value
        elif name == "a=ice-pwd":
            password = password or value
        elif name == "a=candidate":
            candidates += 1
        elif name == "a=end-of-candidates":
            end = True
        elif not name.startswith(("a=", "m=", "v=", "o=", "s=", "t=", "c=")):
            if name:
                raise BadFragment("The body is no trickle fragment.")
            continue
        known += 1
    if not known:
        raise BadFragment("The trickle fragment is empty.")
    return Fragment(ufrag, password, candidates, end)


def write_fragment(ufrag: str, password: str, candidate_lines: list[str], mid: str, kind: str) -> str:
    """The answer to a restart: new credentials and all candidates."""
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", f"m={kind} 9 RTP/AVP 0", f"a=mid:{mid}", *candidate_lines]
    return "\r\n".join(lines) + "\r\n"
