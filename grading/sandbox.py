"""A box for code that nobody has read: bubblewrap around ``runner.py``, with limits, watched from
outside.

The box sees the system's programs (/usr), Python, the course's package and its data, read-only, and
where on this machine these lie; a small home in memory; no network; no file of a user, so neither
solutions nor marks nor other students' work. All that leaves it is a stream of at most
``stream_bytes``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import course_utils
from grading.runner import FRESH, Clock

HERE = Path(__file__).resolve().parent
RUNNER = HERE / "runner.py"
# since Linux 5.14 a box counts its own processes only, before all of the user's
KERNEL = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
NPROC = 256 if KERNEL >= (5, 14) else 4096
# control groups, version 1 and 2, and what a box may have in them
GROUPS = [Path("/sys/fs/cgroup", name) for name in ("pids", "memory", "")]
MOST = {"pids.max": 128, "memory.max": 6 << 30, "memory.limit_in_bytes": 6 << 30}


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds are those of ``runner.Clock``: waiting for a processor
    does not count."""

    seconds: float = 420  # all cells together; each question has its own beside them
    start_seconds: float = 120  # until the box has loaded torch
    cell_seconds: float = 150
    # beyond a cell's limit, which the notebook's process holds off itself as a rule
    grace_seconds: float = 30
    as_reference: float = 8  # never less than so many times what the solution took in this run
    starved: float = 6  # times the limit: on the wall, waiting included; then it is tried again
    memory_bytes: int = 4 << 30  # all processes together
    processes: int = 64  # processes and threads together
    file_bytes: int = 64 << 20  # one file; the whole of the writable file system holds 192 MiB
    stream_bytes: int = 48 << 20  # all that may leave the box


class NoSandbox(RuntimeError):
    """bubblewrap is missing or does not work here."""


class BoxEnded(RuntimeError):
    """The box is gone; ``reason`` is 'timed out', 'crashed' or 'starved', the message says why."""

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


def bwrap_arguments(bwrap: str, warm: bool = False) -> list[str]:
    """The box itself: an allow-list, not a deny-list. A warm one may make boxes in it; what it
    sees of this machine's processes for that, no submission sees (``runner.shut_in``)."""
    own = "--unshare-all --unshare-user --disable-userns --uid 1000 --gid 1000 --hostname exercise"
    arguments = [bwrap, *own.split(), "--cap-add" if warm else "--cap-drop", "ALL"]
    arguments += "--die-with-parent --new-session --clearenv --ro-bind /usr /usr".split()
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        if os.path.islink(name):
            arguments += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            arguments += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/alternatives"):
        arguments += ["--ro-bind-try", name, name]
    arguments += ["--bind", "/proc", "/proc"] if warm else ["--proc", "/proc"]
    arguments += ["--dev", "/dev"]
    for folder, size in FRESH.items():
        arguments += ["--size", str(size << 20), "--tmpfs", folder]
    arguments += ["--remount-ro", "/dev"]
    package = str(Path(course_utils.__file__).resolve().parent)
    shown = {folder: folder for folder in _visible() if not folder.startswith("/usr/")}
    for folder, place in {**shown, package: "/opt/course/course_utils"}.items():
        arguments += ["--ro-bind", folder, place]
    arguments += ["--ro-bind", str(RUNNER), "/opt/runner.py"]
    arguments += ["--remount-ro", "/", "--chdir", "/home/student"]
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
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TORCH_COMPILE_DISABLE": "1",  # what it writes has no room here: torch.compile does nothing
        "PYTHONDONTWRITEBYTECODE": "1",
        "IPYTHONDIR": "/home/student/.ipython",
    }


