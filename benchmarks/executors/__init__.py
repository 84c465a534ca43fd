"""Where an artifact runs: this machine, a device, an emulated Arm CPU."""
