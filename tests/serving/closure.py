"""Which files of the rooms a module needs: those that it imports, and those that these import, inside functions too."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("model", "serving", "training")


def needed_files(*modules: str) -> set[str]:
    """Files that modules need, by their paths in the project."""
    found: set[str] = set()
    left = [_file(module) for module in modules]
    while left:
        file = left.pop()
        name = str(file.relative_to(ROOT))
        if name in found:
            continue
        found.add(name)
        left += [ROOT / file.relative_to(ROOT).parts[0] / "__init__.py", *_imported(file)]
    return found


def _imported(file: Path) -> list[Path]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [_file(name) for name in found if name.split(".")[0] in ROOMS and _file(name).is_file()]


def _file(module: str) -> Path:
    return (ROOT / module.replace(".", "/")).with_suffix(".py")
