"""The README and docs/ say what the command line really has, and name nothing of one machine."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import raybench
from raybench import spec
from raybench.cli import app
from tests.docs.blocks import ROOT, blocks, commands, tour

README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "jobs/README.md",
    ROOT / "dashboards/README.md",
]
VERBS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
#: Options of other programs that the pages name.
FOREIGN_OPTIONS = {"--working-dir"}
FOREIGN_HOSTS = re.compile(
    r"huggingface\.co|\bhf\.co|pypi\.|pythonhosted|pytorch\.org|anaconda\.|docker\.io|ghcr\.io|quay\.io"
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users)/")


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def options_of(verb: str) -> set[str]:
    return {"--help"} | {
        option for parameter in VERBS[verb].params for option in parameter.opts if option.startswith("-")
    }


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_and_stands_in_the_readme(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    first = " ".join(VERBS[verb].help.split("\n\n")[0].split())
    assert len(first) > 20
    assert f"| `raybench {verb}` | {first} |" in text_of(README)


def test_the_readme_lists_no_other_verb() -> None:
    listed = re.findall(r"^\| `raybench ([\w-]+)` \|", text_of(README), re.MULTILINE)
    assert listed == list(VERBS), "the table follows the order of `raybench --help`"


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_commands_and_options_exist(path: Path) -> None:
    scripts = [block.text for block in blocks(text_of(path), "bash", "yaml")]
    shown = re.findall(r"`(raybench [a-z][^`\n]*)`", text_of(path))
    for command in [*(found for script in scripts for found in commands(script)), *shown]:
        verb, *arguments = shlex.split(command, comments=True)[1:]
        if verb.isupper():
            continue  # a placeholder, as in "raybench COMMAND --help"
        assert verb in VERBS, command
        unknown = {word.split("=")[0] for word in arguments if word.startswith("-")} - options_of(verb)
        assert not unknown, f"{command}: no option {', '.join(unknown)}"


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_flags_in_prose_exist(path: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    known = FOREIGN_OPTIONS.union(*(options_of(verb) for verb in VERBS))
    assert not set(re.findall(r"`(--[a-z][a-z-]*)", prose)) - known


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", text_of(path)):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_pages_name_no_registry_and_no_path_of_a_machine(path: Path) -> None:
    assert not FOREIGN_HOSTS.findall(text_of(path))
    assert not MACHINE_PATHS.findall(text_of(path))


def _specs() -> list[tuple[str, dict[str, Any]]]:
    """Return the specs shown in fenced blocks, written by a here-document, or lying in jobs/."""
    found = []
    for path, name in zip(PAGES, names(PAGES), strict=True):
        shown = [block.text for block in blocks(text_of(path), "yaml")]
        shown += re.findall(r"> \S+\.yaml <<'EOF'\n(.*?)^EOF$", text_of(path), re.MULTILINE | re.DOTALL)
        found += [(f"{name}-{number}", yaml.safe_load(text)) for number, text in enumerate(shown)]
    return found + [(path.name, spec.read(path)) for path in sorted(ROOT.glob("jobs/*.yaml")) if path.stem != "kuberay"]


@pytest.mark.parametrize(("where", "document"), _specs(), ids=[where for where, _ in _specs()])
def test_every_spec_shown_is_valid(where: str, document: dict[str, Any]) -> None:
    spec.build(document, where)


def test_python_shown_compiles_and_names_what_exists() -> None:
    for path in PAGES:
        for block in blocks(text_of(path), "python"):
            compile(block.text, str(path), "exec")
            used = re.findall(r"\braybench\.(\w+)\(", block.text)
            assert not {*used} - {*raybench.__all__}, path


@pytest.mark.slow
def test_the_tour_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit codes and words are checked; numbers of random checkpoints may differ elsewhere."""
    monkeypatch.chdir(tmp_path)
    found = list(tour(text_of(README)))
    assert len(found) == 4
    for block, printed in found:
        assert not _words(block.text) - _words(printed), printed
    (example,) = blocks(text_of(README), "python")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    exec(compile(example.text, "README.md", "exec"), {})


def _words(text: str) -> set[str]:
    """Return whole words; parts of run ids are none."""
    return set(re.findall(r"(?<![\w-])[a-z_]{3,}(?![\w-])", text))
