"""The robot show of `serve --demo`."""
