"""The same work done the usual way, to compare with."""
