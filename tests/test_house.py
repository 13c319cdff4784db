"""The house rules of `raybench/`, kept by reading its source: layers, imports, sizes, names, errors, plugins.

Each rule is one test over every module; what breaks one is listed as file:line. The last part gives every rule a
small offence and checks that it is noticed.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Imports go from a later line to an earlier one, never sideways but for SIDEWAYS.
LAYERS = (
    {"schema"},
    {"errors"},
    {"registry", "interfaces"},
    {"spec"},
    {"data", "parsing", "stats", "store"},
    {"metrics"},
    {"tasks", "models", "judges"},
    {"scoring"},
    {"leaderboard"},
    {"engine"},
    {"dashboard", "cli"},
    {"__main__"},
)
SIDEWAYS = {
    ("cli", "dashboard"): "the verb `dashboard` starts the server",
}
PLUGIN_FOLDERS = ("tasks", "models", "judges", "metrics")
HEAVY = ("torch", "transformers")
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60

#: "path function" -> why it may catch everything.
BROAD_EXCEPTS: dict[str, str] = {
    "raybench/models/hf.py _guarded": "the per-row guard: processors and templates raise anything",
    "raybench/scoring/grading.py read_answer": "the per-row guard: a parser that breaks leaves its row unparsed",
    "raybench/engine/worker.py _generate": "an engine that breaks ends its process; the ledger isolates the row",
    "raybench/engine/replicas.py _load": "a model that cannot load tells the ledger why, then raises",
    "raybench/engine/resources.py _start": "ray.init raises plain Exception when a start times out",
    "raybench/engine/pipeline.py run_stream": "whatever ends one model's stream, other models go on",
    "raybench/engine/streams.py _report": "a thread's error is raised again by the thread that waits for it",
}
#: Part of raybench -> why it may read the environment.
ENVIRONMENT_READERS = {"spec": "settings", "models": "credentials", "engine": "Ray's own switches; doctor"}

HOSTS = re.compile(
    r"huggingface\.co|\bhf\.co|hf-mirror|modelscope|pypi\.|pythonhosted|pytorch\.org|anaconda\.|docker\.io|ghcr\.io|nvcr\.io|quay\.io",
    re.IGNORECASE,
)
HOMES = re.compile(r"^(~[/\\][\w.]|\$HOME|/home/|/root\b|/Users/)")
FORBIDDEN_NAMES = re.compile(r"^_?Base([A-Z]|$)|(Manager|Helper)s?$")
FORBIDDEN_FILES = {"utils", "util", "common", "helpers", "helper", "misc"}


@dataclass(frozen=True)
class Module:
    """One source file: its path from the repository root and its text."""

    path: str
    source: str

    @property
    def name(self) -> str:
        """Dotted name; a package is named without `__init__`."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def part(self) -> str:
        """What LAYERS lists: the second word of the name; "" for `raybench` itself."""
        return f"{self.name}.".split(".")[1]

    @property
    def stem(self) -> str:
        return Path(self.path).stem

    @property
    def is_plugin(self) -> bool:
        return Path(self.path).parent.name in PLUGIN_FOLDERS and not self.stem.startswith("_")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """(line, dotted name) of every import, those inside functions included.

        `from a import b` gives "a.b": what b is, a module or a name, is the reader's to find out.
        """
        return [found for node in self.nodes for found in _imported(node, self)]

    def at(self, line: int, message: str) -> str:
        return f"{self.path}:{line}: {message}"


def _imported(node: ast.AST, module: Module) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = module.name.split(".") if module.stem == "__init__" else module.name.split(".")[:-1]
        above = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join([*above, *([node.module] if node.module else [])])
        yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield node.lineno, first.value


def own_imports(module: Module, known: set[str]) -> list[tuple[int, str]]:
    """(line, module) of what a module imports from raybench."""
    found = [(line, name) for line, name in module.imports if name.split(".")[0] == "raybench"]
    return [(line, name if name in known else name.rpartition(".")[0] or name) for line, name in found]


