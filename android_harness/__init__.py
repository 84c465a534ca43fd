"""The native runner: how it is built, started and understood; and the emulated phone that the tests use.

    PROTOCOL.md, protocol.py             the runner's arguments and its answer
    runner/                              the runner, C++; one file per runtime in runner/backends/
    native_runtimes.py, toolchain.py     where the runtimes' libraries and the compilers come from
    bundles.py                           a self-contained folder per runtime and ABI
    host_runner.py                       runs a bundle on this machine
    qemu.py, qemu_plugin/                executed Arm instructions of one inference, under emulation
    runner_overhead.py                   the runner's own cost per inference
    tensor_files.py                      the runner's tensor files
    legacy_tflite/                       tflite-runtime 2.14.0, in an environment of its own
    emulated_phone/                      an Arm phone under emulation, reached through adb
    packages.txt, install_packages.sh    the Debian packages that all this needs

To add a runtime: a row in `edgedeploy.core.backends`, and a file `runner/backends/<runtime>_backend.cpp` with a subclass
of Backend that registers itself.

Not supported, and refused with a message: several signatures in one .tflite file, models with dynamic shapes in LiteRT,
sequences and maps as ONNX outputs, strings and bfloat16 as tensors, delegates other than the CPU's, and QEMU 9 and newer
for the instruction count (its plug-in interface is another one). Not tested: the build with a real NDK.
"""
