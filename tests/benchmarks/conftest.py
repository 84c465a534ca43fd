"""The phone's fixtures, for the tests of this folder."""

from tests.phones import adb_server, board, device, make_phone, own_places, phone, phone_device

__all__ = ["adb_server", "board", "device", "make_phone", "own_places", "phone", "phone_device"]
