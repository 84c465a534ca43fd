"""Tests of edgedeploy.benchmarks.recording."""
