"""pyproject.toml, constraints.txt and environment.yml agree; none names an index, host or path."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

from tools import setup_venv

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DEPENDENCIES = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
CONDA = [line for line in DEPENDENCIES if isinstance(line, str)]
PIP = [line for entry in DEPENDENCIES if isinstance(entry, dict) for line in entry["pip"]]


def declared() -> dict[str, Requirement]:
    """Every direct requirement of the package and its extras, by name."""
    lines = PROJECT["dependencies"] + [line for extra in EXTRAS.values() for line in extra]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def pinned(
    python: str, sys_platform: str = "linux", system: str = "Linux", machine: str = "x86_64"
) -> dict[str, Requirement]:
    """Name -> pin for one version of Python on one machine."""
    where = {
        "python_full_version": f"{python}.5",
        "python_version": python,
        "os_name": "nt" if system == "Windows" else "posix",
        "platform_system": system,
        "sys_platform": sys_platform,
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    text = (ROOT / "constraints.txt").read_text()
    lines = [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]
    fitting = [line for line in lines if line.marker is None or line.marker.evaluate(where)]
    return {canonicalize_name(line.name): line for line in fitting}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_requirement_is_pinned_within_its_bounds(python):
    pins = pinned(python)
    for name, requirement in declared().items():
        assert name in pins, f"{name} is not pinned for Python {python}"
        (pin,) = pins[name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"{pins[name]} against {requirement}"


def test_conda_lines_parse_strictly():
    assert [line.split("=")[0].rstrip(">") for line in CONDA] == ["python", "pip", "make"]
    for line in CONDA:
        MatchSpec(line, strict=True)


def test_conda_gives_pip_our_pins(tmp_path, monkeypatch):
    """conda, mamba and micromamba write the pip lines to a file beside environment.yml and call
    `pip install -r` on it, in that folder. pip itself reads that file here."""
    from pip._internal.network.session import PipSession
    from pip._internal.req.req_file import parse_requirements

    for name in ("environment.yml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "condaenv.requirements.txt"
    written.write_text("\n".join(PIP))
    read = list(parse_requirements(str(written), PipSession()))
    pins = [line.requirement for line in read if line.constraint]
    assert pins == (ROOT / "constraints.txt").read_text().splitlines()
    (course,) = [line for line in read if not line.constraint]
    assert course.is_editable
    folder, extras = re.fullmatch(r"(\.)\[(.*)\]", course.requirement).groups()
    assert (Path(folder).resolve(), set(extras.split(","))) == (tmp_path.resolve(), set(EXTRAS))


def test_the_set_up_knows_every_extra():
    assert set(setup_venv.EXTRAS["all"]) == set(EXTRAS)
    assert set(setup_venv.EXTRAS["lab"]) < set(EXTRAS)


def test_python_range_is_the_one_that_the_set_up_checks():
    (oldest, newest) = setup_venv.OLDEST, setup_venv.NEWEST
    assert PROJECT["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"


def test_the_version_stands_once_and_the_changelog_tells_of_it():
    version = PROJECT["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "environment.yml"])
def test_no_index_no_host_no_path(name):
    text = re.sub(r"^(Repository|Homepage) = .*$", "", (ROOT / name).read_text(), flags=re.M)
    assert not re.search(r"https?://|file:/|--(extra-)?index-url|--find-links", text)
