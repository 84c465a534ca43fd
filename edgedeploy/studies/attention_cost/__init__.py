"""Comparisons: what this project does, beside what one would do without it. Never imports torch."""
