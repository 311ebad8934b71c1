"""Runs inside the sandbox: the notebook's cells first, then the grader's questions, one forked
process for each.

The grader writes one JSON object a line to standard input and reads one a line from standard
output; nothing else connects the two. Nothing in this file, and nothing that it is sent, says what
a right answer is. Everything that leaves is a claim of the student's process: text, numbers and
tensors, judged elsewhere (``judging.py``). Standard library, IPython and torch only.
"""

from __future__ import annotations

import base64
import builtins
import ctypes
import gc
import io
import json
import os
import pickle
import random
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable

TEXT_KEPT = 20_000  # characters of a cell's printed output
TOLD = 200  # characters of an exception in a question: not enough to carry its inputs away
WATCHED = "save load mean randn rand allclose no_grad zeros where".split()
WATCHED_OF_TENSORS = "detach contiguous mean sum item numpy clone to __eq__".split()
PICTURES_KEPT = 400_000  # bytes of base64 of a cell's pictures


class OutOfTime(BaseException):
    """Not an Exception, so that a cell's ``except Exception`` does not swallow it."""


class Clock:
    """Seconds that processes had for themselves: while one of them waits for a processor that
    others use, it stands still. A busy machine makes nobody late.

    Args:
        pids: the processes, asked anew at each look.
    """

    def __init__(self, pids: Callable[[], Iterable[int]]):
        self.pids, self.own, self.wall, self.last = pids, 0.0, 0.0, time.monotonic()
        self.loose = 0.0  # counted last without a processor used: may turn out to be waiting
        self.seen: list[int] = []
        self.before = self._times()

    def _times(self) -> dict[int, tuple[int, int, bool]]:
        """Of each process nanoseconds on a processor and in the queue for one, and whether it wants
        one now. What it has waited is added up only when it gets one."""
        found, self.seen = {}, list(self.pids())
        for pid in self.seen:
            try:
                with open(f"/proc/{pid}/schedstat") as file:
                    ran, waited = map(int, file.read().split()[:2])
                with open(f"/proc/{pid}/stat", "rb") as file:  # any bytes may be its name
                    found[pid] = ran, waited, file.read().rpartition(b")")[2].split()[0] == b"R"
            except (OSError, ValueError, IndexError):
                pass
        return found

    def look(self) -> float:
        """The seconds so far."""
        passed = time.monotonic() - self.last
        if passed >= 0.02:
            times, longest, used = self._times(), 0.0, 0.0
            for pid, (ran, waited, wants) in times.items():
                old = self.before.get(pid, (0, 0, False))
                still = wants and (ran, waited) == old[:2]  # in the queue all the time
                longest = max(longest, passed if still else (waited - old[1]) / 1e9)
                used = max(used, (ran - old[0]) / 1e9)
            gain = passed - longest
            if gain > used:
                self.loose = gain - used
            else:  # a child that starves does not stop the clock for one that runs
                back = min(used - gain, self.loose)  # it had begun to wait before the last look
                self.loose -= back
                gain = min(passed, used) - back
            self.own += gain
            self.wall += passed
            self.last, self.before = self.last + passed, times
        return self.own


def all_here() -> list[int]:
    """The processes that this one can see: in the box, all of the box."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def set_limits(limits: dict) -> None:
    """Hard limits of this process and all its children; the grader watches their sum from outside
    as well."""
    for name in ("DATA", "FSIZE", "NOFILE", "NPROC", "CPU", "CORE"):
        if name in limits:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limits[name], limits[name]))


class Wire:
    """Lines of JSON over two file descriptors that the notebook is not told of."""

    def __init__(self, incoming: int = 0, outgoing: int = 1):
        self.incoming, self.outgoing = os.dup(incoming), os.dup(outgoing)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)

    def receive(self) -> dict | None:
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = os.read(self.incoming, 1 << 20)
            if not piece:
                return None
            line += piece
        return json.loads(line)

    def send(self, **message) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self.outgoing, data) :]


class Capture:
    """Collects what a cell prints and shows, and throws away what is too much."""

    def __init__(self):
        self.clear()

    def clear(self) -> None:
        self.outputs, self.text_left, self.pictures_left = [], TEXT_KEPT, PICTURES_KEPT

    def text(self, stream: str, text: str) -> None:
        if self.text_left <= 0:
            return
        if len(text) > self.text_left:
            text = text[: self.text_left] + "\n… (the rest of this output is not kept)\n"
        self.text_left -= len(text)
        if self.outputs and self.outputs[-1].get("stream") == stream:
            self.outputs[-1]["text"] += text
        else:
            self.outputs.append({"stream": stream, "text": text})

    def show(self, data: dict) -> None:
        picture = data.get("image/png")
        if isinstance(picture, bytes):
            picture = base64.b64encode(picture).decode()
        if isinstance(picture, str) and len(picture) <= self.pictures_left:
            self.pictures_left -= len(picture)
            self.outputs.append({"picture": picture.replace("\n", "")})
        elif data.get("text/plain"):
            self.text("stdout", str(data["text/plain"]) + "\n")


class Writer(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr``."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, capture: Capture, stream: str):
        self.capture, self.stream = capture, stream

    def write(self, text) -> int:
        self.capture.text(self.stream, str(text))
        return len(text)

    def close(self) -> None: ...

    def writable(self) -> bool:
        return True


def make_shell(capture: Capture):
    """A bare IPython: magics, ``display`` and inline figures work; there is no kernel, no port and
    no history file."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, **kwargs):
            capture.show(data)

    class Hook(DisplayHook):
        def write_output_prompt(self): ...

        def write_format_data(self, format_dict, md_dict=None):
            capture.show(format_dict)

        def finish_displayhook(self): ...

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(
        config=config, display_pub_class=Publisher, displayhook_class=Hook
    )
    shell.enable_gui = lambda gui=None: None
    return shell


