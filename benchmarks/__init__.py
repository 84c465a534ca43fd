"""Devices, running, statistics and reports. Never imports torch."""
