"""Fixtures and settings that all tests share: those in tests/, in lessons/ and nbval's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

os.environ.setdefault("COURSE_PROGRESS", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# What the caller's git, pytest and proxy are set to is no part of a test: a commit hook names its
# own index, a signing key asks a password, and this machine's servers need no proxy.
for _name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "PREFIX"):
    os.environ.pop(f"GIT_{_name}", None)
os.environ |= {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "no_proxy": "127.0.0.1,localhost",
    "NO_PROXY": "127.0.0.1,localhost",
}
os.environ.pop("PYTEST_ADDOPTS", None)

from course_utils.engine import download  # noqa: E402


def full_data_at_hand() -> bool:
    """Whether COURSE_DATA or the cache holds both data sets, so that loading needs no network."""
    folders = [Path(os.environ.get("COURSE_DATA", "")), download.cache_folder()]
    return all(
        any(
            not any(download.problem(folder / name / "raw", name, file) for file in files)
            for folder in folders
        )
        for name, files in download.SHA256.items()
    )


# Tests do not download: without the full data at hand they, and the kernels they start, run on
# the shipped sample.
if os.environ.get("COURSE_DATA") == "sample" or not full_data_at_hand():
    os.environ["COURSE_DATA"] = "sample"


@pytest.fixture(scope="session")
def full_data() -> None:
    """Skip a test that needs the full data where neither COURSE_DATA nor the cache holds it."""
    if os.environ.get("COURSE_DATA") == "sample":
        pytest.skip("needs the full data: set COURSE_DATA to the folder that holds it")


CHROMIUM = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
]


def _patient(make: Callable) -> Callable:
    """A page or context that waits ten minutes where playwright would half a minute."""

    def made(**settings):
        new = make(**settings)
        new.set_default_timeout(600_000)
        return new

    return made


@pytest.fixture(scope="module")  # while it is open, asyncio.run works in no other test
def chromium():
    """The browser; a test that needs one is skipped where there is none, and fails in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        message = "no chromium on this machine (Debian: apt-get install chromium)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        browser.new_page = _patient(browser.new_page)
        browser.new_context = _patient(browser.new_context)
        yield browser
        browser.close()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """`record(name, value)` appends a measured value to the JSON-lines file that CLAIMS_LOG
    names, if it does."""

    def append(name: str, value: object) -> None:
        if log := os.environ.get("CLAIMS_LOG"):
            value = value.item() if hasattr(value, "item") else value
            line = {
                "test": request.node.nodeid,
                "name": name,
                "value": value,
                "date": date.today().isoformat(),
            }
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    return append
