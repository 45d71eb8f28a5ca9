"""What a run has to do: begin, go on, go on with what is new, or nothing; and what it refuses."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.archive.errors import ArchiveError
from serving.archive.formats import CSV, JSONL
from serving.archive.options import ArchiveOptions
from serving.archive.parts import write_json
from serving.archive.shards import Input
from serving.archive.sources import Source
from serving.archive.state import Progress
from serving.archive.tables import MANIFEST_FILE, RUN_FILE

FORMAT = 1
# Formats that grow by whole records at their end; of a compressed file, that cannot be told.
_GROWING = (JSONL, CSV)
_BLOCK = 1 << 20
_CHOICE = "Start anew with --fresh, or choose another --out."


@dataclass(frozen=True)
class Run:
    """What must not change while a run is broken off and goes on.

    Attributes:
        inputs: In the order in which they are read; a file that grew stands twice.
    """

    options: Mapping[str, Any]
    model: Mapping[str, Any]
    program: str
    inputs: tuple[Input, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in run.json."""
        inputs = [asdict(item.source) | {"first_item": item.first_item} for item in self.inputs]
        head = {"format": FORMAT, "program": self.program, "model": self.model, "options": self.options}
        return {**head, "inputs": inputs}


def begin(out: Path, options: ArchiveOptions, model: Mapping[str, Any], program: str, sources: Sequence[Source]) -> Run:
    """Start a run in a folder."""
    run = Run(options.deciding(), model, program, tuple(Input(source) for source in sources))
    write_json(out / RUN_FILE, run.to_dict())
    return run


def load_run(out: Path) -> Run | None:
    """The run that a folder holds, if it holds one.

    Raises:
        ArchiveError: The folder holds something else.
    """
    path = out / RUN_FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise ValueError
        inputs = [
            Input(Source(**{k: v for k, v in i.items() if k != "first_item"}), i["first_item"]) for i in data["inputs"]
        ]
        return Run(data["options"], data["model"], data["program"], tuple(inputs))
    except (ValueError, KeyError, TypeError):
        raise ArchiveError(f"{path}: expected the state of a run, but found other content. {_CHOICE}") from None


def _input(first_item: int, **source: Any) -> Input:
    return Input(Source(**source), first_item)


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a run.

    Raises:
        ArchiveError: It does.
    """
    if out.is_file():
        raise ArchiveError(f"{out}: expected a folder, but found a file. Choose another --out.")
    if out.is_dir() and not (out / RUN_FILE).is_file():
        from serving.archive.state import is_ours

        if other := sorted(path.name for path in out.iterdir() if not is_ours(path)):
            raise ArchiveError(
                f"{out}: expected an empty folder or that of an earlier run, but found {other[0]!r}. "
                "Choose another --out."
            )


def continued(
    out: Path, run: Run, options: ArchiveOptions, model: Mapping[str, Any], program: str, sources: Sequence[Source]
) -> tuple[Source, ...]:
    """Compare a run with what is asked for now.

    Returns:
        Inputs that the run does not have in this form, in their order.

    Raises:
        ArchiveError: Options or model differ; or inputs do, and there is no `update`.
    """
    _compare_settings(run, options, model, program)
    held = {item.source.path: item.source for item in run.inputs}  # of a file that grew, the latest
    now = {source.path: source for source in sources}
    gone = [path for path in held if path not in now]
    changed = [path for path, source in held.items() if path in now and now[path] != source]
    added = [source for source in sources if source.path not in held]
    if not options.update:
        problems = [f"{path} is gone" for path in gone] + [f"{path} has changed" for path in changed]
        problems += [f"{source.path} is new" for source in added]
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise ArchiveError(
                f"inputs: expected those that the run was begun with, but found that {problems[0]}{more}. "
                "Score only what is new with --update, or start anew with --fresh."
            )
        return ()
    if gone and not (out / MANIFEST_FILE).is_file():
        raise ArchiveError(
            f"{gone[0]}: expected a file that the unfinished run has yet to read, but found that it is gone. Bring it "
            "back, or start anew with --fresh."
        )
    for path in changed:
        if not held[path].sha256:  # it could not be read then
            continue
        _check_growth(held[path], now[path])
    return tuple(source for source in sources if source.path not in held or source.path in changed)


def extend(out: Path, run: Run, new: Sequence[Source], progress: Progress) -> Run:
    """Add to a run whose inputs were all read what is new in them.

    Raises:
        ArchiveError: The last record that was read of an input that grew was none.
    """
    latest = {item.source.path: n for n, item in enumerate(run.inputs)}
    added = []
    for source in new:
        place = latest.get(source.path)
        if place is None or not run.inputs[place].source.sha256:  # new, or not readable before
            added.append(Input(source))
            continue
        if progress.last_was_rejected.get(place, False):
            raise _changed(source, "that its last record was incomplete")
        added.append(Input(source, progress.items.get(place, run.inputs[place].first_item)))
    run = Run(run.options, run.model, run.program, (*run.inputs, *added))
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    write_json(out / RUN_FILE, run.to_dict())
    return run


def _compare_settings(run: Run, options: ArchiveOptions, model: Mapping[str, Any], program: str) -> None:
    wanted = json.loads(json.dumps(options.deciding()))
    if different := sorted(key for key in {*wanted, *run.options} if wanted.get(key) != run.options.get(key)):
        key = different[0]
        raise ArchiveError(
            f"option {key}: expected {run.options.get(key)!r}, with which the run was begun, but found "
            f"{wanted.get(key)!r}. Give the same, or start anew with --fresh."
        )
    for name, held, now in (
        ("model", run.model["sha256"], model["sha256"]),
        ("codebook", run.model["codebook"]["sha256"], model["codebook"]["sha256"]),
        ("newsframe", run.program, program),
    ):
        if held != now:
            shown = [value[:12] + "…" if len(value) > 32 else value for value in (held, now)]
            raise ArchiveError(
                f"{name}: expected {shown[0]}, with which the run was begun, but found {shown[1]}. Use the same, or "
                "start anew with --fresh."
            )


def _check_growth(old: Source, new: Source) -> None:
    """Make sure that a file holds what was read of it, and then whole records.

    Raises:
        ArchiveError: It has changed otherwise.
    """
    if old.format not in _GROWING or old.compression:
        raise _changed(new, "a changed file of a form that cannot grow")
    if (old.format, old.compression) != (new.format, new.compression) or not _begins_with(old, new):
        raise _changed(new, "other content")


def _changed(source: Source, found: str) -> ArchiveError:
    return ArchiveError(
        f"{source.path}: expected what was read of it, and new records after that, but found {found}. Put new records "
        "into a file of their own, or start anew with --fresh."
    )


def _begins_with(old: Source, new: Source) -> bool:
    digest, left, last = hashlib.sha256(), old.size, b"\n"
    with Path(new.path).open("rb") as file:
        while left and (block := file.read(min(_BLOCK, left))):
            digest.update(block)
            left, last = left - len(block), block
        following = file.read(1)
    # Either the last record was closed by its line, or what was appended begins a line of its own.
    return not left and digest.hexdigest() == old.sha256 and (last[-1:] in b"\r\n" or following in b"\r\n")
