"""Wrappers that change what a network returns: heads, stage features, flat outputs."""
