"""A small archive, and what an unbroken run over it gives; a module may have options or an archive of its own."""

from typing import Any

import pytest

from model.artifact import Artifact
from serving.archive import ArchiveOptions, score_archive
from tests.serving.archive.kitchen import content, write_archive


@pytest.fixture(scope="module")
def options(tiny_artifact: Artifact) -> ArchiveOptions:
    """Small shards, in this process; the store forgets early, so that forgetting is part of every test."""
    return ArchiveOptions(model=tiny_artifact.folder, shard_size=5, workers=None, remember=12, all_languages=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_archive(tmp_path_factory.mktemp("archive"), 24)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, archive: list[str], options: ArchiveOptions) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    score_archive(archive, out, options)
    return content(out)
