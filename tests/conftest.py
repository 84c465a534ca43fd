"""Fixtures of more than one folder. The phone's are one set for the whole run: one adb server, one phone a worker."""

from tests.phones import adb_server, board, device, make_phone, own_places, phone, phone_device

__all__ = ["adb_server", "board", "device", "make_phone", "own_places", "phone", "phone_device"]
