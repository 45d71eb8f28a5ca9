"""Which room may know which, what loads what, and that no code knows an axis or a label by name."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.artifact import Artifact
from model.codebook import KINDS, Codebook

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("model", "training", "serving")
FILES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "evaluate", "sklearn", "scipy", "onnx", "onnxscript", "bentoml")


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so inside a function."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)}:{node.lineno}: rooms are imported by their names"
            yield from ((f"{node.module}.{alias.name}", inside) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), False)


def importers(room: str, *packages: str, inside: bool | None = None) -> set[str]:
    """Files of a room that import one of the packages, anywhere or only inside (or outside) functions."""
    return {
        name_of(file)
        for file in (ROOT / room).rglob("*.py")
        for module, in_function in imports(file)
        if module.split(".")[0] in packages and inside in (None, in_function)
    }


# ---- Rooms ----


def test_the_walk_sees_every_room() -> None:
    assert {file.relative_to(ROOT).parts[0] for file in FILES} == set(ROOMS)
    assert importers("serving", "model")
    assert importers("training", "model")


def test_the_model_knows_neither_training_nor_serving() -> None:
    assert importers("model", "training", "serving") == set()


def test_training_does_not_know_serving() -> None:
    assert importers("training", "serving") == set()


def test_only_the_command_line_reaches_training_and_only_inside_its_commands() -> None:
    assert importers("serving", "training", inside=False) == set()
    assert importers("serving", "training") <= {"serving/cli_gold.py"}


def test_no_room_is_imported_without_a_module() -> None:
    # Never `import model` alone: the name says nothing to a reader of the code.
    bare = {name_of(file) for file in FILES for module, _ in imports(file) if module in ROOMS}
    assert bare == set()


def test_the_model_needs_torch_in_one_file_alone() -> None:
    assert importers("model", "torch", "transformers") == {"model/network.py"}


def test_serving_needs_no_torch() -> None:
    assert importers("serving", "torch", "transformers", "onnx") == set()


def test_only_training_imports_the_network() -> None:
    knowing = {name_of(file) for file in FILES for module, _ in imports(file) if module.startswith("model.network.")}
    assert {name.split("/")[0] for name in knowing} <= {"training"}


# ---- What loads what ----


def loaded_by(code: str, **environment: str) -> set[str]:
    """Top-level names of all modules that are loaded after some code has run, in a process of its own."""
    code += "\nimport sys, json\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def running(*arguments: str) -> str:
    """Code that runs the command line as `python -m serving.cli` does."""
    return (
        f"import runpy, sys\nsys.argv = ['newsframe', *{list(arguments)!r}]\n"
        "try:\n    runpy.run_module('serving.cli', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in ("classify", "train", "serve", "score", "report"))]
)
def test_help_loads_nothing_that_takes_time(arguments: list[str]) -> None:
    slow = {
        *HEAVY,
        "onnxruntime",
        "numpy",
        "tokenizers",
        "rich",
        "trafilatura",
        "yaml",
        "safetensors",
        "pyarrow",
        "ray",
    }
    assert loaded_by(running(*arguments)) & slow == set()


def test_labelling_loads_no_torch(tiny_artifact: Artifact) -> None:
    code = (
        "import serving.cli\nfrom pathlib import Path\nfrom model.labeller import Labeller\n"
        f"labeller = Labeller.load(Path({str(tiny_artifact.folder)!r}), threads=1)\n"
        "[document] = labeller.label_documents([{'text': 'First sear the beef hard.'}])\n"
        "assert document['summary']['sentences'] == 1"
    )
    assert loaded_by(code) & set(HEAVY) == set()


def test_building_loads_no_torch(tiny_release: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    command = running("build", "--model", str(tiny_release), "--encoder", str(tiny_encoder))
    assert loaded_by(command, NEWSFRAME_CACHE=str(tmp_path)) & set(HEAVY) == set()
    assert list(tmp_path.glob("*/model.onnx"))


# ---- Nothing knows an axis or a label by name ----


def names_in(codebook: Codebook) -> set[str]:
    """Every name that the codebook gives to an axis, a derived axis or a label."""
    axes = {name for axis in codebook.axes for name in (axis.name, axis.summary) if name}
    return axes | {label for axis in codebook.axes for label in axis.label_names}


def docstrings(tree: ast.AST) -> set[ast.Constant]:
    """The constants that are docstrings, which may use any word of English."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.add(value)
    return found


def words_of_strings(source: str) -> Iterator[tuple[int, str]]:
    """Every word of every string of a file that is no docstring, with its line; parts of f-strings too."""
    tree = ast.parse(source)
    left_out = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            for word in re.findall(r"\w+", node.value):
                yield node.lineno, word
            yield node.lineno, node.value


def names_and_comments(source: str) -> Iterator[tuple[int, str]]:
    """Every identifier, attribute and keyword of a file, and every word of its comments."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string
        elif token.type == tokenize.COMMENT:
            for word in re.findall(r"\w+", token.string):
                yield token.start[0], word


# The program's own word for what a mention axis holds; as an identifier it names the kind, not the project's axis.
OWN_WORDS = {f"{kind}s" for kind in KINDS}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_code_knows_an_axis_or_a_label_by_name(file: Path, codebook: Codebook) -> None:
    names = names_in(codebook)
    source = file.read_text(encoding="utf-8")
    offenders = [(line, word) for line, word in words_of_strings(source) if word in names]
    offenders += [(line, word) for line, word in names_and_comments(source) if word in names - OWN_WORDS]
    assert offenders == []


def test_the_search_for_names_would_find_them(codebook: Codebook) -> None:
    source = '"""regime"""\nregime = x.voice  # dispute\ny["stance"]\nf("a rebel", naming=f"{x} neutral")\n'
    found = {word for walk in (words_of_strings, names_and_comments) for _, word in walk(source)}
    assert found & names_in(codebook) == {"regime", "voice", "dispute", "stance", "rebel", "naming", "neutral"}
    assert "regime" not in {word for _, word in words_of_strings(source)}
