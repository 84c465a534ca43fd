"""The native runner: its build, its protocol, and the emulated phone that the tests use."""
