"""Every error comes back whole from a worker process, which can only write it down and have it made
anew."""

import importlib
import inspect
import pickle
import pkgutil
from pathlib import Path

import pytest

from panels.text.errors import ReconflowError

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("panels", "gating", "tasks", "flows")
MIGRATIONS = "tasks.store.migrations."
"""Scripts that alembic runs, not modules to import."""
EXAMPLES = {str: "what, where, what to do", int: 7, tuple: ("gates", 2)}


def error_classes() -> list[type[Exception]]:
    found = set()
    for room in ROOMS:
        for module in pkgutil.walk_packages([str(ROOT / room)], f"{room}."):
            if module.name.startswith(MIGRATIONS):
                continue
            loaded = importlib.import_module(module.name)
            own = [
                each
                for _, each in inspect.getmembers(loaded, inspect.isclass)
                if each.__module__ == loaded.__name__
            ]
            found.update(each for each in own if issubclass(each, Exception))
    return sorted(found, key=lambda each: f"{each.__module__}.{each.__name__}")


def example(kind: type[Exception]) -> Exception:
    """Make an error as its constructor asks."""
    if kind.__init__ is Exception.__init__ or "__init__" not in vars(kind):
        return kind(EXAMPLES[str])
    asked = [each for name, each in inspect.signature(kind).parameters.items() if name != "self"]
    words = [str(each.annotation) for each in asked]
    values = [
        EXAMPLES[tuple] if "tuple" in word else EXAMPLES[int] if "int" in word else EXAMPLES[str]
        for word in words
    ]
    return kind(*values)


@pytest.mark.parametrize(
    "kind", error_classes(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_an_error_survives_the_way_between_processes(kind: type[Exception]) -> None:
    error = example(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_tree_is_looked_at_whole() -> None:
    kinds = error_classes()
    assert len([kind for kind in kinds if issubclass(kind, ReconflowError)]) >= 11
    assert "Misfit" in {kind.__name__ for kind in kinds}
