"""How a script reaches a device: adb, ssh, this machine's shell, a scripted device."""
