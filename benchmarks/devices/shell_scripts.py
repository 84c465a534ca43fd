"""Scripts for a device's shell. Every string that is not from this project's own source is quoted by `quote`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from edgedeploy.core.errors import UsageError


def quote(text: str) -> str:
    """`text` as one word of a POSIX shell, whatever it contains. Raises UsageError for a zero byte."""
    if "\0" in text:
        raise UsageError(f"a name on a device cannot contain a zero byte: {text!r}")
    return shlex.quote(text)


def inside(folder: str, relative: str) -> str:
    """Absolute path of `relative` in `folder`. Raises UsageError for a path that would leave it."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"'{relative}' is outside the device's folder {folder}")
    return str(PurePosixPath(folder) / path)


def assignments(environment: Mapping[str, str]) -> str:
    """`export` lines. Raises UsageError for an invalid name."""
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"{name!r} is not a name of an environment variable")
    return "".join(f"export {name}={quote(value)}\n" for name, value in environment.items())


def run_script(command: Sequence[str], *, cwd: str, pid_file: str, token: str, environment: Mapping[str, str]) -> str:
    """Runs `command` in a session of its own, and kills that whole session when our stdin closes.

    stdin is closed when the host's program ends, however it ends, or when the connection is lost. The pid file is for the
    next user of the device, should the shell itself be killed; by the token in its environment a process is known as this
    run, and not as another one that has the same pid by now.
    """
    words = " ".join(quote(word) for word in command)
    return f"""\
{assignments(environment)}export EDGEDEPLOY_RUN={token}
mkdir -p {quote(str(PurePosixPath(pid_file).parent))} && cd {quote(cwd)} || exit 125
pid_file={quote(pid_file)}
exec 3<&0
session=$(command -v setsid)
$session sh -c 'echo $$ >"$1" && shift && exec "$@"' run "$pid_file" {words} </dev/null 3<&- &
program=$!
trap '' PIPE # as in `push_script`; set only now, so that the program does not inherit it
finish() {{ kill -KILL -$program; kill -KILL $program; rm -f "$pid_file"; }} 2>/dev/null
( read -r line <&3; finish ) </dev/null >/dev/null 2>&1 &
watcher=$!
exec 3<&-
# a program that is killed before it has written its pid file may create it still: it is removed once the program is gone
trap 'finish; wait $program; rm -f "$pid_file"; exit 129' HUP INT TERM
wait $program
code=$?
kill $watcher 2>/dev/null
wait $watcher 2>/dev/null
kill -KILL -$program 2>/dev/null # what the program itself left running
rm -f "$pid_file"
exit $code"""


def kill_script(pid_file: str, token: str) -> str:
    """Kills what `run_script` started, if it still runs, and waits until it has ended."""
    return f"""\
{_KILL_RUN}
kill_run {quote(pid_file)} {token}"""


def sweep_script(folder: str) -> str:
    """Ends the runs that earlier users left in the device's folder, and removes their files."""
    return f"""\
{_KILL_RUN}
for file in {quote(folder)}/run/*.pid; do
    token=${{file##*/}}
    [ -f "$file" ] && kill_run "$file" "${{token%.pid}}"
done
rm -rf {quote(folder)}/run {quote(folder)}/tmp"""


_KILL_RUN = """\
kill_run() {
    for try in 1 2 3 4 5; do read -r pid <"$1" && break; [ -f "$1" ] || return 0; sleep 0.1; done
    if [ "$pid" ] && grep -q "EDGEDEPLOY_RUN=$2" "/proc/$pid/environ"; then
        kill -KILL "-$pid" || kill -KILL "$pid"
        for try in 1 2 3 4 5 6 7 8 9 10; do [ -d "/proc/$pid" ] && sleep 0.1; done
    fi
    rm -f "$1"
} 2>/dev/null"""


def push_script(*, temporary: str, target: str, sha256: str, executable: bool) -> str:
    """Writes stdin to a temporary file, and renames it to `target` only if its sha256 is the expected one.

    Exit codes: 73 it could not be written, 65 it is not what was sent, 77 programs may not be run from its folder.
    """
    parents = " ".join(quote(str(PurePosixPath(path).parent)) for path in (temporary, target))
    check = f"[ -x {quote(target)} ] || exit 77" if executable else ""
    return f"""\
temporary={quote(temporary)}
mkdir -p {parents} || exit 73
finish() {{ trap '' HUP INT TERM; rm -f "$temporary"; }} # a signal that comes now must not interrupt `rm`
trap '' PIPE # the shell may report that `cat` was terminated when nobody reads its stderr any more
trap finish EXIT
trap 'finish; exit 65' HUP INT TERM
cat >"$temporary" || exit 73
hash=$(sha256sum <"$temporary") || exit 73
[ "${{hash%% *}}" = {sha256} ] || exit 65
chmod {"755" if executable else "644"} "$temporary" || exit 73
mv -f "$temporary" {quote(target)} || exit 73
{check}"""


def presence_script(files: Sequence[tuple[str, bool]]) -> str:
    """Prints a line for each (path, executable): the file's sha256, or "-" where there is none. Sets the file's mode."""
    lines = "\n".join(f"check {'755' if executable else '644'} {quote(path)}" for path, executable in files)
    return f"""\
check() {{
    [ -f "$2" ] && chmod $1 "$2" && hash=$(sha256sum <"$2") && echo "${{hash%% *}}" && return
    echo -
}} 2>/dev/null
{lines}"""


def pull_script(path: str) -> str:
    """Prints a line with the file's size and sha256, then the file. Exit code 66: there is no such file."""
    return f"""\
[ -f {quote(path)} ] || exit 66
size=$(wc -c <{quote(path)}) && hash=$(sha256sum <{quote(path)}) || exit 74
echo $size "${{hash%% *}}"
cat {quote(path)}"""
