"""The rules of the house, held by reading the code; each rule is seen red on a planted file."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("recsys", "training", "serving")
LAYERS = (
    {"errors"},
    {"text", "lexical", "trust", "segments"},
    {"schemas"},
    {"experiments"},
    {"candidates", "exposed", "logged", "config", "store", "bundle"},
    {
        "counters",
        "growing_rows",
        "nearest",
        "unique_rows",
        "key_sets",
        "distinct",
        "recent_openings",
        "grouping",
        "prefixes",
        "replay",
        "embedder",
        "index",
        "openness",
        "orders",
        "places",
        "lexical_index",
        "catalog",
        "popularity",
        "lately_used",
        "openings_table",
        "profile",
        "affinity",
        "age",
        "examination",
        "skill",
        "expected",
        "covisitation",
        "ranker",
        "topics",
        "recipes",
    },
    {"rules", "rules_editor", "learned", "state", "arrivals", "shadowed", "lists_before"},
    {"counted_features", "in_list", "recency", "features", "snapshot"},
    {"retrieval", "blending", "reasons", "reranking", "page", "exploration", "rank_chances", "randomising"},
    {"slate", "listing", "interleaving"},
    {"pipeline"},
    {"exploring"},
    {"asked", "answering"},
)
FORBIDDEN_IN_RECSYS = {
    *("fastapi", "starlette", "uvicorn", "httpx", "requests", "urllib", "socket", "typer", "click", "rich"),
    *("duckdb", "sqlite3", "ibis", "pandas", "torch", "sentence_transformers", "sklearn", "time", "random"),
}
UNSAFE = {"pickle", "joblib", "shelve", "marshal", "dill", "cloudpickle"}
Finder = Callable[[Path], Iterator[str]]


def sources(root: Path, *packages: str) -> Iterator[tuple[Path, ast.Module]]:
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def wrong_directions(root: Path) -> Iterator[str]:
    """recsys imports neither of the others; serving never imports training."""
    allowed = {"recsys": {"recsys"}, "serving": {"recsys", "serving"}, "training": {"recsys", "training"}}
    for package, own in allowed.items():
        for path, tree in sources(root, package):
            lazily = path.name.startswith("cli") or path.name == "demo.py"
            for name in imports(tree):
                top = name.split(".")[0]
                if top in PACKAGES and top not in own and not (package == "training" and lazily):
                    yield f"{path.name} imports {name}"


def eager_serving(root: Path) -> Iterator[str]:
    """The command line imports serving inside a function only."""
    for path, tree in sources(root, "training"):
        for node in tree.body:
            for name in imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else ():
                if name.split(".")[0] == "serving":
                    yield f"{path.name} imports {name} when it is loaded"


def layer_of(module: str) -> int | None:
    part = module.split(".")[1] if "." in module else ""
    return next((level for level, names in enumerate(LAYERS) if part in names), None)


def wrong_layers(root: Path) -> Iterator[str]:
    """A module of recsys imports only from its own layer or a lower one, and has a layer."""
    for path, tree in sources(root, "recsys"):
        own = "recsys." + path.relative_to(root / "recsys").parts[0].removesuffix(".py")
        if own == "recsys.__init__":
            continue
        level = layer_of(own)
        if level is None:
            yield f"{own} has no layer"
            continue
        for name in imports(tree):
            other = layer_of(name) if name.startswith("recsys.") else None
            if other is not None and other > level:
                yield f"{own} imports {name}"


def heavy_or_impure(root: Path) -> Iterator[str]:
    """recsys knows no web, SQL or command line, no clock and no environment."""
    for path, tree in sources(root, "recsys"):
        in_store = "store" in path.relative_to(root).parts
        for name in imports(tree):
            if name.split(".")[0] in FORBIDDEN_IN_RECSYS and not in_store:
                yield f"{path.name} imports {name}"
        for node in ast.walk(tree):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if re.fullmatch(
                r"datetime\.(now|utcnow|today)|date\.today|os\.(environ|getenv)|time\.time", text
            ):
                yield f"{path.name}:{node.lineno} reads {text}"  # type: ignore[attr-defined]
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func).endswith("default_rng")
                and not node.args
            ):
                yield f"{path.name}:{node.lineno} draws without a seed"


def unsafe(root: Path) -> Iterator[str]:
    """No pickle, no eval, no code from data."""
    for path, tree in sources(root, *PACKAGES):
        for name in imports(tree):
            if name.split(".")[0] in UNSAFE:
                yield f"{path.name} imports {name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("eval", "exec", "yaml.load", "yaml.unsafe_load"):
                    yield f"{path.name}:{node.lineno} calls {called}"
                if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords):
                    yield f"{path.name}:{node.lineno} allows pickle"


def too_large(root: Path) -> Iterator[str]:
    """Files end at 400 lines, functions at 60."""
    for path, tree in sources(root, *PACKAGES):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 400:
            yield f"{path.name} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.body[0].lineno + 1
                if size > 60:
                    yield f"{path.name}: {node.name} has {size} lines"


def undocumented(root: Path) -> Iterator[str]:
    """Modules, public classes and public functions say what they are for."""
    for path, tree in sources(root, *PACKAGES):
        if tree.body and ast.get_docstring(tree) is None:
            yield f"{path.name} has no docstring"
        for node in ast.iter_child_nodes(tree):
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and ast.get_docstring(node) is None:
                yield f"{path.name}: {node.name} has no docstring"


PLANTED: list[tuple[Finder, str, str]] = [
    (wrong_directions, "recsys/errors.py", "from training import fit"),
    (wrong_directions, "serving/app.py", "import training.fit"),
    (eager_serving, "training/cli.py", "from serving.app import create_app"),
    (wrong_layers, "recsys/text.py", "from recsys.pipeline import Funnel"),
    (wrong_layers, "recsys/novelty.py", ""),
    (heavy_or_impure, "recsys/state.py", "import time"),
    (heavy_or_impure, "recsys/state.py", "from datetime import datetime\nx = datetime.now()"),
    (heavy_or_impure, "recsys/state.py", "import numpy as np\nx = np.random.default_rng()"),
    (unsafe, "serving/app.py", "import pickle"),
    (unsafe, "serving/app.py", "x = eval('1')"),
    (unsafe, "serving/app.py", "import numpy as np\nx = np.load('f', allow_pickle=True)"),
    (too_large, "serving/app.py", "x = 1\n" * 401),
    (too_large, "serving/app.py", "def f():\n" + "    x = 1\n" * 61),
    (undocumented, "serving/app.py", '"""Doc."""\ndef f():\n    return 1'),
]


@pytest.mark.parametrize(
    "rule", sorted({rule for rule, _, _ in PLANTED}, key=lambda r: r.__name__), ids=lambda r: r.__name__
)
def test_the_house_keeps(rule: Finder) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize(
    ("rule", "place", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_breach_is_seen(rule: Finder, place: str, text: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / place).write_text(text)
    assert list(rule(tmp_path))


HEAVY = ("torch", "sentence_transformers", "sklearn", "fastapi", "transformers", "onnxruntime")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("recsys.pipeline", HEAVY),
        ("recsys.store", HEAVY),
        ("training.cli", HEAVY),
        ("serving.app", ("torch", "sklearn", "training")),
    ],
)
def test_a_light_import_stays_light(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
