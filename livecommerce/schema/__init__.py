"""The types of everything on the WebSocket: they validate what comes in and generate /asyncapi.json."""
