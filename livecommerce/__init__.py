"""livecommerce: the application that composes streams, deals and chat."""

__version__ = "0.1.0"
