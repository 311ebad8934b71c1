"""On every machine that the README names the pins have a solution, and the declared floors are
true. uv resolves for machines that are not here; it asks a package registry."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.test_pins import EXTRAS, ROOT, pinned

PLATFORMS = {  # uv's name -> the machine as a marker sees it
    "x86_64-manylinux_2_28": ("linux", "Linux", "x86_64"),
    "aarch64-manylinux_2_28": ("linux", "Linux", "aarch64"),
    "x86_64-pc-windows-msvc": ("win32", "Windows", "AMD64"),
    "aarch64-apple-darwin": ("darwin", "Darwin", "arm64"),
}
NO_NETWORK = "Failed to fetch|dns error|error sending request|Could not connect"


def resolved(*options: str) -> tuple[list[str], str]:
    """What uv would install of everything under these options: lines ``name==version``; or none,
    and why."""
    uv = shutil.which("uv")
    assert uv or not os.environ.get("CI"), "CI has uv"
    if not uv:
        pytest.skip("needs uv")
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--all-extras"]
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}  # as the README says
    environment.pop("UV_TORCH_BACKEND", None)  # another registry's versions are no pins
    done = subprocess.run(
        [*command, *options, "pyproject.toml"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if re.search(NO_NETWORK, done.stderr) and not os.environ.get("CI"):
        pytest.skip("needs a package registry")
    lines = done.stdout.splitlines()
    return [line.partition(" ;")[0].strip() for line in lines if "==" in line], done.stderr


@pytest.mark.parametrize("python", ["3.10", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_machine_gets_the_pins_and_nothing_beside_them(platform, python):
    how = ["-c", "constraints.txt", "--python-version", python, "--python-platform", platform]
    found, why = resolved(*how)
    assert found, why
    pins = {f"{name}{pin.specifier}" for name, pin in pinned(python, *PLATFORMS[platform]).items()}
    assert "torch==" in " ".join(found) and not set(found) - pins


def test_no_solution_for_a_mac_with_an_intel_processor():
    """What the README and the set-up say; where this fails, they can promise more."""
    how = ["-c", "constraints.txt", "--python-version", "3.12"]
    found, why = resolved(*how, "--python-platform", "x86_64-apple-darwin")
    assert not found and "torch" in why and "No solution found" in why


WHAT = [
    *["models", "models_conv", "models_variational", "corruption", "metrics", "plots", "widgets"],
    *["checks", "identity", "gpu", "tables", "data", "training", "sweeps"],
]


@pytest.mark.skipif(os.environ.get("COURSE_TESTS") != "all", reason="in `make test ALL=1`")
def test_the_package_works_with_the_oldest_versions_that_it_allows(tmp_path):
    """A second environment with the lowest of each; the package's unit tests run there."""
    uv, python = shutil.which("uv"), tmp_path / "env/bin/python"
    assert uv, "this test needs uv"
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env"], check=True
    )
    extras = ",".join(sorted(set(EXTRAS) - {"grading", "site"}))
    packages = ["--editable", f".[{extras}]"]
    how = ["--quiet", "--resolution", "lowest-direct", "--python", python]
    subprocess.run([uv, "pip", "install", *how, *packages], cwd=ROOT, check=True)
    tests = [f"tests/test_{name}.py" for name in WHAT]
    command = [python, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-W", "ignore", *tests], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]
