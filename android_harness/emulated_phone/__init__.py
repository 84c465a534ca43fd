"""An Arm phone without a phone: Android's own adbd, shell and tools on emulated aarch64, reached through adb alone.

    python -m edgedeploy.android_harness.emulated_phone build
    python -m edgedeploy.android_harness.emulated_phone start --port 5599
    edgedeploy bench --device adb:127.0.0.1:5599
    python -m edgedeploy.android_harness.emulated_phone stop

What is real: adbd (AOSP 29.0.6, not a line changed), mksh as the shell, toybox as the tools, the absence of glibc, the file
system's limits, Arm machine code. What is not there: heat, frequency scaling, big and little cores, SELinux, USB, keys. Its
milliseconds mean nothing. `edgedeploy.benchmarks.devices.transports.scripted` stands in for heat and cores.

    sources.py    fetches the three source packages from this machine's own Debian mirror
    build.py      compiles adbd, mksh and toybox for aarch64, and lays out the root folder
    emulated.py   starts, stops and finds phones
    boot.sh       runs inside the phone's namespaces, as its first process
"""

from .build import build_phone
from .phone import Phone, running_phones, start_phone

__all__ = ["build_phone", "start_phone", "running_phones", "Phone"]
