"""The same stages on a cluster: Ray Data takes shards through them, and this process commits, in order.

Reading and looking up stay on the machine of this process, which has the inputs and the folder; segmenting,
inferring and the making of files go wherever there is a core. What travels is bytes: an item, a sentence and a
prediction are the same there as here, and so is the result.
"""

import logging
import os
import pickle
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model.artifact import cache_folder
from model.cores import cores
from serving.archive.errors import ArchiveError
from serving.archive.flow import batches
from serving.archive.ledger import Ledger
from serving.archive.options import ArchiveOptions
from serving.archive.packed import concatenate
from serving.archive.repeats import Repeats
from serving.archive.shards import ShardHead, ShardStream
from serving.archive.stages import Setup, Worker
from serving.archive.state import STORE_FILE

Batch = dict[str, Any]
_COLUMN = "shard"  # the one column of every block: a pickled shard at its stage
_CPUS = 0.01  # of a stage that waits more than it works, so that it takes no core from those that work


def run_on_cluster(
    stream: ShardStream,
    ledger: Ledger,
    setup: Setup,
    options: ArchiveOptions,
    see: Callable[[ShardHead], None],
    tell: Callable[[], None],
) -> None:
    """Take shards through all stages on Ray, and commit them in order.

    Args:
        see: Called with each shard that has come back.
        tell: Called when something has come to pass.

    Raises:
        ArchiveError: There is no cluster at the address, or its machines have another release of this program.
    """
    import ray

    with _Session(options) as workers:
        model = ray.put(_files_of(setup.artifact))
        remote = _Remote(setup, version("newsframe"), model)
        render = ray.remote(num_cpus=1)(_render)
        writing: deque[tuple[ShardHead, Any, Any, Any]] = deque()
        for head, segmented, lookup, packed in _flow(stream, ledger, remote, options, workers):
            see(head)
            assembly = ledger.settle(head.number, segmented, lookup, packed)
            writing.append((head, segmented, lookup, render.remote(remote, assembly)))
            while len(writing) > workers:
                _commit(writing, ledger, setup.out)
                tell()
        while writing:
            _commit(writing, ledger, setup.out)
            tell()


def _flow(
    stream: ShardStream, ledger: Ledger, remote: "_Remote", options: ArchiveOptions, workers: int
) -> Iterator[tuple[Any, ...]]:
    """Shards with their predictions, in order."""
    import ray

    _set_context(ray.data.DataContext.get_current())
    node = ray.get_runtime_context().get_node_id()
    here = {"num_cpus": _CPUS, "label_selector": {"ray.io/node-id": node}}
    working = {"batch_size": 1, "num_cpus": 0.5, "compute": ray.data.ActorPoolStrategy(min_size=1, max_size=workers)}
    store = (str(ledger.out / STORE_FILE), options.remember, ledger.state.counts["inferred"], stream.start.shard)
    one = ray.data.ActorPoolStrategy(size=1)
    stages = (
        ray.data.read_datasource(_source(stream), override_num_blocks=1, **here)
        .map_batches(_Segmenting, fn_constructor_kwargs={"remote": remote}, **working)
        .map_batches(_LookingUp, fn_constructor_args=store, batch_size=1, compute=one, **here)
        .map_batches(_Inferring, fn_constructor_kwargs={"remote": remote}, **working)
    )
    for batch in stages.iter_batches(batch_size=1, prefetch_batches=1, batch_format="numpy"):
        yield _read(batch)


def _set_context(context: Any) -> None:
    context.execution_options.preserve_order = True
    # A block is a shard: it is what a task is given, and what is waited for.
    context.target_max_block_size = 1
    # What Ray would say of its own running; this program tells how far it is itself.
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _commit(writing: deque[tuple[ShardHead, Any, Any, Any]], ledger: Ledger, out: Path) -> None:
    import ray

    from serving.archive.parts import write_parts

    head, segmented, lookup, rendered = writing.popleft()
    ledger.commit(head, segmented, lookup, write_parts(out, ray.get(rendered)))


