"""Measuring: executors, devices, conditions and statistics. Never imports torch."""
