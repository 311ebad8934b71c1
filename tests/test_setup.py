"""The set-up of .venv: progress is shown, what goes wrong is said in one sentence, and a half-made
environment is mended."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import run_tests, setup_venv

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    *["lab", "course", "check", "test", "claims", "notebooks", "exercises", "grade"],
    *["bench", "weights", "address", "clean"],
]
FAKE_UV = """#!/bin/sh
echo "$@" >> "{folder}/called"
echo "Resolved 2 packages in 9ms"
sleep 1
mkdir -p "{folder}/lib/python3/site-packages/small-1.dist-info"
sleep 1
{end}
"""
FAKE_PIP = """#!/bin/sh
echo "Collecting small"
echo "Collecting smaller"
sleep 1
echo "Installing collected packages: smaller, small"
mkdir -p "{venv}/lib/python3/site-packages/smaller-1.dist-info"
sleep 1
mkdir -p "{venv}/lib/python3/site-packages/small-1.dist-info"
{end}
"""


def without_registries():
    """This environment without what pip and uv are told in it."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}


def set_up(venv, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "tools/setup_venv.py"), "lab"],
        capture_output=True,
        text=True,
        env={**without_registries(), "COURSE_VENV": str(venv), **environment},
    )


@pytest.fixture
def fake_pip(monkeypatch, tmp_path):
    """`install` without uv and with a program in pip's place that ends with the given line."""
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: None)

    def run(end):
        program = tmp_path / "python"
        program.write_text(FAKE_PIP.format(venv=tmp_path, end=end))
        program.chmod(0o755)
        values = {"VENV": tmp_path, "PYTHON": program, "LOG": tmp_path / "log", "EVERY": 0}
        for name, value in values.items():
            monkeypatch.setattr(setup_venv, name, str(value) if name != "EVERY" else value)
        setup_venv.install(["-e", "."])

    return run


def test_progress_says_how_many_of_all(fake_pip, capsys):
    fake_pip("exit 0")
    said = capsys.readouterr().out
    steps = ["found 2 packages so far (", "installed 1 of 2 packages ("]
    assert all(step in said for step in steps)
    assert "\r" not in said  # no terminal: plain lines


def test_what_pip_said_last_is_told(fake_pip):
    with pytest.raises(SystemExit, match="its last words were: .*the wheel is broken"):
        fake_pip("echo the wheel is broken; exit 1")
    with pytest.raises(SystemExit, match=r"the disk is full; free about \d GB"):
        fake_pip("echo No space left on device; exit 1")


@pytest.mark.parametrize(
    "end", ["exit 0", "echo uv is lost; exit 1", "echo No space left on device; exit 1"]
)
def test_uv_installs_where_it_is_and_pip_where_it_cannot(
    fake_pip, monkeypatch, tmp_path, capsys, end
):
    uv = tmp_path / "uv"
    uv.write_text(FAKE_UV.format(folder=tmp_path, end=end))
    uv.chmod(0o755)
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: str(uv) if name == "uv" else None)
    if "No space" in end:
        with pytest.raises(SystemExit, match="the disk is full"):
            fake_pip("echo pip was asked, too; exit 1")
    else:
        fake_pip("exit 0")
    called = (tmp_path / "called").read_text().splitlines()
    assert called == [f"pip install --python {tmp_path}/python -e ."]
    said = capsys.readouterr().out
    assert "installed 1 of 2 packages (" in said
    assert ("uv could not" in said and "uv is lost" in said) == ("lost" in end)
    assert ("found 2 packages" in said) == ("lost" in end)  # pip's own words


def test_wrong_python(monkeypatch):
    monkeypatch.setattr(setup_venv, "usable", lambda python: None)
    with pytest.raises(
        SystemExit, match="needs Python 3.10 to 3.13 and this is .*; install one of them"
    ):
        setup_venv.pick_python()


def test_no_room_on_the_disk(monkeypatch, tmp_path):
    for name, value in {
        "VENV": tmp_path / "v",
        "STAMP": tmp_path / "none",
        "UNFINISHED": tmp_path / "unfinished",
        "PYTHON": sys.executable,
    }.items():
        monkeypatch.setattr(setup_venv, name, str(value))
    monkeypatch.setattr(setup_venv, "make_venv", lambda python: None)
    monkeypatch.setattr(
        setup_venv.shutil,
        "disk_usage",
        lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**8),
    )
    with pytest.raises(
        SystemExit, match=r"the disk has 0.1 GB free and the course needs \d+ GB; free some"
    ):
        setup_venv.main("lab")


