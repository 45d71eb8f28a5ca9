"""Versions of this program and of what the labels depend on."""

import platform
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def versions() -> dict[str, str]:
    """The version of each part, by name."""
    parts = {name: version(name) for name in ("bentoml", "onnxruntime", "tokenizers")}
    return {"newsframe": newsframe_version(), "python": platform.python_version()} | parts


def newsframe_version() -> str:
    """The version of this program, installed or not: a bento carries the files alone."""
    try:
        return version("newsframe")
    except PackageNotFoundError:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])
