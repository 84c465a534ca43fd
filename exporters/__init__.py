"""Formats and targets: one format a file, and the table of targets."""
