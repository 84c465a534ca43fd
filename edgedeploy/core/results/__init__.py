"""What is made of measurements: verdicts, comparisons, result files."""
