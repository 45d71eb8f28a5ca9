"""Scoring an archive from beginning to end, in as many sittings as it takes."""

import errno
import json
import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model.artifact import Artifact, find_artifact, load_artifact
from serving.archive.errors import ArchiveError
from serving.archive.ledger import Ledger
from serving.archive.meter import Meter, Snapshot
from serving.archive.options import LOCAL, NINJS, ArchiveOptions
from serving.archive.packed import Layout
from serving.archive.parts import ITEMS, REJECTS, temporary, write_json
from serving.archive.plan import Run, begin, check_folder, continued, extend, load_run
from serving.archive.shards import ShardStream
from serving.archive.sources import Source, find_sources
from serving.archive.stages import Setup
from serving.archive.state import State, locked, remove_run
from serving.archive.tables import DOCUMENTS, MANIFEST_FILE, REJECTS_FILE, SENTENCES, sentence_schema

# What decides on labels and files besides this program: stated in the manifest.
_STATED = ("numpy", "onnxruntime", "tokenizers", "sentencex", "trafilatura", "pyarrow")


@dataclass(frozen=True)
class ArchiveResult:
    """A finished run.

    Attributes:
        out: Its folder.
        counts: `read` records are `documents` and `rejected` ones; `sentences` are `labelled` (of which `abstained`
            are "not sure" of everything, `inferred` were read by the model and `deduplicated` took over the labels of
            an identical one), `skipped` for their language, and `errors`.
        seconds: Time that scoring took, over all sittings.
        manifest: The content of manifest.json.
        was_complete: Whether there was nothing left to do.
    """

    out: Path
    counts: Mapping[str, int]
    seconds: float
    manifest: Mapping[str, Any]
    was_complete: bool = False

    @property
    def sentences(self) -> Path:
        """The folder of the labelled sentences, or of the news items."""
        return self.out / (ITEMS if self.manifest["options"]["output_format"] == NINJS else SENTENCES)

    @property
    def documents(self) -> Path:
        """The folder of the documents' table."""
        return self.out / DOCUMENTS


def score_archive(
    inputs: Sequence[str | Path] | str | Path,
    out: str | Path,
    options: ArchiveOptions | None = None,
    on_progress: Callable[[Snapshot], None] | None = None,
) -> ArchiveResult:
    """Label an archive into a folder; a run that was broken off goes on where it was.

    With more than one process, a script must call this under `if __name__ == "__main__":`, since the processes
    import it; a notebook need not.

    Args:
        inputs: Files, folders or globs; see `sources.find_sources`.
        out: Folder to write; its files are described at the head of `serving/archive/tables.py`.
        options: See `ArchiveOptions`.
        on_progress: Called with the state of the run whenever something has come to pass.

    Returns:
        Counts and places of what was written.

    Raises:
        ArchiveError: There is no input, the folder holds something else or a run with other options, another model or
            other inputs, another run is at it, the disk is full, or a process was ended. Nothing committed is lost.
        ArtifactError, WeightsError, EncoderError: The model is missing or altered.
    """
    options = options or ArchiveOptions()
    out = Path(out)
    names = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    check_folder(out)
    artifact = load_artifact(find_artifact(options.model, options.encoder))
    sentence_schema(artifact.codebook, artifact.model_info)  # refuses axes that are named like other columns
    sources = _outside(find_sources([str(name) for name in names], options.input_format), out)
    with _refusing(out), locked(out):
        return _score(out, options, artifact, sources, on_progress)


def _score(
    out: Path,
    options: ArchiveOptions,
    artifact: Artifact,
    sources: Sequence[Source],
    on_progress: Callable[[Snapshot], None] | None,
) -> ArchiveResult:
    if options.fresh:
        remove_run(out)
    run = load_run(out)
    new: Sequence[Source] = ()
    if run is None:
        remove_run(out)  # what a run left that was broken while it was removed
        run = begin(out, options, artifact.model_info, version("newsframe"), sources)
    else:
        new = continued(out, run, options, artifact.model_info, version("newsframe"), sources)
    state = State(out)
    state.recover()
    if not new and (finished := _finished(out)):
        return ArchiveResult(out, finished["counts"], finished["seconds"], finished, was_complete=True)
    setup = Setup(artifact.folder, options.read.sentences, options.all_languages, options.output_format, out)
    with closing(Ledger(out, state, Layout(artifact.codebook), options.remember)) as ledger:
        _take(run, ledger, setup, options, on_progress)
        if new:
            run = extend(out, run, new, state.progress)
            _take(run, ledger, setup, options, on_progress)
    manifest = _finish(out, run, state)
    return ArchiveResult(out, manifest["counts"], manifest["seconds"], manifest)


def _take(
    run: Run,
    ledger: Ledger,
    setup: Setup,
    options: ArchiveOptions,
    on_progress: Callable[[Snapshot], None] | None,
) -> None:
    """Score what is left of a run."""
    meter = Meter(run.inputs, ledger.state)

    def tell() -> None:
        if on_progress:
            on_progress(meter.snapshot())

    stream = ShardStream(run.inputs, options.read, options.shard_size, ledger.state.position)
    if options.engine == LOCAL:
        from serving.archive.flow import run_locally

        run_locally(stream, ledger, setup, options.workers, meter.see, tell)
    else:
        from serving.archive.cluster import run_on_cluster

        run_on_cluster(stream, ledger, setup, options, meter.see, tell)


def _finished(out: Path) -> dict[str, Any] | None:
    path = out / MANIFEST_FILE
    return json.loads(path.read_bytes()) if path.is_file() else None


def _finish(out: Path, run: Run, state: State) -> dict[str, Any]:
    """Write what is made of all shards together, the manifest last."""
    from serving.archive.copies import assign_clusters

    _join_rejects(out)
    copies = assign_clusters(out)
    data = run.to_dict()
    manifest = {
        "newsframe": run.program,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(state.seconds, 1),
        "counts": state.counts,
        "copies": asdict(copies),
        "model": data["model"],
        "options": data["options"],
        "inputs": data["inputs"],
        "empty": [
            item.source.path for n, item in enumerate(run.inputs) if not state.progress.items.get(n, item.first_item)
        ],
        "shards": state.position.shard,
        "versions": {"python": platform.python_version(), **_versions()},
    }
    write_json(out / MANIFEST_FILE, manifest)
    return manifest


def _join_rejects(out: Path) -> None:
    target = out / REJECTS_FILE
    with temporary(target).open("wb") as file:
        for part in sorted((out / REJECTS).glob("part-*")):
            with part.open("rb") as rejects:
                shutil.copyfileobj(rejects, file)
        file.flush()
        os.fsync(file.fileno())
    temporary(target).replace(target)


def _versions() -> dict[str, str]:
    found = {}
    for name in _STATED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _outside(sources: Sequence[Source], out: Path) -> list[Source]:
    """Leave out what the run itself writes, where the folder lies among the inputs."""
    inside = out.resolve()
    outside = [source for source in sources if not Path(source.path).resolve().is_relative_to(inside)]
    if not outside:
        raise ArchiveError(f"{out}: expected inputs outside of it, but found none. Choose another --out.")
    return outside


@contextmanager
def _refusing(out: Path) -> Iterator[None]:
    """Turn what the system refuses about the output into a message."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in reason
        expected = "room to write" if full else "a folder that can be written"
        found = "the disk full" if full else reason
        remedy = "Make room" if full else "Check the disk and its rights"
        raise ArchiveError(
            f"{out}: expected {expected}, but found {found}. {remedy}, then run the same command again to go on."
        ) from error
