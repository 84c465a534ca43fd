"""The zoo: one family a file, and the rewrites that make a network export-friendly."""
