"""Records and tables that every package shares."""
