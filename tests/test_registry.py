"""Names to plugins, without importing them; someone else's package adds one by an entry point."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from raybench import registry
from raybench.errors import SpecError, UnknownNameError
from raybench.tasks.vqa_rad import VqaRad


def test_a_file_is_a_plugin():
    assert {"classification", "vqa", "vqa_rad"} <= set(registry.names("tasks"))
    assert not [name for kind in registry.KINDS for name in registry.names(kind) if name.startswith("_")]
    assert registry.load("tasks", "vqa_rad") is VqaRad
    assert registry.load("tasks", "vqa-rad") is VqaRad


def test_an_unknown_name_says_the_nearest_and_all():
    with pytest.raises(UnknownNameError) as caught:
        registry.load("metrics", "raybench-strickt")
    assert "unknown metric profile 'raybench-strickt' (did you mean 'raybench_strict'?); known: " in str(caught.value)
    for name in ("../spec", "__init__", "_table", ""):
        with pytest.raises(UnknownNameError):
            registry.load("tasks", name)


def test_entry_points_of_other_packages(monkeypatch):
    point = EntryPoint("my-task", "raybench.tasks.vqa_rad:VqaRad", "raybench.tasks")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "raybench.tasks" else [])
    registry._entry_points.cache_clear()
    registry.names.cache_clear()
    try:
        assert "my_task" in registry.names("tasks")
        assert registry.load("tasks", "my-task") is VqaRad
        assert registry.load("tasks", "my_task") is VqaRad
    finally:
        registry._entry_points.cache_clear()
        registry.names.cache_clear()


def test_a_file_without_a_plugin(monkeypatch):
    monkeypatch.delattr("raybench.tasks.vqa.PLUGIN")
    with pytest.raises(SpecError, match=r"raybench\.tasks\.vqa is no plugin: it names no PLUGIN"):
        registry.load("tasks", "vqa")


def test_listing_imports_no_plugin():
    code = (
        "import sys; from raybench import registry; [registry.names(kind) for kind in registry.KINDS]; "
        "registry.catalogue(); print([name for name in sys.modules if name.startswith('raybench.') "
        "and name.split('.')[1] in registry.KINDS and name.count('.') > 1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_catalogue_entries_are_named_after_their_files():
    for name, entry in registry.catalogue().items():
        assert entry["name"] == name
        assert entry["backend"] in registry.names("models")
        assert entry["kind"] in ("subject", "judge")
        assert entry["licence"]
