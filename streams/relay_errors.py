"""Refusals of the media relay."""

from __future__ import annotations

from streams.errors import StreamsError


class BadSdp(StreamsError):
    """A session description that cannot be read, or offers nothing the relay carries: the caller's fault."""

    code = "bad_sdp"


class BadFragment(StreamsError):
    """A PATCH body that is no usable trickle-ice-sdpfrag: the caller's fault."""

    code = "invalid"


class SessionNotFound(StreamsError):
    """No such media session on this worker, or no longer."""

    code = "session_not_found"


class Full(StreamsError):
    """As many sessions as this worker may have: try again later."""

    code = "full"


class PreconditionRequired(StreamsError):
    """An ICE restart has to say by If-Match which ICE session it replaces."""

    code = "precondition_required"


class PreconditionFailed(StreamsError):
    """The If-Match names an ICE session that is no longer current."""

    code = "precondition_failed"


class NotHere(StreamsError):
    """The stream's media cannot be had from this worker now: ask its origin."""

    code = "unavailable"