def test_no_venv_module(monkeypatch, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(setup_venv, "VENV", str(tmp_path / "v"))
    with pytest.raises(
        SystemExit, match="cannot make a virtual environment; .*apt-get install python3-venv"
    ):
        setup_venv.make_venv(str(fake))


def test_an_intel_mac_is_told_what_works(monkeypatch):
    monkeypatch.setattr(setup_venv.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(setup_venv.platform, "machine", lambda: "x86_64")
    with pytest.raises(SystemExit, match="no version for Macs with Intel processors.* Colab"):
        setup_venv.main("lab")


def test_a_moved_folder_is_noticed_and_mended(monkeypatch, tmp_path, capsys):
    old = tmp_path / "old"
    subprocess.run([sys.executable, "-m", "venv", str(old / ".venv")], check=True)

    def be_in(folder):
        values = {"ROOT": folder, "VENV": folder / ".venv", "PYTHON": folder / ".venv/bin/python"}
        for name, value in values.items():
            monkeypatch.setattr(setup_venv, name, str(value))
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        return setup_venv.wanted_stamp("lab", setup_venv.PYTHON)

    before = be_in(old)
    program = next((old / ".venv/bin").glob("pip3.*"))
    assert before == be_in(old)
    setup_venv.mend_moved()
    assert capsys.readouterr().out == ""  # nothing to mend
    old.rename(tmp_path / "moved")
    new = tmp_path / "moved"
    assert before != be_in(new)
    with pytest.raises(FileNotFoundError):
        subprocess.run([str(new / ".venv/bin" / program.name), "--version"], check=True)
    setup_venv.mend_moved()
    assert "renamed or moved" in capsys.readouterr().out
    subprocess.run([str(new / ".venv/bin" / program.name), "--version"], check=True)


def test_no_registry_then_goes_on(tmp_path):
    """In a folder whose name the console cannot write."""
    venv = tmp_path / "\u05d0/v"
    venv.parent.mkdir()
    failed = set_up(
        venv,
        PYTHONIOENCODING="cp1252",
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="https://127.0.0.1:9/simple",
        PIP_FIND_LINKS="",
        UV_NO_CONFIG="1",
        UV_DEFAULT_INDEX="https://127.0.0.1:9/simple",
        UV_NO_CACHE="1",
    )
    assert failed.returncode == 1
    assert "registry cannot be reached; check the network" in failed.stderr.strip().splitlines()[-1]
    assert (
        venv / "course-unfinished"
    ).exists()  # so that the next call looks for half-installed packages

    # a package whose installation was cut off: its record names a file that never came
    site = next(venv.glob("lib/python*/site-packages"))
    half = site / "half-1.0.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
    (half / "RECORD").write_text(
        "half/__init__.py,sha256=abc,10\nhalf-1.0.dist-info/METADATA,,\nhalf-1.0.dist-info/RECORD,,\n"
    )
    subprocess.run(
        [str(venv / "bin/python"), "-c", setup_venv.INSPECT, "repair"],
        check=True,
        capture_output=True,
    )
    assert not half.exists()
    assert (site / "pip").exists()
    assert list(site.glob("pip-*.dist-info"))


def test_make_alone_lists_the_commands():
    listed = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    for command in COMMANDS:
        assert f"make {command} " in listed


TOY = """
import time

def test_fails_at_once():
    assert 1 + 1 == 3

def test_takes_a_moment():
    time.sleep(1.5)
"""


def test_a_failure_is_told_when_it_happens_and_progress_is_shown(tmp_path, monkeypatch, capsys):
    (tmp_path / "test_toy.py").write_text(TOY)
    monkeypatch.setattr(run_tests, "EVERY", 0)
    groups = {
        "toy": [*run_tests.PYTEST, "-p", "no:cacheprovider", str(tmp_path)],
        "nothing": ["this"],
    }
    assert run_tests.run_groups(groups) == ["toy"]
    said = capsys.readouterr().out
    told, shown, ended = (
        said.index(text) for text in ("assert (1 + 1) == 3", "toy 1/2", "1 failed")
    )
    assert told < ended
    assert shown < ended


def test_a_container_is_set_up_by_the_makefile():
    about = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    version = tuple(map(int, re.match(r"python:(\d+)\.(\d+)-", about["image"]).groups()))
    assert setup_venv.OLDEST <= version <= setup_venv.NEWEST
    command = about["postCreateCommand"].split()
    assert command[0] == "make"
    dry = subprocess.run(["make", "-n", *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0 and "tools/setup_venv.py lab" in dry.stdout


LONG = """
import sys, nbformat
from tools import build
cell = nbformat.v4.new_code_cell("open('runs', 'w').close(); import time; time.sleep(120)")
try:
    print(build.execute(nbformat.v4.new_notebook(cells=[cell])))
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a signal to a group of processes")
def test_ctrl_c_ends_a_notebook_and_leaves_no_folder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LONG],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(6000):
        if list(tmp_path.glob("*/runs")):
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (said.strip(), process.returncode) == ("interrupted", 1)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
