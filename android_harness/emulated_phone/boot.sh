#!/bin/bash
# Boots the phone inside the user, mount and pid namespaces that phone.py has made, and stays as its first process: it
# ends when adbd ends, everything in the phone ends with it, and it collects what others leave behind.
# Nothing of it leaves the namespaces: no root is needed, nothing is registered or left mounted on the host.
#
#   environment: PHONE_ROOT, PHONE_QEMU, PHONE_CPU, PHONE_CPUINFO, PHONE_PROPERTIES, PHONE_STORAGE, PHONE_DATA,
#                PHONE_MOUNT_OPTIONS, PHONE_PORT, PHONE_UID, as phone.py sets them
set -euo pipefail
r=$PHONE_ROOT

# Started by root, the id maps are written from outside, a moment later.
tries=500
until grep -q . /proc/self/uid_map && grep -q . /proc/self/gid_map; do
    tries=$((tries - 1)); [ $tries -gt 0 ] || { echo "phone: the user namespace got no ids" >&2; exit 1; }
    sleep 0.01
done

# The kernel's table of foreign programs exists once per user namespace: here every aarch64 ELF file starts under qemu.
# F: the interpreter is opened now, so that the phone's root need not have it. P: argv[0] is kept.
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":phone-aarch64:M::$magic:$mask:$PHONE_QEMU:FP" >/proc/sys/fs/binfmt_misc/register

mount --bind "$r" "$r"
mount --bind "$PHONE_PROPERTIES" "$r/system/build.prop"
mount -t proc proc "$r/proc"
# qemu's user mode shows the host's /proc/cpuinfo; runtimes that parse it would find no Arm core and stop or crash.
mount --bind "$PHONE_CPUINFO" "$r/proc/cpuinfo"
mount --rbind /sys "$r/sys"

mount -t tmpfs -o mode=771 tmpfs "$r/data"
mkdir -p "$r/data/local/tmp" "$r/data/adb"
if [ -n "$PHONE_DATA" ]; then
    mount --bind "$PHONE_DATA" "$r/data/local/tmp"
else
    # What programs push to is of a size of its own, so that it can be full while the phone still works.
    mount -t tmpfs -o "mode=1777,size=$PHONE_STORAGE$PHONE_MOUNT_OPTIONS" tmpfs "$r/data/local/tmp"
fi
chmod 777 "$r/data/adb"

mount -t tmpfs -o mode=755 tmpfs "$r/dev"
for device in null zero full random urandom tty; do
    : >"$r/dev/$device"
    mount --bind "/dev/$device" "$r/dev/$device"
done
mkdir -p "$r/dev/pts" "$r/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$r/dev/pts"
ln -s pts/ptmx "$r/dev/ptmx"
ln -s /proc/self/fd "$r/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$r/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$r/tmp"

# Where the host's mount flags allow it, the root itself is for reading only: it is shared with other phones.
mount -o remount,bind,ro "$r" 2>/dev/null || :

cd "$r"
env -i PATH=/system/bin ANDROID_ROOT=/system ANDROID_DATA=/data QEMU_CPU="$PHONE_CPU" PHONE_PORT="$PHONE_PORT" \
    ${PHONE_UID:+PHONE_UID=$PHONE_UID} "$(command -v chroot)" "$r" /system/bin/adbd &
wait $!
