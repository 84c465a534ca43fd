"""Measurement conditions: cores, modes, temperature, and which samples are not to be trusted."""
