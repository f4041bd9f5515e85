"""Hammer a livecommerce server, and prove what happened: ``python -m load_tests --help``."""
