"""The layers of the package, and how large its parts may grow."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "robustcheck"
FILES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from modules of a lower number. Beside the design's modules:
# ``assets``    files that come with the package
# ``auditing``  the design's ``audit``: a module of that name would hide the function ``robustcheck.audit`` as
#               soon as something imported it
# ``hardening`` the design's ``harden``, for the same reason
# ``measures``  figures from results, without a model, so that a stored report can be measured again
# ``compare``   and ``policy`` stand below ``measures``, on which both are built, and a rule on a change is a
#               comparison; neither sees a model
# ``text``      text from outside made safe to print, which reports and the errors themselves need
# ``startup``   TensorFlow imported quietly, for the command line and the pytest plugin
# ``shards``    the work of an audit as files; light, since ``merge`` refuses before TensorFlow is there
# ``recipe``    how a classifier is made, so that another process can make the same
# ``identity``  whether two audits are the same work; light, since the plugin asks before TensorFlow is there
# ``remedies``  what is done where a search did not see, between the search and the checks that tell of it
# ``noise``     the control of checks, transfer and hardening
# ``interrupts``  Ctrl-C raised where it can be
# ``progress``  how work tells how far it is
# ``settings``  tables of what can be set, which the command line and the plugin share
# ``samples``   a user's arrays as rows, which distortion, transfer and auditing all need
LAYERS = {
    "arrays": 0,
    "levels": 1,
    "assets": 0,
    "errors": 0,
    "startup": 1,
    "text": -1,
    "config": 1,
    "settings": 2,
    "stored": 1,
    "noise": 4,
    "norms": 1,
    "numerics": 2,
    "results": 2,
    "identity": 4,
    "intake": 3,
    "interrupts": 0,
    "measures": 3,
    "models": 3,
    "compare": 4,
    "recipe": 5,
    "remedies": 7,
    "report": 4,
    "samples": 4,
    "search": 4,
    "shards": 5,
    "distortion": 6,
    "distribute": 2,
    "policy": 5,
    "progress": 0,
    "checks": 8,
    "deployed": 7,
    "hardening": 7,
    "transfer": 7,
    "auditing": 9,
    "testing": 10,
    "cli": 11,
    "pytest_plugin": 11,
    "__main__": 12,
}
WITHOUT_TENSORFLOW = {
    "arrays", "assets", "cli", "compare", "config", "distribute", "errors", "identity", "intake",
    "interrupts", "levels", "measures", "norms", "policy", "progress", "report", "settings", "pytest_plugin",
    "results",
    "shards", "startup", "stored", "testing", "text",
}  # fmt: skip


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path, *, at_import: bool = False) -> set[str]:
    """Full names that a file imports; with ``at_import`` only those outside functions and type checking."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse(path.read_text("utf-8")))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    module = module_of(path)
    if module == "__init__":
        return
    for name in imported_modules(path):
        parts = name.split(".")
        if parts[0] != "robustcheck" or len(parts) == 1 or parts[1] in ("__version__", module):
            continue
        assert LAYERS[parts[1]] < LAYERS[module], f"{module} imports {name}"


def test_every_module_has_a_layer() -> None:
    assert {module_of(path) for path in FILES} - {"__init__"} == set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_tensorflow_stays_out_of_the_light_modules(path: Path) -> None:
    if module_of(path) in WITHOUT_TENSORFLOW:
        heavy = ("tensorflow", "keras", "tf_keras", "robustcheck.models", "robustcheck.auditing")
        imported = imported_modules(path, at_import=True)
        assert not [name for name in imported if name.startswith(heavy)]


def test_tensorflow_probability_has_one_home() -> None:
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name.startswith("tensorflow_probability") for name in imported_modules(path))
    ]
    assert users == ["search/_lbfgs.py"]


def test_sizes() -> None:
    lines = [len(path.read_text("utf-8").splitlines()) for path in FILES]
    assert max(lines) <= 400
    assert statistics.median(lines) <= 200


def test_function_lengths() -> None:
    lengths = {
        f"{path.name}:{node.name}": node.end_lineno - body_start(node) + 1
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    }
    assert not {name: n for name, n in lengths.items() if n > 60}
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 35


def body_start(node: ast.FunctionDef) -> int:
    """First line after the docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1
    return node.body[1].lineno if documented else first.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_things_are_called_what_they_are(path: Path) -> None:
    """Not "one" and "told", which could be anything."""
    tree = ast.parse(path.read_text("utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"one", "told"}


@pytest.mark.parametrize(
    "code",
    [
        "import robustcheck; robustcheck.__version__; robustcheck.SearchOptions; robustcheck.AuditReport",
        "import robustcheck.report, robustcheck.cli, robustcheck.intake, robustcheck.measures",
        "import robustcheck.cli as c\ntry: c.main(['audit', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_no_tensorflow_on_import(code: str) -> None:
    check = f"{code}\nimport sys; assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL, timeout=60)
