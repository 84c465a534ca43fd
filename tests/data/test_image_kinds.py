"""Images of every kind are read rightly or refused with a reason, before much is decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedeploy.data.preprocessing import read_image

GRAY = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(GRAY.astype(np.uint16) * 257).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png"))[..., 0], GRAY)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_other_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    name = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (8, 8), (255, 0, 0)).convert(mode).save(name)
    image = read_image(name)
    assert image.mode == "RGB"
    if mode in ("RGBA", "CMYK", "P"):
        r, g, b = image.getpixel((4, 4))
        assert r > 200
        assert max(g, b) < 60


def test_the_orientation_in_exif_is_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (16, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").size == (8, 16)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GRAY.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="range is not known"):
        read_image(tmp_path / "a.tif")


def test_a_header_of_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 4) + b"IDATxxxx")
    with pytest.raises(ValueError, match="million"):
        read_image(tmp_path / "a.png")


def test_a_sparse_giant_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="MiB"):
        read_image(tmp_path / "a.png")
