"""streams: a WebRTC relay that forwards and never transcodes (WHIP in, WHEP out)."""
