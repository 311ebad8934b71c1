"""A box for code that nobody has read: bubblewrap around ``runner.py``, with limits, watched from
outside.

The box sees Python, the course's package and its data, read-only; a small home in memory; no
network; no other file of this machine, so neither solutions nor marks nor other students' work. All
that leaves it is a stream of at most ``stream_bytes``.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import course_utils

HERE = Path(__file__).resolve().parent
RUNNER = HERE / "runner.py"


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    seconds: float = 420  # wall clock, all together
    start_seconds: float = 120  # until the box has loaded torch
    cell_seconds: float = 150
    grace_seconds: float = (
        30  # beyond a cell's limit, which the notebook's process holds off itself as a rule
    )
    memory_bytes: int = 4 << 30  # all processes together
    processes: int = 64  # processes and threads together
    file_bytes: int = 64 << 20  # one file; the whole of the writable file system holds 192 MiB
    stream_bytes: int = 64 << 20  # all that may leave the box


class NoSandbox(RuntimeError):
    """bubblewrap is missing or does not work here."""


class BoxEnded(RuntimeError):
    """The box is gone; ``reason`` is 'timed out' or 'crashed', the message says why."""

    def __init__(self, reason: str, why: str):
        super().__init__(why)
        self.reason = reason


def find_sandbox() -> str:
    """The path of a bubblewrap that works here.

    Raises:
        NoSandbox: it is missing, or this machine does not let it make a box.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NoSandbox("bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap)")
    trial = subprocess.run(
        [*bwrap_arguments(bwrap), "true"], capture_output=True, text=True, timeout=30
    )
    if trial.returncode:
        raise NoSandbox(f"bubblewrap does not work here: {trial.stderr.strip()[:300]}")
    return bwrap


def _visible() -> list[str]:
    """The folders that the box may read: the interpreter, its packages, the data."""
    folders = [sys.prefix, sys.base_prefix]
    data = os.environ.get("COURSE_DATA", "sample")
    if os.path.isdir(data):
        folders.append(os.path.abspath(data))
    return list(dict.fromkeys(folders))


def bwrap_arguments(bwrap: str) -> list[str]:
    """The box itself: an allow-list, not a deny-list."""
    arguments = [
        bwrap,
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--cap-drop",
        "ALL",
        "--hostname",
        "exercise",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
    ]
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        if os.path.islink(name):
            arguments += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            arguments += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/alternatives"):
        arguments += ["--ro-bind-try", name, name]
    arguments += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(32 << 20),
        "--tmpfs",
        "/dev/shm",
        "--remount-ro",
        "/dev",
    ]
    arguments += [
        "--size",
        str(96 << 20),
        "--tmpfs",
        "/tmp",
        "--size",
        str(64 << 20),
        "--tmpfs",
        "/home/student",
    ]
    for folder in _visible():
        if not folder.startswith("/usr/"):
            arguments += ["--ro-bind", folder, folder]
    arguments += [
        "--ro-bind",
        str(Path(course_utils.__file__).resolve().parent),
        "/opt/course/course_utils",
        "--ro-bind",
        str(RUNNER),
        "/opt/runner.py",
        "--remount-ro",
        "/",
        "--chdir",
        "/home/student",
    ]
    for name, value in environment().items():
        arguments += ["--setenv", name, value]
    return arguments


def environment() -> dict[str, str]:
    data = os.environ.get("COURSE_DATA", "sample")
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": "/home/student",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/home/student/.mpl",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "COURSE_DATA": os.path.abspath(data) if os.path.isdir(data) else "sample",
        "COURSE_PROGRESS": "0",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "IPYTHONDIR": "/home/student/.ipython",
    }


