"""pyproject.toml, constraints.txt and environment.yml agree; none names an index, a host or a path."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
PIP = [line for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]


def declared() -> dict[str, Requirement]:
    """Every direct requirement of the package and its extras, by name."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in listed}


def pinned(python: str) -> dict[str, Requirement]:
    """Name -> pin for one version of Python, on Linux."""
    where = {"python_full_version": f"{python}.5", "python_version": python, "platform_system": "Linux", "sys_platform": "linux",
             "platform_machine": "x86_64", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    lines = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.name): line for line in lines if line.marker is None or line.marker.evaluate(where)}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_requirement_is_pinned_within_its_bounds(python):
    pins = pinned(python)
    for name, requirement in declared().items():
        assert name in pins, f"{name} is not pinned for Python {python}"
        (pin,) = pins[name].specifier
        assert pin.operator == "==" and requirement.specifier.contains(pin.version), f"{pins[name]} against {requirement}"


def test_conda_environment_holds_the_same_pins():
    python = next(MatchSpec(line, strict=True) for line in ENVIRONMENT["dependencies"] if isinstance(line, str) and line.startswith("python="))
    pins = pinned(str(python.version).lstrip("=").rstrip(".*"))
    lines = {canonicalize_name(Requirement(line).name): Requirement(line) for line in PIP if not line.startswith("-e")}
    assert set(lines) == set(declared()), "environment.yml and pyproject.toml name different packages"
    for name, line in lines.items():
        assert line.specifier == pins[name].specifier, f"environment.yml has {line}, constraints.txt has {pins[name]}"
    assert "-e ." in PIP


def test_conda_lines_parse_strictly():
    for line in ENVIRONMENT["dependencies"]:
        if isinstance(line, str):
            MatchSpec(line, strict=True)


def test_python_range_is_the_one_that_the_set_up_checks():
    sys.path.insert(0, str(ROOT / "tools"))
    import setup_venv

    text = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={setup_venv.OLDEST[0]}.{setup_venv.OLDEST[1]},<{setup_venv.NEWEST[0]}.{setup_venv.NEWEST[1] + 1}"' in text


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "environment.yml"])
def test_no_index_no_host_no_path(name):
    text = re.sub(r'^Repository = .*$', "", (ROOT / name).read_text(), flags=re.M)
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
