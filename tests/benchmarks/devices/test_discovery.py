"""Which device a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices import FoundDevice, discovery, lock, open_device
from edgedeploy.benchmarks.devices.discovery import DeviceName, choose_adb, parse_device, read_aliases
from edgedeploy.benchmarks.devices.transports.adb import is_network_address, parse_devices
from edgedeploy.core.errors import NoDevice, UnknownName, UsageError
from edgedeploy.core.storage.cache import cache_folder

PIXEL = FoundDevice("adb:2A111FDH2000", "device", "Pixel 7", "panther")
GALAXY = FoundDevice("adb:R5CT10XYZ", "device", "SM S911B", "dm1q")
LOCKED = FoundDevice("adb:2A111FDH3000", "unauthorized", "Pixel 7", "panther")


@pytest.fixture(autouse=True)
def _no_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("local", "local", ""),
        ("adb", "adb", ""),
        ("adb:pixel7", "adb", "pixel7"),
        ("adb:192.0.2.7:5555", "adb", "192.0.2.7:5555"),
        ("ssh:pi@192.0.2.8", "ssh", "pi@192.0.2.8"),
        ("qemu", "qemu", ""),
        ("qemu:cortex-a53", "qemu", "cortex-a53"),
        ("desk", "adb", "R5CT10XYZ"),
        ("adb:desk", "adb", "R5CT10XYZ"),
        ("bare", "adb", "R5CT10XYZ"),
        ("board", "ssh", "pi@192.0.2.8"),
    ],
)
def test_a_device_name_is_parsed(text: str, kind: str, name: str) -> None:
    aliases = {"desk": "adb:R5CT10XYZ", "bare": "R5CT10XYZ", "board": "ssh:pi@192.0.2.8"}
    assert parse_device(text, aliases) == DeviceName(kind, name)


def test_an_unknown_kind_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'local'"):
        parse_device("locl")


@pytest.mark.parametrize("text", ["ssh", "local:x", "ssh:-oProxyCommand=touch x", "ssh:a b"])
def test_invalid_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        open_device(text, aliases={})


@pytest.mark.parametrize("name", ["Pixel 7", "pixel7", "PIXEL_7", "pixel-7", "panther", "2A111FDH2000"])
def test_a_phone_is_found_by_its_model_name_however_it_is_written(name: str) -> None:
    assert choose_adb(name, [GALAXY, PIXEL]) == "2A111FDH2000"


def test_a_usable_phone_is_preferred_to_a_locked_one_of_the_same_name() -> None:
    assert choose_adb("pixel7", [LOCKED, PIXEL]) == "2A111FDH2000"


def test_the_only_phone_needs_no_name() -> None:
    assert choose_adb("", [PIXEL]) == "2A111FDH2000"


def test_android_serial_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", "R5CT10XYZ")
    assert choose_adb("", [PIXEL, GALAXY]) == "R5CT10XYZ"
    assert choose_adb("pixel7", [PIXEL, GALAXY]) == "2A111FDH2000"


def test_two_phones_and_none_chosen_lists_both() -> None:
    with pytest.raises(NoDevice, match="2 phones are connected and none was chosen") as caught:
        choose_adb("", [PIXEL, GALAXY])
    assert caught.value.details == (
        "adb:2A111FDH2000  Pixel 7  panther  (device)",
        "adb:R5CT10XYZ  SM S911B  dm1q  (device)",
    )
    assert caught.value.hint == "--device adb:2A111FDH2000, or set ANDROID_SERIAL"


def test_a_name_that_two_phones_have_lists_both() -> None:
    twin = FoundDevice("adb:2A111FDH9999", "device", "Pixel 7", "panther")
    with pytest.raises(NoDevice, match="2 phones are called 'pixel7'"):
        choose_adb("pixel7", [PIXEL, twin, GALAXY])


def test_no_phone_and_no_such_phone_are_different_errors() -> None:
    with pytest.raises(NoDevice, match="no phone is connected"):
        choose_adb("pixel7", [])
    with pytest.raises(NoDevice, match="no phone is called 'pixel8'") as caught:
        choose_adb("pixel8", [PIXEL])
    assert caught.value.details == (str(PIXEL),)


def test_a_user_without_a_home_folder_has_no_aliases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(discovery, "user_config_path", homeless)
    monkeypatch.setattr(lock, "user_state_path", homeless)
    assert read_aliases(tmp_path) == {}
    assert lock.lock_file_of("adb:1").is_relative_to(cache_folder("locks"))


def test_aliases_come_from_the_nearest_file_that_has_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    assert read_aliases(inner) == {}
    (tmp_path / "config" / "edgedeploy").mkdir(parents=True)
    (tmp_path / "config" / "edgedeploy" / "edgedeploy.toml").write_text('[devices]\nmine = "adb:1"\n')
    assert read_aliases(inner) == {"mine": "adb:1"}
    (tmp_path / "project" / "edgedeploy.toml").write_text('[devices]\nours = "adb:2"\n')
    (inner / "edgedeploy.toml").write_text("[other]\nx = 1\n")
    assert read_aliases(inner) == {"ours": "adb:2"}


@pytest.mark.parametrize("text", ["[devices\n", "[devices]\na = 3\n", "devices = 4\n", "\xff"])
def test_a_broken_configuration_file_is_named_in_the_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "edgedeploy.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"edgedeploy\.toml"):
        read_aliases(tmp_path)


def test_network_addresses_are_told_from_serials() -> None:
    assert all(is_network_address(name) for name in ("192.0.2.7:5555", "phone.example:37123", "[fe80::1]:5555"))
    assert not any(is_network_address(name) for name in ("R5CT10XYZ", "emulator-5554", "a b:5555", "host:", ";id:5555"))


def test_the_output_of_adb_devices_is_parsed() -> None:
    listing = (
        "List of devices attached\n"
        "2A111FDH2000           device usb:1-2 product:panther model:Pixel_7 device:panther transport_id:3\n"
        "0A041FDD4000AA         no permissions (missing udev rules? user is in the plugdev group); see [http://x] usb:1-3\n"
        "192.0.2.7:5555         offline transport_id:5\n\n"
    )
    assert parse_devices(listing) == (
        PIXEL,
        FoundDevice("adb:0A041FDD4000AA", "no permissions"),
        FoundDevice("adb:192.0.2.7:5555", "offline"),
    )