class Box:
    """One running sandbox: ``send`` and ``receive`` JSON; ``close`` kills everything in it.

    Args:
        bwrap: path of bubblewrap; None runs the code unprotected (only after the teacher said so).
    """

    def __init__(self, bwrap: str | None, limits: Limits, scratch: Path):
        self.limits = limits
        self.received, self.buffer, self.searched, self.next_look = 0, bytearray(), 0, 0.0
        self.warm = Warm.get(bwrap) if bwrap else None
        into, self.to = os.pipe()
        self.back, out = os.pipe()
        os.set_blocking(self.to, False)
        for end in (self.to, self.back):
            with contextlib.suppress(OSError):  # else it holds 64 KiB
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 1 << 20)
        try:
            if self.warm:
                self.warm.start(into, out)
                self.process = self.warm.process
            else:
                self.process = _start(bwrap, scratch, stdin=into, stdout=out)
            self.clock = Clock(self.pids)
        except BaseException:
            os.close(self.to)
            os.close(self.back)
            if self.warm:
                self.warm.stop()
            raise
        finally:
            os.close(into)
            os.close(out)

    def pids(self) -> list[int]:
        """What runs for this submission."""
        found = [self.process.pid, *descendants(self.process.pid)]
        return [pid for pid in found if pid not in self.warm.own] if self.warm else found

    def rlimits(self) -> dict[str, int]:
        return {
            "DATA": self.limits.memory_bytes,
            "FSIZE": self.limits.file_bytes,
            "NOFILE": 512,
            "NPROC": NPROC,
            "CPU": 3600,
            "CORE": 0,
        }

    def within(self, seconds: float, why: str) -> Callable[[], None]:
        """A function that raises BoxEnded once ``seconds`` are over from now on."""
        end, wall = self.clock.look() + seconds, self.clock.wall + seconds * self.limits.starved

        def check() -> None:
            if self.clock.look() > end:
                raise BoxEnded("timed out", why)
            if self.clock.wall > wall:
                raise BoxEnded("starved", "this machine was too busy to run the notebook")

        return check

    def send(self, message: dict, check: Callable[[], None] = lambda: None) -> None:
        """Send a message. Where nobody reads it, that waits until ``check`` raises."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            check()
            _, ready, _ = select.select([], [self.to], [], 0.1)
            self._watch()
            if ready:
                try:
                    data = data[os.write(self.to, data) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise BoxEnded(
                        "crashed", "the notebook's process ended before its time"
                    ) from error

    def receive(self, seconds: float) -> dict:
        """The next message.

        Raises:
            BoxEnded: none within ``seconds`` (the process inside holds its own limits off), no
                processor to run on, too much memory, too many processes, too much output, or the
                process is gone.
        """
        check = self.within(seconds, f"no word from the notebook's process for {seconds:.0f} s")
        while True:
            if (end := self.buffer.find(b"\n", self.searched)) >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 1]
                self.searched = 0
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    message = None
                if isinstance(message, dict) and isinstance(message.get("kind"), str):
                    return message
                raise BoxEnded("crashed", "the notebook's process sent what is no message")
            self.searched = len(self.buffer)
            ready, _, _ = select.select([self.back], [], [], 0.1)
            if ready:
                piece = os.read(self.back, 1 << 20)
                if not piece:
                    raise BoxEnded("crashed", "the notebook's process ended before its time")
                self.received += len(piece)
                self.buffer += piece
                if self.received > self.limits.stream_bytes:
                    raise BoxEnded("crashed", "the notebook's process sent too much")
            check()
            self._watch()

    def _watch(self) -> None:
        start = time.monotonic()
        if start < self.next_look:
            return
        self.clock.look()
        pids = self.clock.seen
        memory, tasks = usage(pids)
        if tasks > self.limits.processes:
            raise BoxEnded(
                "crashed", f"the notebook started more than {self.limits.processes} processes"
            )
        if memory > self.limits.memory_bytes and proportional(pids) > self.limits.memory_bytes:
            raise BoxEnded(
                "crashed",
                f"the notebook used more than {self.limits.memory_bytes >> 20} MiB of memory",
            )
        # a look at much memory takes long, and the notebook waits meanwhile for what it is sent
        end = time.monotonic()
        self.next_look = end + min(1.0, max(0.1, 5 * (end - start)))

    def close(self) -> None:
        """Kill what runs for this submission. The first process of a box takes all of its process
        namespace with it."""
        os.close(self.to)
        os.close(self.back)
        if self.warm:
            self.warm.end(self.pids)
            return
        kill(self.pids())
        self.process.wait()

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def groups() -> list[Path]:
    """Control groups of so many tasks and so much memory, where this user may make them. That is
    root, whom NPROC does not bind. Memory that is shared, and mapped by nobody, counts in them
    only."""
    made = []
    for parent in GROUPS if os.geteuid() == 0 else ():
        folder = parent / f"autoencoder-box-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            for old in parent.glob("autoencoder-box-*"):
                with contextlib.suppress(OSError):  # those in use stay
                    if time.time() - old.stat().st_mtime > 3600:
                        old.rmdir()
            folder.mkdir()
            limits = [(folder / name, most) for name, most in MOST.items()]
            for file, most in (limits := [one for one in limits if one[0].exists()]):
                file.write_text(str(most))
            made.append(folder) if limits else folder.rmdir()
    return made


def counts_all_memory() -> bool:
    """Whether such a group can be made here, and its memory limited."""
    made = groups()
    found = any((folder / name).exists() for folder in made for name in MOST if "memory" in name)
    for folder in made:
        folder.rmdir()
    return found


def _start(bwrap: str | None, scratch: Path | None, control: int | None = None, **pipes):
    """Start the runner, in a box or, without ``bwrap``, unprotected. The box knows nothing of this
    process's environment."""
    if bwrap:
        command = bwrap_arguments(bwrap, warm=control is not None)
        command += [sys.executable, "-I", "/opt/runner.py"]
        env, where = {}, None
        if places := [str(folder / "cgroup.procs") for folder in groups()]:
            enter = 'for f in $0; do echo 0 > "$f"; done; exec "$@"'  # all that it starts is in it
            command = ["/bin/sh", "-c", enter, " ".join(places), *command]
    else:
        command, where = [sys.executable, str(RUNNER)], scratch
        env = {
            **os.environ,
            **environment(),
            "HOME": str(scratch),
            "MPLCONFIGDIR": str(scratch / ".mpl"),
            "IPYTHONDIR": str(scratch / ".ipython"),
        }
    more = [] if control is None else [str(control)]
    return subprocess.Popen(
        [*command, *more],
        stderr=subprocess.DEVNULL,
        env=env,
        cwd=where,
        start_new_session=True,
        pass_fds=[] if control is None else [control],
        **pipes,
    )


