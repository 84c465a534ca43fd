"""Devices: phones over adb, boards over ssh, this machine."""
