"""chat: what people say in a room, and its moderation."""