class Box:
    """One running sandbox: ``send`` and ``receive`` JSON; ``close`` kills everything in it.

    Args:
        bwrap: path of bubblewrap; None runs the code unprotected (only after the teacher said so).
    """

    def __init__(self, bwrap: str | None, limits: Limits, scratch: Path):
        self.limits, self.deadline = limits, time.monotonic() + limits.seconds
        self.received, self.buffer = 0, bytearray()
        if bwrap:
            command, env = [*bwrap_arguments(bwrap), sys.executable, "-I", "/opt/runner.py"], None
        else:
            command = [sys.executable, str(RUNNER)]
            env = {
                **os.environ,
                **environment(),
                "HOME": str(scratch),
                "MPLCONFIGDIR": str(scratch / ".mpl"),
                "IPYTHONDIR": str(scratch / ".ipython"),
            }
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=None if bwrap else scratch,
            start_new_session=True,
            bufsize=0,
        )
        self.looked = 0.0

    def rlimits(self) -> dict[str, int]:
        return {
            "DATA": self.limits.memory_bytes,
            "FSIZE": self.limits.file_bytes,
            "NOFILE": 512,
            "NPROC": 4096,
            "CPU": int(self.limits.seconds) + 5,
            "CORE": 0,
        }

    def send(self, message: dict) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        os.set_blocking(self.process.stdin.fileno(), False)
        while data:
            _, ready, _ = select.select([], [self.process.stdin], [], 0.1)
            self._watch()
            if ready:
                try:
                    data = data[os.write(self.process.stdin.fileno(), data) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise BoxEnded(
                        "crashed", "the notebook's process ended before its time"
                    ) from error

    def receive(self, seconds: float = 1e9) -> dict:
        """The next message.

        Raises:
            BoxEnded: none within ``seconds`` (the process inside holds its own limits off), no time
                left, too much memory, too many processes, too much output, or the process is gone.
        """
        limit = time.monotonic() + seconds
        while True:
            line, found, rest = self.buffer.partition(b"\n")
            if found:
                self.buffer = bytearray(rest)
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    message = None
                if isinstance(message, dict) and isinstance(message.get("kind"), str):
                    return message
                raise BoxEnded("crashed", "the notebook's process sent what is no message")
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if ready:
                piece = os.read(self.process.stdout.fileno(), 1 << 20)
                if not piece:
                    raise BoxEnded("crashed", "the notebook's process ended before its time")
                self.received += len(piece)
                self.buffer += piece
                if self.received > self.limits.stream_bytes:
                    raise BoxEnded("crashed", "the notebook's process sent too much")
            if time.monotonic() > limit:
                raise BoxEnded(
                    "timed out", f"no word from the notebook's process for {seconds:.0f} s"
                )
            self._watch()

    def _watch(self) -> None:
        now = time.monotonic()
        if now > self.deadline:
            raise BoxEnded(
                "timed out", f"the notebook took more than {self.limits.seconds:.0f} s in all"
            )
        if now - self.looked < 0.1:
            return
        self.looked = now
        memory, tasks = usage(self.process.pid)
        if memory > self.limits.memory_bytes:
            raise BoxEnded(
                "crashed",
                f"the notebook used more than {self.limits.memory_bytes >> 20} MiB of memory",
            )
        if tasks > self.limits.processes:
            raise BoxEnded(
                "crashed", f"the notebook started more than {self.limits.processes} processes"
            )

    def close(self) -> None:
        """Kill the box. Bubblewrap's first process dies with its parent, and with it everything in
        its process namespace."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def descendants(root: int) -> list[int]:
    """The processes below ``root``, by /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path("/proc", name, "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def usage(root: int) -> tuple[int, int]:
    """Bytes of memory of their own (a fork's copy counts again) and number of tasks of the
    processes below ``root``."""
    memory = tasks = 0
    for pid in descendants(root):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        tasks += int(fields.get("Threads", "1"))
        memory += int(fields.get("RssAnon", "0 kB").split()[0]) << 10
    return memory, tasks


def processors() -> int:
    """How many processors this process may use: its affinity, and its cgroup's quota."""
    free = len(os.sched_getaffinity(0))
    try:
        group = Path("/proc/self/cgroup").read_text().rsplit("::", 1)[1].strip()
        quota, period = Path(f"/sys/fs/cgroup{group}/cpu.max").read_text().split()
        return max(1, min(free, round(int(quota) / int(period))))
    except (OSError, ValueError, IndexError):
        return max(1, free)