def run_cell(shell, capture: Capture, source: str, seconds: float) -> dict:
    capture.clear()
    error, clock = "", Clock(lambda: [os.getpid()])

    def tick(signum, frame):
        if clock.look() > seconds:
            raise OutOfTime("the time limit for this cell is over")

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    try:
        result = shell.run_cell(source, store_history=False)
        failure = result.error_before_exec or result.error_in_exec
        error = type(failure).__name__ if failure is not None else ""
    except BaseException as failure:  # noqa: BLE001 (whatever a cell raises is its own)
        error = type(failure).__name__
        capture.text("stderr", "".join(traceback.format_exception_only(failure)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {
        "outputs": capture.outputs,
        "error": error,
        "seconds": round(clock.look(), 2),
    }


class Student:
    """The notebook's names, for the questions: ``student.name``; a missing name says so in plain
    words."""

    def __init__(self, namespace: dict):
        object.__setattr__(self, "_namespace", namespace)

    def __getattr__(self, name: str):
        try:
            return self._namespace[name]
        except KeyError:
            raise NameError(
                f"the notebook defines no {name!r} (was its cell run without an error?)"
            ) from None


def pack(values: dict) -> dict:
    """A question's answer as it leaves: tensors as safetensors, all else as JSON. No pickle."""
    import numpy
    import torch
    from safetensors.torch import save

    plain, tensors = {}, {}
    for name, value in values.items():
        if isinstance(value, numpy.ndarray):
            value = torch.from_numpy(numpy.ascontiguousarray(value))
        if isinstance(value, torch.Tensor) and value.ndim:
            tensors[name] = value.detach().to("cpu").contiguous().clone()
        else:
            plain[name] = (
                value.item() if isinstance(value, (torch.Tensor, numpy.generic)) else value
            )
    return {"plain": plain, "tensors": base64.b64encode(save(tensors)).decode() if tensors else ""}


def unpack(message: dict) -> dict:
    from safetensors.torch import load

    tensors = load(base64.b64decode(message["tensors"])) if message.get("tensors") else {}
    return {**message.get("plain", {}), **tensors}


def compile_functions(source: str) -> dict:
    import torch

    space = {"torch": torch, "nn": torch.nn, "Tensor": torch.Tensor}
    exec(compile(source, "<question>", "exec"), space)
    return space


def short_error(failure: BaseException) -> str:
    if isinstance(failure, NotImplementedError) and not str(failure):
        return "not written yet"
    return f"{type(failure).__name__}: {failure}"[:TOLD]


def question_process(wire: Wire, message: dict, namespace: dict) -> None:
    """In a fork: prepare once, or take what another box has prepared; then answer each request in a
    further fork. Forks of one box can pass things on; where that matters, what was prepared is sent
    out (``apart``) and each request is put in a box of its own."""
    import torch

    from course_utils.engine.asking import to_bytes

    os.setsid()
    torch.manual_seed(message["seed"])
    student = Student(namespace)
    try:
        space = compile_functions(message["source"])
        if "state" in message:
            state = pickle.loads(base64.b64decode(message["state"]))
        elif "prepare" in space:
            state = space["prepare"](student, unpack(message["given"]))
        else:
            state = student
        left = to_bytes(state) if message["apart"] else b""
    except BaseException as failure:  # noqa: BLE001
        wire.send(kind="failed", text=short_error(failure))
        return
    wire.send(kind="prepared", state=base64.b64encode(left).decode())
    while (request := wire.receive()) is not None and "ask" in request:
        child = os.fork()
        if child == 0:
            try:
                torch.manual_seed(message["seed"])
                answer = space[request["ask"]](state, unpack(request["given"]))
                wire.send(kind="answer", **pack(answer))
            except BaseException as failure:  # noqa: BLE001
                wire.send(kind="failed", text=short_error(failure))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        wire.send(kind="asked")


def watch(child: int, seconds: float) -> bool:
    """Wait for a question's process; after its time kill it and all that it started. True if it
    ended by itself."""
    clock = Clock(all_here)
    while clock.look() < seconds:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except OSError:
            pass
    os.waitpid(child, 0)
    return False


def traces(shell, before: dict) -> list[str]:
    """Signs that the notebook changed the machinery. Advice to the teacher; no mark depends on
    it."""
    found = []
    if len(shell.ast_transformers) > before["ast"]:
        found.append("an AST transformer rewrites the cells")
    if len(shell.input_transformers_post) > before["input"]:
        found.append("an input transformer rewrites the cells")
    import torch

    kinds = {
        "built-in names": [(builtins, "builtins", "")],
        "functions of torch": [(torch, "torch", ""), (torch.Tensor, "tensor", "Tensor.")],
    }
    for kind, places in kinds.items():
        changed = [
            f"{prefix}{name}"
            for owner, saved, prefix in places
            for name, value in before[saved].items()
            if getattr(owner, name, None) is not value
        ]
        if changed:
            found.append(f"{kind} were replaced: {', '.join(sorted(changed)[:5])}")
    if sys.stdout is not before["stdout"]:
        found.append("the printed output was redirected")
    return found


def run_job(wire: Wire) -> None:
    """One submission: its cells, then the questions."""
    os.nice(5)  # the grader, which watches, comes first
    random.seed()
    job = wire.receive()
    set_limits(job["limits"])
    capture = Capture()
    sys.stdout, sys.stderr = Writer(capture, "stdout"), Writer(capture, "stderr")
    shell = make_shell(capture)
    import torch

    torch.set_num_threads(1)
    torch.set_num_threads = int  # does nothing: a fork would wait for threads that it has not
    before = {
        "ast": len(shell.ast_transformers),
        "input": len(shell.input_transformers_post),
        "stdout": sys.stdout,
        "builtins": {
            name: getattr(builtins, name)
            for name in dir(builtins)
            if name not in ("_", "get_ipython", "display")
        },
        "torch": {name: getattr(torch, name) for name in WATCHED},
        "tensor": {name: getattr(torch.Tensor, name) for name in WATCHED_OF_TENSORS},
    }
    wire.send(kind="ready")
    left = job["seconds"]
    for cell in job["cells"]:
        most = max(5.0, min(job["cell_seconds"], left))  # a short one has its time in any case
        ran = run_cell(shell, capture, cell["source"], most)
        left -= ran["seconds"]
        wire.send(kind="cell", key=cell["key"], **ran)
    namespace = shell.user_ns
    wire.send(kind="ran", traces=traces(shell, before))
    while (message := wire.receive()) is not None:
        child = os.fork()
        if child == 0:
            try:
                question_process(wire, message, namespace)
            finally:
                os._exit(0)
        by_itself = watch(child, message["seconds"])
        wire.send(kind="ended" if by_itself else "late")


# one box for many submissions

NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x40000000 | 0x04000000  # mnt pid ipc net uts
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
FRESH = {"/tmp": 96, "/home/student": 64, "/dev/shm": 32}  # MiB


def system(name: str, *arguments) -> None:
    """Call the C library; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def shut_in() -> None:
    """Into namespaces of its own, with fresh folders in memory, and without a right that could lead
    out: what an earlier submission left, this one cannot see."""
    system("unshare", NAMESPACES)
    child = os.fork()
    if child:
        os._exit(os.waitpid(child, 0)[1] >> 8)
    system("mount", b"none", b"/", None, 0x4000 | 0x40000, None)  # private, all of it
    system("mount", b"proc", b"/proc", b"proc", 2 | 4 | 8, None)
    for folder, size in FRESH.items():
        system("mount", b"tmpfs", folder.encode(), b"tmpfs", 2 | 4, b"size=%dm" % size)
    os.chdir("/home/student")
    child = os.fork()
    if child:  # the first process of the namespace: all others end with it
        while os.wait()[0] != child:
            pass
        os._exit(0)
    system("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        try:
            system("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
        except OSError:
            break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    system("capset", header, (ctypes.c_uint32 * 6)())
    system("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)


def serve(control: socket.socket) -> None:
    """Load once what every notebook loads; then a fork for each submission, of which the grader
    sends the two ends of its wire."""
    import IPython.core.interactiveshell  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch

    torch.set_num_threads(1)
    from course_utils import checks, data, metrics, models, plots, training  # noqa: F401

    for name in ("FashionMNIST", "MNIST"):
        data.load_images(name, "train")  # stays in memory, of which each fork has its own copy
    # the first optimizer and the first PCA import more than a thousand modules; neither leaves a
    # thread, which a fork would not have
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    metrics.PCABaseline(torch.rand(8, 1, 28, 28))
    gc.freeze()  # the collector of a fork would touch, and so copy, all that it shares with this
    system("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)  # no other process looks into this one
    control.send(b"1")
    while True:
        _, ends, _, _ = socket.recv_fds(control, 1, 2)
        if len(ends) != 2:
            return
        child = os.fork()
        if child == 0:
            control.close()
            try:
                shut_in()
                wire = Wire(*ends)
                for end in ends:
                    os.close(end)
                run_job(wire)
            finally:
                os._exit(0)
        for end in ends:
            os.close(end)
        os.waitpid(child, 0)
        control.send(b"0")


def main() -> None:
    # the course's own package first; at the end the working folder, for a student's helper.py
    sys.path[:] = ["/opt/course", *sys.path, os.getcwd()]
    if len(sys.argv) > 1:
        serve(socket.socket(fileno=int(sys.argv[1])))
    else:
        run_job(Wire())


if __name__ == "__main__":
    main()
