"""Images: calibration sets, and the held-out images that parity is measured on."""
