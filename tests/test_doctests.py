import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("rag", "ingest", "eval")


def modules():
    """Names every module of the packages, as they lie on the disk."""
    for package in PACKAGES:
        yield package
        found = importlib.import_module(package)
        yield from (module.name for module in pkgutil.walk_packages(found.__path__, f"{package}."))


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_of_the_docstrings_hold(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    """Keeps the test above from passing because it found nothing to run."""
    attempted = {name: doctest.testmod(importlib.import_module(name)).attempted for name in modules()}
    assert sum(attempted.values()) >= 15
    assert attempted["rag.fusion"] >= 2
