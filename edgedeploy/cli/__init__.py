"""The command line: parse, one call, print."""

from .app import main

__all__ = ["main"]
