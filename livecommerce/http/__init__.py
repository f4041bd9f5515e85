"""The HTTP edge: routes, problems, WHIP/WHEP."""