def layer(part: str) -> int:
    """Index in LAYERS; `raybench` itself stands under the command line; -1 if unknown."""
    place = part or "engine"
    return next((i for i, parts in enumerate(LAYERS) if place in parts), -1)


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def report(offences: Iterable[str]) -> None:
    """Fail with all offences, one a line."""
    listed = sorted(set(offences))
    assert not listed, "\n" + "\n".join(listed)


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every source file of raybench."""
    paths = sorted((ROOT / "raybench").rglob("*.py"))
    assert paths, "no source found"
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


# --- imports ---------------------------------------------------------------------------------------------------------


def test_every_module_has_a_layer(modules: list[Module]) -> None:
    report(m.at(1, f"{m.part!r} stands in no layer; see LAYERS") for m in modules if layer(m.part) < 0)


def test_imports_flow_downward(modules: list[Module]) -> None:
    known = {m.name for m in modules}
    for_layer = [m for m in modules if m.name != "raybench"]  # the root hands out names lazily
    report(
        m.at(line, f"{m.part} may not import {target}: that is no lower layer")
        for m in for_layer
        for line, target in own_imports(m, known)
        if (part := f"{target}.".split(".")[1]) != m.part
        and layer(part) >= layer(m.part)
        and (m.part, part) not in SIDEWAYS
    )


def test_no_import_circles(modules: list[Module]) -> None:
    known = {m.name for m in modules}
    inner = [m for m in modules if m.name != "raybench"]
    graph = {m.name: {target for _, target in own_imports(m, known)} - {m.name, "raybench"} for m in inner}
    lines = {m.name: m for m in inner}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        line = next(line for line, target in own_imports(lines[circle[0]], known) if target == circle[1])
        report([lines[circle[0]].at(line, f"circle: {' -> '.join(circle)}")])


def test_ray_stays_in_the_engine(modules: list[Module]) -> None:
    report(
        m.at(line, f"{name}: only raybench/engine/ imports ray")
        for m in modules
        for line, name in m.imports
        if is_under(name, "ray") and m.part != "engine"
    )


def test_heavy_libraries_are_imported_inside_functions(modules: list[Module]) -> None:
    report(
        m.at(line, f"{name}: import it inside the function that needs it")
        for m in modules
        for node in _at_import(m.tree)
        for line, name in _imported(node, m)
        if name.split(".")[0] in HEAVY
    )


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: no function bodies, nothing under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _at_import(child)


def test_plugins_stand_alone(modules: list[Module]) -> None:
    known = {m.name for m in modules}
    plugins = {m.name for m in modules if m.is_plugin}
    report(
        m.at(line, f"a plugin may not import {target}; share code in a `_name.py` beside it or in a lower layer")
        for m in modules
        if m.part in PLUGIN_FOLDERS
        for line, target in own_imports(m, known)
        if target in plugins - {m.name} or any(is_under(target, f"raybench.{part}") for part in ("engine", "store"))
    )


@pytest.mark.parametrize(
    "name", ["raybench", *(["raybench.cli"] if list((ROOT / "raybench").glob("cli/__init__.py")) else [])]
)
def test_starting_is_light(name: str) -> None:
    code = f"import sys, {name}; print(*sorted({{'ray', *{HEAVY}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip(), f"`import {name}` loads {done.stdout.strip()}"


# --- sizes and names -------------------------------------------------------------------------------------------------


def test_files_are_short(modules: list[Module]) -> None:
    sizes = {m: len(m.source.splitlines()) for m in modules}
    report(m.at(n, f"{n} lines, at most {MAX_FILE_LINES}") for m, n in sizes.items() if n > MAX_FILE_LINES)


def test_functions_are_short(modules: list[Module]) -> None:
    report(
        m.at(node.lineno, f"{node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}")
        for m in modules
        for node in m.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    )


def test_every_module_has_a_docstring(modules: list[Module]) -> None:
    report(
        m.at(1, "no docstring: say what the module is for")
        for m in modules
        if m.stem != "__init__" and not ast.get_docstring(m.tree)
    )


def test_every_module_lists_its_names(modules: list[Module]) -> None:
    report(offence for m in modules for offence in _offences_of_all(m))


def _offences_of_all(module: Module) -> Iterator[str]:
    listed = [node for node in module.tree.body if isinstance(node, ast.Assign) and _names(node) == {"__all__"}]
    if not listed:
        if module.stem not in ("__init__", "__main__"):
            yield module.at(1, "no __all__")
        return
    try:
        names = ast.literal_eval(listed[-1].value)
    except ValueError:
        yield module.at(listed[-1].lineno, "__all__ is no plain list of strings")
        return
    defined = {name for node in _at_import(module.tree) for name in _names(node)}
    defined |= {node.name for node in module.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "__getattr__" not in defined:
        yield from (module.at(listed[-1].lineno, f"__all__ names {name!r}: not here") for name in {*names} - defined)


def _names(node: ast.AST) -> set[str]:
    """Names that a statement binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def test_names_say_what_things_are(modules: list[Module]) -> None:
    report(
        m.at(node.lineno, f"class {node.name}: no Base*, *Manager, *Helper")
        for m in modules
        for node in m.nodes
        if isinstance(node, ast.ClassDef) and FORBIDDEN_NAMES.search(node.name)
    )


