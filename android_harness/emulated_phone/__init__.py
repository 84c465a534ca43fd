"""An emulated Arm phone: Android's own adbd, shell and tools on emulated aarch64, reached through adb alone.

    python -m edgedeploy.android_harness.emulated_phone build
    python -m edgedeploy.android_harness.emulated_phone start --port 5599
    edgedeploy bench --device adb:127.0.0.1:5599
    python -m edgedeploy.android_harness.emulated_phone stop

Real are adbd (AOSP 29.0.6, unchanged), mksh as the shell, toybox as the tools, the absence of glibc, the limits of the file
system, and Arm machine code. Missing are heat, frequency scaling, big and little cores, SELinux, USB and keys. Its times
mean nothing. `edgedeploy.benchmarks.devices.transports.scripted` stands in for heat and cores.

    sources.py    fetches the three source packages from this machine's own Debian mirror
    build.py      compiles adbd, mksh and toybox for aarch64, and lays out the root folder
    tools.py      runs build steps, and names missing programs with their packages
    phone.py      starts, stops and finds emulated phones
    boot.sh       runs inside the phone's namespaces, as its first process
    adbd/         what is compiled beside AOSP's adbd
    root/         the files of the root folder that are not built
"""

from .build import build_emulated_phone
from .phone import EmulatedPhone, EmulatedPhoneOptions, running_emulated_phones, start_emulated_phone

__all__ = [
    "build_emulated_phone",
    "start_emulated_phone",
    "running_emulated_phones",
    "EmulatedPhone",
    "EmulatedPhoneOptions",
]
