"""What is done with measurements: compare, keep, report."""