def test_files_say_what_they_hold(modules: list[Module]) -> None:
    report(
        m.at(1, "name the file after what it holds")
        for m in modules
        if FORBIDDEN_FILES & {word.lstrip("_") for word in m.name.split(".")}
    )


# --- errors, environment, addresses ----------------------------------------------------------------------------------


def test_no_broad_excepts(modules: list[Module]) -> None:
    found = {(m, line, function) for m in modules for line, function in _broad_excepts(m.tree)}
    report(
        m.at(line, f"{function or 'module'} catches everything; name the errors, or say why in BROAD_EXCEPTS")
        for m, line, function in found
        if f"{m.path} {function}" not in BROAD_EXCEPTS
    )


def test_allowed_broad_excepts_are_still_there(modules: list[Module]) -> None:
    found = {f"{m.path} {function}" for m in modules for _, function in _broad_excepts(m.tree)}
    report(f"{allowed}: in BROAD_EXCEPTS and not in the source" for allowed in BROAD_EXCEPTS.keys() - found)


def _broad_excepts(node: ast.AST, function: str = "") -> Iterator[tuple[int, str]]:
    """(line, function) of each `except` and `suppress` that takes everything."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        caught: list[ast.expr] = []
        if isinstance(child, ast.ExceptHandler):
            if child.type is None:
                yield child.lineno, inside
            caught = child.type.elts if isinstance(child.type, ast.Tuple) else [child.type] if child.type else []
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("suppress"):
            caught = child.args
        if any(ast.unparse(error).split(".")[-1] in ("Exception", "BaseException") for error in caught):
            yield child.lineno, inside
        yield from _broad_excepts(child, inside)


def test_the_environment_is_read_in_one_place(modules: list[Module]) -> None:
    report(
        m.at(line, f"{what}: only {', '.join(ENVIRONMENT_READERS)} may read the environment")
        for m in modules
        if m.part not in ENVIRONMENT_READERS
        for line, what in _environment_reads(m)
    )


def _environment_reads(module: Module) -> Iterator[tuple[int, str]]:
    readers = ("os.environ", "os.environb", "os.getenv", "os.path.expandvars")
    written = {
        id(node.value)
        for node in module.nodes
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
    }
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node) in readers and id(node) not in written:
            yield node.lineno, ast.unparse(node)
    yield from ((line, name) for line, name in module.imports if name in readers)


def _strings(module: Module) -> Iterator[tuple[int, str]]:
    """(line, text) of string constants; docstrings may cite."""
    cited = {id(node.value) for node in module.nodes if isinstance(node, ast.Expr)}
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in cited:
            yield node.lineno, node.value


def test_no_host_is_written_into_the_code(modules: list[Module]) -> None:
    report(m.at(n, f"{text!r} names a hub") for m in modules for n, text in _strings(m) if HOSTS.search(text))


def test_no_home_directory_is_written_into_the_code(modules: list[Module]) -> None:
    report(m.at(n, f"{text!r} is a home path") for m in modules for n, text in _strings(m) if HOMES.search(text))


@pytest.mark.parametrize("pattern", ["Makefile", "*.toml", "*.txt", "*.yaml", ".ci/*", "jobs/*", "raybench/**/*.yaml"])
def test_no_host_is_written_into_settings(pattern: str) -> None:
    lines = [(p, n, line) for p in ROOT.glob(pattern) for n, line in enumerate(p.read_text("utf-8").splitlines(), 1)]
    report(f"{p.relative_to(ROOT)}:{n}: names a hub" for p, n, line in lines if HOSTS.search(line))


# --- plugins ---------------------------------------------------------------------------------------------------------


def test_every_plugin_names_a_documented_class(modules: list[Module]) -> None:
    report(offence for m in modules if m.is_plugin for offence in _offences_of_plugin(m))


def _offences_of_plugin(module: Module) -> Iterator[str]:
    named = [node for node in module.tree.body if isinstance(node, ast.Assign) and _names(node) == {"PLUGIN"}]
    classes = {node.name: node for node in module.tree.body if isinstance(node, ast.ClassDef)}
    if not named:
        yield module.at(1, "no PLUGIN = <the class>")
        return
    plugin = ast.unparse(named[-1].value)
    if plugin not in classes:
        yield module.at(named[-1].lineno, f"PLUGIN is {plugin}: no class of this file")
    elif not ast.get_docstring(classes[plugin]):
        yield module.at(classes[plugin].lineno, f"{plugin} has no docstring")


# --- the rules notice ------------------------------------------------------------------------------------------------

LONG_FUNCTION = "def long():\n" + "    pass\n" * MAX_FUNCTION_LINES
OFFENCES: list[tuple[Callable[[list[Module]], None], str, str, int]] = [
    (test_every_module_has_a_layer, "helpers_of_mine.py", "", 1),
    (test_imports_flow_downward, "schema.py", "def f():\n    from raybench import errors", 2),
    (test_imports_flow_downward, "stats/x.py", "import raybench.metrics.y", 1),
    (test_imports_flow_downward, "store/x.py", "from ..data import read", 1),
    (test_imports_flow_downward, "scoring.py", "import importlib\nimportlib.import_module('raybench.cli')", 2),
    (test_no_import_circles, "data/x.py", "from raybench.data import y", 1),
    (test_ray_stays_in_the_engine, "cli/x.py", "def f():\n    import ray.data", 2),
    (test_heavy_libraries_are_imported_inside_functions, "models/x.py", "try:\n    import torch.nn\nfinally: ...", 2),
    (test_plugins_stand_alone, "tasks/x.py", "from raybench.tasks.y import z", 1),
    (test_plugins_stand_alone, "judges/x.py", "from raybench.store import View", 1),
    (test_files_are_short, "spec.py", "\n" * (MAX_FILE_LINES + 1), MAX_FILE_LINES + 1),
    (test_functions_are_short, "spec.py", LONG_FUNCTION, 1),
    (test_every_module_has_a_docstring, "spec.py", "x = 1", 1),
    (test_every_module_lists_its_names, "spec.py", "x = 1", 1),
    (test_every_module_lists_its_names, "spec.py", "\n__all__ = ['y']", 2),
    (test_names_say_what_things_are, "spec.py", "class BaseTask: ...", 1),
    (test_names_say_what_things_are, "spec.py", "class _PoolManager: ...", 1),
    (test_files_say_what_they_hold, "data/_utils.py", "", 1),
    (test_no_broad_excepts, "spec.py", "try: ...\nexcept (OSError, Exception): ...", 2),
    (test_no_broad_excepts, "spec.py", "try: ...\nexcept: ...", 2),
    (test_no_broad_excepts, "spec.py", "with contextlib.suppress(BaseException): ...", 1),
    (test_the_environment_is_read_in_one_place, "store/x.py", "import os\nos.environ.get('A')", 2),
    (test_the_environment_is_read_in_one_place, "store/x.py", "from os import getenv", 1),
    (test_no_host_is_written_into_the_code, "models/x.py", "url = f'https://huggingface.co/{x}'", 1),
    (test_no_home_directory_is_written_into_the_code, "models/x.py", "path = '~/.cache'", 1),
    (test_every_plugin_names_a_documented_class, "tasks/x.py", "", 1),
    (test_every_plugin_names_a_documented_class, "tasks/x.py", "class T: ...\nPLUGIN = T", 1),
]


@pytest.mark.parametrize(("rule", "path", "source", "line"), OFFENCES, ids=[rule.__name__ for rule, *_ in OFFENCES])
def test_rules_notice(rule: Callable[[list[Module]], None], path: str, source: str, line: int) -> None:
    beside = [
        Module("raybench/errors.py", ""),
        Module("raybench/cli/__init__.py", ""),
        Module("raybench/data/__init__.py", "def read(): ..."),
        Module("raybench/data/y.py", "from raybench.data.x import z"),
        Module("raybench/tasks/y.py", "z = 1"),
    ]
    with pytest.raises(AssertionError, match=re.escape(f"raybench/{path}:{line}: ")):
        rule([Module(f"raybench/{path}", source), *beside])
