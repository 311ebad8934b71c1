"""The set-up of .venv: what goes wrong is said in one sentence, and a half-made environment is mended."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import setup_venv  # noqa: E402


def set_up(venv, **environment):
    return subprocess.run([sys.executable, str(ROOT / "tools/setup_venv.py"), "lab"], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "COURSE_VENV": str(venv), **environment})


def test_wrong_python(monkeypatch):
    monkeypatch.setattr(setup_venv, "usable", lambda python: None)
    with pytest.raises(SystemExit, match="needs Python 3.10 to 3.13 and this is .*; install one of them"):
        setup_venv.pick_python()


def test_no_room_on_the_disk(monkeypatch, tmp_path):
    for name, value in {"VENV": tmp_path / "v", "STAMP": tmp_path / "none", "UNFINISHED": tmp_path / "unfinished", "PYTHON": sys.executable}.items():
        monkeypatch.setattr(setup_venv, name, str(value))
    monkeypatch.setattr(setup_venv, "make_venv", lambda python: None)
    monkeypatch.setattr(setup_venv.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**8))
    with pytest.raises(SystemExit, match=r"the disk has 0.1 GB free and the course needs \d+ GB; free some"):
        setup_venv.main("lab")


def test_no_venv_module(monkeypatch, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(setup_venv, "VENV", str(tmp_path / "v"))
    with pytest.raises(SystemExit, match="cannot make a virtual environment; .*apt-get install python3-venv"):
        setup_venv.make_venv(str(fake))


def test_no_registry_then_goes_on(tmp_path):
    venv = tmp_path / "v"
    failed = set_up(venv, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL="https://127.0.0.1:9/simple", PIP_FIND_LINKS="")
    assert failed.returncode == 1
    assert "registry cannot be reached; check the network" in failed.stderr.strip().splitlines()[-1]
    assert (venv / "course-unfinished").exists()  # so that the next call looks for half-installed packages

    # a package whose installation was cut off: its record names a file that never came
    site = next(venv.glob("lib/python*/site-packages"))
    half = site / "half-1.0.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
    (half / "RECORD").write_text("half/__init__.py,sha256=abc,10\nhalf-1.0.dist-info/METADATA,,\nhalf-1.0.dist-info/RECORD,,\n")
    subprocess.run([str(venv / "bin/python"), "-c", setup_venv.INSPECT, "repair"], check=True, capture_output=True)
    assert not half.exists()
    assert (site / "pip").exists() and list(site.glob("pip-*.dist-info"))


def test_make_alone_lists_the_commands():
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for command in ("lab", "course", "test", "claims", "notebooks", "exercises", "grade", "bench", "weights", "clean"):
        assert f"make {command} " in listed