class Warm:
    """A box that has loaded torch and the course, and forks for each submission into a box of its
    own within. One for each process of the grader; None where this machine does not allow it."""

    one: Warm | None = None
    refused = False
    patience = 300  # seconds until it has loaded, however busy the machine

    def __init__(self, bwrap: str):
        self.control, theirs = socket.socketpair()
        null = subprocess.DEVNULL
        self.process = _start(bwrap, None, theirs.fileno(), stdin=null, stdout=null)
        theirs.close()
        self.control.settimeout(self.patience)
        if self.control.recv(1) != b"1":
            raise NoSandbox("the box did not load")
        self.own = {self.process.pid, *descendants(self.process.pid)}

    @classmethod
    def get(cls, bwrap: str) -> Warm | None:
        if cls.one and cls.one.gone():
            cls.one.stop()
        if cls.one is None and not cls.refused:
            cls.refused = True  # one that dies while it is tried out gets no successor
            try:
                cls.one = cls(bwrap)
                cls.one.try_out(bwrap)
                cls.refused = cls.one is None
            except (OSError, NoSandbox, BoxEnded, subprocess.SubprocessError):
                if cls.one:
                    cls.one.stop()
        return cls.one

    def try_out(self, bwrap: str) -> None:
        """A submission of no cells comes through, or BoxEnded."""
        with Box(bwrap, Limits(), Path("/")) as box:
            box.send({"limits": {}, "seconds": 9, "cell_seconds": 9, "cells": []})
            for kind in ("ready", "ran"):
                if box.receive(self.patience)["kind"] != kind:
                    raise NoSandbox("the box answers wrongly")

    def gone(self) -> bool:
        """Between two submissions: it has died since the last one. It says nothing there."""
        return self.process.poll() is not None or bool(select.select([self.control], [], [], 0)[0])

    def start(self, into: int, out: int) -> None:
        try:
            socket.send_fds(self.control, [b"0"], [into, out])
        except OSError as error:  # it has died just now; another try gets a new one
            raise BoxEnded("starved", "the box ended before its time") from error

    def end(self, pids) -> None:
        """Kill what runs, and wait until all of it is gone and the box is ready for another one;
        else give the box up."""
        ready = False
        try:
            ready = self._emptied(pids)
        finally:
            if not ready:
                self.stop()

    def _emptied(self, pids) -> bool:
        self.control.settimeout(0.05)
        ready = False
        for _ in range(400):
            left = pids()
            if ready and not left:
                return True
            kill(left)
            if ready:
                time.sleep(0.05)  # what is dying must not be counted as the next one
                continue
            try:
                ready = bool(self.control.recv(1))
                if not ready:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return False

    def stop(self) -> None:
        Warm.one = None
        self.control.close()
        if self.process.poll() is None:  # else its number may be another's by now
            kill([*descendants(self.process.pid), self.process.pid])
            self.process.wait()


def said_of(pid: int, name: str) -> dict[str, int]:
    """The numbers, in KiB where they are sizes, in a file of /proc; none of a process that is
    gone. A process may have any bytes for a name."""
    try:
        text = Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}


def proportional(pids: list[int]) -> int:
    """Bytes of memory of their own, pages that several share counted once."""
    total = 0
    for pid in pids:
        fields = said_of(pid, "smaps_rollup")
        total += (fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)) << 10
    return total


def descendants(root: int) -> list[int]:
    """The processes below ``root``, by /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path("/proc", name, "stat").read_bytes()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(b")")[2].split()[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def usage(pids: list[int]) -> tuple[int, int]:
    """Bytes of memory (what two share counts twice) and number of tasks of some processes."""
    memory = tasks = 0
    for pid in pids:
        fields = said_of(pid, "status")
        tasks += fields.get("Threads", 0)
        memory += (fields.get("RssAnon", 0) + fields.get("RssShmem", 0)) << 10
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
