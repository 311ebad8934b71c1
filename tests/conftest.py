"""What several tests of the grader share."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable

import pytest


@pytest.fixture(scope="module")
def bwrap() -> str:
    """The sandbox's program; a test that needs one is skipped where there is none, fails in CI."""
    from grading import sandbox

    try:
        return sandbox.find_sandbox()
    except sandbox.NoSandbox as error:
        message = f"no submission can be graded on this machine: {error}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


@pytest.fixture
def played_grader(monkeypatch) -> Callable[[Callable], None]:
    """``played_grader(judge)``: no box runs; what comes of a submission is ``judge(submission)``,
    which may raise."""

    def play(judge: Callable) -> None:
        class Pool:
            def __init__(self, *a, **k): ...
            def __enter__(self):
                return self

            def __exit__(self, *a): ...
            def submit(self, function, submission, *a):
                future = concurrent.futures.Future()
                try:
                    future.set_result(judge(submission))
                except Exception as error:
                    future.set_exception(error)
                return future

        from grading import grade

        monkeypatch.setattr(grade.concurrent.futures, "ProcessPoolExecutor", Pool)

    return play
