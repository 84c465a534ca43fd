"""The native runner: its build, its protocol, and the emulated phone that the tests use.

    PROTOCOL.md, protocol.py   what the runner is asked and what it answers
    runner/                    the runner itself, C++
    runtimes.py, toolchain.py  where the runtimes' libraries and the compilers come from
    bundle.py                  a self-contained folder per runtime and ABI
    local.py                   runs a bundle on this machine
    qemu.py, qemu_plugin/      executed Arm instructions of one inference, under emulation
    overhead.py                what the runner itself costs
    old_runtime.py             tflite-runtime 2.14.0, in an environment of its own
    tensors.py, cache.py       tensor files; where built things are kept
    phone/                     the emulated phone

Not done: several signatures in one .tflite file, models with dynamic shapes in LiteRT, sequences and maps as ONNX outputs,
strings and bfloat16 as tensors, delegates other than the CPU's, QEMU 9 and newer for the instruction count (its plug-in
interface is another one), and a run of the NDK's way with a real NDK. Each is refused with a message.
"""
