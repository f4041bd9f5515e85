"""The HTTP edge: routes, what every request has in common, documents that describe it, health, and the pages."""
