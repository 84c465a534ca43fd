"""Versions of what is installed."""

from __future__ import annotations

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.versions import PACKAGES, versions


def test_every_package_of_every_backend_is_asked_for_once() -> None:
    assert {package.name for backend in BACKENDS for package in backend.packages} < set(PACKAGES)
    assert len(PACKAGES) == len(set(PACKAGES))


def test_what_is_not_installed_is_left_out(monkeypatch) -> None:
    monkeypatch.setattr("edgedeploy.core.versions.PACKAGES", ("numpy", "no-such-package"))
    assert versions().keys() == {"python", "numpy"}
