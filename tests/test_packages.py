"""The packages are ours, are all installed, and stand on pinned versions."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rag", "ingest", "eval", "ui")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[0-9][A-Za-z0-9.+!]*)(?P<marker> ; .+)?", re.IGNORECASE)


def locked():
    return (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()


def normalised(requirement):
    """Returns the name of a requirement as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement).group()).lower()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_the_one_in_this_repository(name):
    module = importlib.import_module(name)
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


def test_every_folder_of_code_is_an_installed_package():
    folders = {path.parent.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(".".join(folder.parts) for folder in folders)
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_the_tests_are_no_package():
    assert list((ROOT / "tests").rglob("__init__.py")) == [], "tests/rag/__init__.py would shadow the real rag"


def test_the_lock_pins_every_line_to_one_version():
    assert [line for line in locked() if not PIN.fullmatch(line)] == []
    pinned = {(match["name"], match["marker"]) for match in map(PIN.fullmatch, locked())}
    assert len(pinned) == len(locked()), "one package, two versions"


def test_the_lock_names_no_place():
    text = "\n".join(locked())
    assert re.findall(r"https?:|file:|@|^-|--|\./|^/", text, re.MULTILINE) == []


def test_the_lock_holds_every_requirement_of_the_project():
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = {normalised(line): line for line in locked()}
    assert [name for name in map(normalised, wanted) if name not in pins] == []
    exact = [requirement for requirement in wanted if "==" in requirement]
    assert [requirement for requirement in exact if requirement not in locked()] == []


@pytest.mark.parametrize("line", ["a>=1", "a", "a @ file:///x", "-e .", "--index-url x", "a==1 --hash=x", "a==*"])
def test_what_is_no_pin_is_seen(line):
    assert not PIN.fullmatch(line)
