"""An asynchronous client of a livecommerce server: HTTP calls, and rooms over WebSocket.

>>> async with Client("http://localhost:8080") as client:
...     await client.sign_in("Ann")
...     async with client.room(stream_id) as room:
...         await room.chat("hello")
...         async for event in room:
...             if event.type == "deal.opened":
...                 order = await room.claim(event.data["deal"]["id"], units=1)

Objects of the server (streams, deals, orders…) are the plain dictionaries of its documented JSON (``/openapi.json``,
``/asyncapi.json``). A refusal raises :class:`ServerError` with the problem's code; a server that cannot be reached
raises :class:`Unreachable`.
"""

from livecommerce.client.errors import ClientError, RoomClosed, ServerError, Unreachable
from livecommerce.client.http import Client, MediaAnswer
from livecommerce.client.room import Room
from livecommerce.client.wire import Codec, Event

__all__ = ["Client", "ClientError", "Codec", "Event", "MediaAnswer", "Room", "RoomClosed", "ServerError", "Unreachable"]
