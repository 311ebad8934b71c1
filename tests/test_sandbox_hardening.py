"""A box that dies, says what no honest one says, or bears a name that is no text: the grader kills
it, goes on, and comes to an end."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from course_utils.engine import asking
from grading import grade, runner, sandbox

LIMITS = sandbox.Limits(seconds=240, cell_seconds=12, grace_seconds=5)
CUT = ("a" * 14 + "š").encode()  # the kernel keeps 15 bytes: half of the last letter


@pytest.fixture(scope="module", autouse=True)
def on_the_sample():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_DATA", "sample")
        yield
    if sandbox.Warm.one:
        sandbox.Warm.one.stop()


@contextlib.contextmanager
def begun(bwrap: str, *sources: str):
    """A box in which these cells ran without an error."""
    with sandbox.Box(bwrap, LIMITS, Path("/")) as box:
        cells = [{"key": str(key), "source": source} for key, source in enumerate(sources)]
        box.send({"limits": {}, "seconds": 60, "cell_seconds": 60, "cells": cells})
        assert box.receive(120)["kind"] == "ready"
        while (message := box.receive(60))["kind"] != "ran":
            assert not message["error"], message
        yield box


def name_for(name: bytes, then: str) -> str:
    return f"import ctypes, os, time\nctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)\n{then}\n"


@pytest.mark.parametrize("name", [b"\xff", b") R \xff 1", CUT])
def test_a_process_may_have_any_name(name):
    code = name_for(name, "print(flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            assert process.pid in sandbox.descendants(os.getpid())
            assert sandbox.said_of(process.pid, "status")["Threads"] == 1
            assert sandbox.usage([process.pid])[1] == 1
            while runner.Clock(lambda: [process.pid]).before[process.pid][2]:  # until it sleeps
                time.sleep(0.01)
        finally:
            process.kill()


def test_a_box_with_a_name_that_is_no_text_is_killed_as_any_other(bwrap):
    stays = name_for(b"\xff", "if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)")
    with begun(bwrap, stays) as box:
        pids, warm = box.pids(), box.warm
        assert len(pids) > 1
    left = [pid for pid in pids if pid in sandbox.descendants(os.getpid())]
    assert not left and sandbox.Warm.get(bwrap) is warm
    with begun(bwrap):
        pass


def test_a_box_that_cannot_be_emptied_is_given_up(bwrap):
    warm = sandbox.Warm.get(bwrap)
    if warm is None:
        pytest.skip("this machine allows no warm box")
    with pytest.raises(ZeroDivisionError):
        warm.end(lambda: 1 / 0)
    assert sandbox.Warm.one is None and warm.process.poll() is not None
    assert sandbox.Warm.get(bwrap) not in (None, warm)


@pytest.mark.parametrize("known", [True, False])
def test_a_warm_box_that_died_is_replaced(bwrap, monkeypatch, known):
    """Between two submissions; and, not ``known``, in the moment in which the next one begins."""
    warm = sandbox.Warm.get(bwrap)
    if warm is None:
        pytest.skip("this machine allows no warm box")
    sandbox.kill([*sandbox.descendants(warm.process.pid), warm.process.pid])
    while not select.select([warm.control], [], [], 1)[0]:
        pass
    gc.collect()  # what earlier tests have left open is counted neither before nor after
    before = len(os.listdir("/proc/self/fd"))
    if not known:
        with monkeypatch.context() as patch, pytest.raises(sandbox.BoxEnded) as ended:
            patch.setattr(sandbox.Warm, "gone", lambda self: False)
            sandbox.Box(bwrap, LIMITS, Path("/"))
        assert ended.value.reason == "starved"  # it is tried again
        assert len(os.listdir("/proc/self/fd")) == before - 1  # of the dead one
    with begun(bwrap) as box:
        assert box.warm not in (None, warm)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_box_that_dies_while_it_is_tried_out_gets_no_successor(bwrap, monkeypatch):
    loaded = []

    class Dies(sandbox.Warm):
        def __init__(self, bwrap):
            loaded.append(self)
            self.control, theirs = sandbox.socket.socketpair()
            theirs.close()
            self.process, self.own = subprocess.Popen(["true"]), set()

    for name, value in {"one": None, "refused": False}.items():
        monkeypatch.setattr(sandbox.Warm, name, value)
    monkeypatch.setattr(sandbox, "Warm", Dies)
    assert Dies.get(bwrap) is None and Dies.get(bwrap) is None and len(loaded) == 1


FLOOD = """
import os, time

def fork():
    while True:
        for fd in range(3, 40):
            try:
                os.write(fd, b'{"kind": "FIRST"}\\n')
            except OSError:
                pass
        time.sleep(1)

os.fork = fork
"""


def asked(student, given):
    return {"x": 1}


@pytest.mark.parametrize("kind", ["x", "prepared"])
def test_a_question_comes_to_an_end_whatever_the_box_says(bwrap, kind):
    """Messages that mean nothing, once a second for ever; or a forged one, after which nobody reads
    the megabytes that are asked."""

    def give_up(*how):
        raise AssertionError("the question does not end")

    question = asking.Question("q", dict, (asked, asked), {})
    with begun(bwrap, FLOOD.replace("FIRST", kind)) as box:
        before = signal.signal(signal.SIGALRM, give_up)
        signal.alarm(150)
        try:
            with pytest.raises(sandbox.BoxEnded) as ended:
                grade.ask(box, question, {"big": torch.zeros(1 << 20)}, 0, 0.0)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    assert ended.value.reason == "timed out" and "15 s" in str(ended.value)