class _Session:
    """A connection to a cluster, or a cluster on this machine for the time of a run."""

    def __init__(self, options: ArchiveOptions) -> None:
        self._options = options
        self._own = False

    def __enter__(self) -> int:
        import ray

        # Nothing is told to anyone about this run.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        wanted = self._options.workers or 0
        if not ray.is_initialized():
            self._own = True
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            try:
                if self._options.cluster:
                    ray.init(address=self._options.cluster, **quiet)
                else:
                    count = wanted or cores()
                    ray.init("local", num_cpus=count, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ArchiveError(
                    f"{self._options.cluster or 'ray'}: expected a Ray cluster, but found: {error}. Check the address."
                ) from None
        return wanted or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def __exit__(self, *error: object) -> None:
        import ray

        if self._own:
            ray.shutdown()


class _Remote:
    """What a worker on any machine is made from; the model travels along, for machines that do not have it."""

    def __init__(self, setup: Setup, program: str, model: Any) -> None:
        self.setup = setup
        self.program = program
        self.model = model

    def worker(self) -> Worker:
        """The worker of this process, made when it is first asked for."""
        global _worker
        if _worker is None or _worker[0] != self.setup:
            _worker = (self.setup, self._make())
        return _worker[1]

    def _make(self) -> Worker:
        import ray

        if (here := version("newsframe")) != self.program:
            raise ArchiveError(
                f"newsframe: expected release {self.program} on every machine, but found {here} on one. Install the "
                "same one everywhere."
            )
        if self.setup.artifact.is_dir():
            return Worker(self.setup)
        files: Mapping[str, bytes] = ray.get(self.model)
        return Worker(replace(self.setup, artifact=_unpack(files)))


_worker: tuple[Setup, Worker] | None = None


def _files_of(artifact: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(artifact.iterdir()) if path.is_file()}


def _unpack(files: Mapping[str, bytes]) -> Path:
    """Write a model into the cache of this machine, once; its hashes are checked when it is loaded."""
    import hashlib

    key = hashlib.sha256(files["manifest.json"]).hexdigest()[:16]
    folder = cache_folder() / f"travelled-{key}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".travelling-"))
        for name, data in files.items():
            (building / name).write_bytes(data)
        try:
            building.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(building)
    return folder


# ---- Stages: a batch is one shard ----


class _Segmenting:
    """Items to sentences."""

    def __init__(self, remote: _Remote) -> None:
        self._remote = remote

    def __call__(self, batch: Batch) -> Batch:
        head, items = _read(batch)
        return _write((head, self._remote.worker().segment(head.first, items)))


class _LookingUp:
    """Sentences to those that are new. There is one of it, and the shards come in order."""

    def __init__(self, path: str, remember: int, inferred: int, shard: int) -> None:
        self._repeats = Repeats(Path(path), remember, inferred)
        self._next = shard

    def __call__(self, batch: Batch) -> Batch:
        head, segmented = _read(batch)
        if head.number != self._next:
            raise RuntimeError(f"shard {self._next} was expected, and {head.number} came")
        self._next += 1
        return _write((head, segmented, self._repeats.lookup([key for key in segmented.keys if key])))


class _Inferring:
    """New sentences to predictions."""

    def __init__(self, remote: _Remote) -> None:
        self._remote = remote

    def __call__(self, batch: Batch) -> Batch:
        head, segmented, lookup = _read(batch)
        worker = self._remote.worker()
        packed = [worker.infer(*some) for some in batches(segmented, lookup)]
        return _write((head, segmented, lookup, concatenate(packed, worker.layout)))


def _render(remote: _Remote, assembly: Any) -> Any:
    return remote.worker().render(assembly)


def _source(stream: ShardStream) -> Any:
    """A source of blocks for Ray Data, each a shard; one task reads them all, as order asks."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class Shards(Datasource):  # type: ignore[misc,unused-ignore]
        """Shards of a stream."""

        def estimate_inmemory_data_size(self) -> int | None:
            """Unknown before it was read."""
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            """The one task."""
            facts = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(lambda: _blocks(stream), facts)]

    return Shards()


def _blocks(stream: Iterable[Any]) -> Iterator[Any]:
    import pyarrow as pa

    for shard in stream:
        yield pa.table(_write((shard.head, shard.items)))


def _read(batch: Batch) -> Any:
    [data] = batch[_COLUMN]
    return pickle.loads(data)


def _write(value: tuple[Any, ...]) -> Batch:
    return {_COLUMN: [pickle.dumps(value)]}
