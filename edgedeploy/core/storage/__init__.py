"""Files that are never half-written, cached folders, and typed JSON."""
