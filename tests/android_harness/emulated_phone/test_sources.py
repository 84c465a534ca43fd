"""Where the emulated phone's sources come from."""

from __future__ import annotations

import pytest

from edgedeploy.android_harness.emulated_phone.sources import mirror_in
from edgedeploy.core.errors import DeviceError


@pytest.mark.parametrize(
    ("listing", "mirror"),
    [
        ("Debian main http://mirror.example/debian/\n", "http://mirror.example/debian/"),
        ("Ubuntu main http://u.example/ubuntu/\nDebian main http://d.example/debian\n", "http://d.example/debian"),
        (
            "Debian main http://s.example/debian-security/\nDebian main http://d.example/debian/\n",
            "http://d.example/debian/",
        ),
        ("Debian contrib http://c.example/x\n\nDebian main https://d.example/y\n", "https://d.example/y"),
    ],
)
def test_the_mirror_is_that_of_the_machine(listing: str, mirror: str) -> None:
    assert mirror_in(listing) == mirror


def test_a_machine_without_a_debian_archive_is_reported() -> None:
    with pytest.raises(DeviceError, match="names no Debian archive"):
        mirror_in("Ubuntu main http://u.example/ubuntu/\n")
