"""The house keeps its own rules: short files, docstrings, no path of one machine, and docs that name what exists."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|Users/\w+)/")
DOTTED = re.compile(r"\b(?:streamrnn|streamrnn_client|training|benchmarks)(?:\.[a-zA-Z_]\w*)+")
NOT_MODULES = re.compile(r"streamrnn\.v\d|\.(?:safetensors|toml|json|md|csv|db|sqlite)$")
CODE = ("streamrnn", "training", "benchmarks", "clients")


def tracked() -> list[Path]:
    """Return the files that git tracks, or every file where there is no git."""
    try:
        out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in out.decode().split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """Return a file's text, or None where it holds none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_python_file_is_long():
    long = {
        str(path.relative_to(ROOT)): n_lines
        for path in tracked()
        if path.suffix == ".py" and (n_lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def test_no_absolute_path_of_a_machine():
    found = []
    for path in tracked():
        for n, line in enumerate((text_of(path) or "").splitlines(), start=1):
            if MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}")
    assert not found, "\n" + "\n".join(found)


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield public functions and classes of a module, and the public methods of its public classes.

    A method of a class with bases may override one that is documented there, so it is left out.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not node.bases:
                yield from (
                    inner
                    for inner in node.body
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_")
                )


def test_public_names_have_docstrings():
    bare = []
    for path in tracked():
        relative = path.relative_to(ROOT)
        if path.suffix != ".py" or relative.parts[0] not in CODE or "tests" in relative.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and not ast.get_docstring(tree):
            bare.append(f"{relative}:1 (the module)")
        bare += [f"{relative}:{node.lineno} {node.name}" for node in public(tree) if not ast.get_docstring(node)]
    assert not bare, "\n" + "\n".join(bare)


def resolves(dotted: str) -> bool:
    """Tell whether a dotted name is a module, or an attribute of one."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for name in parts[n:]:
            found = getattr(found, name, None)
        return found is not None
    return False


def test_names_in_the_docs_exist():
    missing = []
    for path in tracked():
        if path.suffix != ".md" or path.name == "CHANGELOG.md":
            continue
        for dotted in sorted(set(DOTTED.findall(path.read_text(encoding="utf-8")))):
            if not NOT_MODULES.search(dotted) and not resolves(dotted):
                missing.append(f"{path.relative_to(ROOT)}: {dotted}")
    assert not missing, "\n" + "\n".join(missing)


def test_every_dependency_is_pinned():
    """A fresh clone must get the versions that were tested."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    wanted: set[str] = set()
    for path in (ROOT / "pyproject.toml", ROOT / "clients" / "python" / "pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
        wanted |= {re.split(r"[<>=;\[ ]", item)[0].lower() for items in lists for item in items}
    assert wanted - {"streamrnn-client"} <= pinned


def test_the_patterns_find_what_they_are_for():
    assert MACHINE_PATH.search("see /" + "work/main/x.py")
    assert MACHINE_PATH.search('"/' + 'root/.cache"')
    assert not MACHINE_PATH.search("../shared/" + "work/x and docs/" + "root/x")
    assert resolves("streamrnn.errors.OptionError")
    assert not resolves("streamrnn.errors.NoSuchError")
    assert not resolves("streamrnn.no_such_module")
    tree = ast.parse("def f(): ...\nclass C:\n    def g(self): ...\n    def _h(self): ...\ndef _k(): ...")
    assert [node.name for node in public(tree)] == ["f", "C", "g"]
