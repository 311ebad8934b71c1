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
import json
import os
import resource
import signal
import sys
import time
import traceback

TEXT_KEPT = 20_000  # characters of a cell's printed output
PICTURES_KEPT = 400_000  # bytes of base64 of a cell's pictures


class OutOfTime(BaseException):
    """Not an Exception, so that a cell's ``except Exception`` does not swallow it."""


def _alarm(signum, frame):
    raise OutOfTime("the time limit for this cell is over")


def set_limits(limits: dict) -> None:
    """Hard limits of this process and all its children; the grader watches their sum from outside
    as well."""
    for name in ("DATA", "FSIZE", "NOFILE", "NPROC", "CPU", "CORE"):
        if name in limits:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limits[name], limits[name]))


class Wire:
    """Lines of JSON over two file descriptors that the notebook is not told of."""

    def __init__(self):
        self.incoming, self.outgoing = os.dup(0), os.dup(1)
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


class Writer:
    """Stands in for ``sys.stdout`` and ``sys.stderr``."""

    encoding, errors, closed = "utf-8", "replace", False

    def __init__(self, capture: Capture, stream: str):
        self.capture, self.stream = capture, stream

    def write(self, text) -> int:
        self.capture.text(self.stream, str(text))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False

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
    start, error = time.monotonic(), ""
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
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
        "seconds": round(time.monotonic() - start, 2),
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
    return f"{type(failure).__name__}: {failure}"[:600]


def question_process(wire: Wire, message: dict, namespace: dict) -> None:
    """In a fork: prepare once, then answer each request in a further fork, so that no request can
    see an earlier one."""
    import torch

    os.setsid()
    torch.manual_seed(message["seed"])
    student = Student(namespace)
    try:
        space = compile_functions(message["source"])
        state = (
            space["prepare"](student, unpack(message["given"])) if "prepare" in space else student
        )
    except BaseException as failure:  # noqa: BLE001
        wire.send(kind="failed", text=short_error(failure))
        return
    wire.send(kind="prepared")
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
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
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
    changed = [
        name
        for name, value in before["builtins"].items()
        if getattr(builtins, name, None) is not value
    ]
    if changed:
        found.append("built-in names were replaced: " + ", ".join(sorted(changed)[:5]))
    import torch

    changed = [
        name for name, value in before["torch"].items() if getattr(torch, name, None) is not value
    ]
    changed += [
        f"Tensor.{name}"
        for name, value in before["tensor"].items()
        if getattr(torch.Tensor, name, None) is not value
    ]
    if changed:
        found.append("functions of torch were replaced: " + ", ".join(sorted(changed)[:5]))
    if sys.stdout is not before["stdout"]:
        found.append("the printed output was redirected")
    return found


def main() -> None:
    # the course's own package first; at the end the working folder, for a student's helper.py
    sys.path[:] = ["/opt/course", *sys.path, os.getcwd()]
    wire = Wire()
    job = wire.receive()
    set_limits(job["limits"])
    capture = Capture()
    sys.stdout, sys.stderr = Writer(capture, "stdout"), Writer(capture, "stderr")
    shell = make_shell(capture)
    import torch

    torch.set_num_threads(1)
    before = {
        "ast": len(shell.ast_transformers),
        "input": len(shell.input_transformers_post),
        "stdout": sys.stdout,
        "builtins": {
            name: getattr(builtins, name)
            for name in dir(builtins)
            if name not in ("_", "get_ipython", "display")
        },
        "torch": {
            name: getattr(torch, name)
            for name in (
                "save",
                "load",
                "mean",
                "randn",
                "rand",
                "allclose",
                "no_grad",
                "zeros",
                "where",
            )
        },
        "tensor": {
            name: getattr(torch.Tensor, name)
            for name in (
                "detach",
                "contiguous",
                "mean",
                "sum",
                "item",
                "numpy",
                "clone",
                "to",
                "__eq__",
            )
        },
    }
    wire.send(kind="ready")
    for cell in job["cells"]:
        wire.send(
            kind="cell",
            key=cell["key"],
            **run_cell(shell, capture, cell["source"], cell["seconds"]),
        )
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


if __name__ == "__main__":
    main()
