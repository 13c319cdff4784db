"""The error tree is what its docstring draws, and a user's error is one sentence."""

from __future__ import annotations

import re

import pytest

from raybench import errors
from raybench.errors import EngineError, RaybenchError, UnknownNameError, UserError, nearest, one_line


def test_the_tree_is_the_one_drawn():
    drawn = set(re.findall(r"(\w+Error)\b", errors.__doc__.split("    A `UserError`")[0]))
    classes = {name for name in errors.__all__ if name.endswith("Error")}
    assert classes <= drawn
    assert all(issubclass(getattr(errors, name), RaybenchError) for name in classes)
    users = classes - {"RaybenchError", "UserError", "EngineError"}
    assert all(issubclass(getattr(errors, name), UserError) for name in users)
    assert not issubclass(EngineError, UserError)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [("modle", ["model", "task"], " (did you mean 'model'?)"), ("xyz", ["model"], ""), ("a", [], "")],
)
def test_nearest(name, known, said):
    assert nearest(name, known) == said


def test_an_unknown_name():
    assert str(UnknownNameError("task", "vqq", ["vqa", "cxr"])) == (
        "unknown task 'vqq' (did you mean 'vqa'?); known: cxr, vqa"
    )
    assert str(UnknownNameError("task", "x", [])) == "unknown task 'x'; known: none installed"


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    cut = one_line(ValueError("x" * 500))
    assert (len(cut), cut[-1]) == (400, "…")
