"""The JSON API, a module a resource; each lists its operations as ``ENDPOINTS``."""
