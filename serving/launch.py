"""`newsframe serve`: a supervisor of BentoML's workers in this process, with everything decided before it starts.

In this process and not in one of its own: signals and the exit code then need nobody to pass them on.
"""

import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model.artifact import find_artifact, load_artifact
from model.cores import cores
from model.errors import ConfigError, NewsframeError
from serving import access_log
from serving.keys import FILE_VARIABLE
from serving.settings import ORIGINS_VARIABLE, Settings

ROOT = Path(__file__).resolve().parent.parent
# How often circus looks for dead workers: a client of the only one should not wait for the ten seconds of BentoML.
CHECK_SECONDS = 0.5
BACKLOG = 2048  # connections that may wait to be taken, as BentoML has it
# An idle connection is kept longer than proxies keep theirs (a minute, mostly): who closes first must be the client, or
# a request that is on its way just then is lost. uvicorn's own five seconds lost 8 of 2,758 requests of a flood.
KEEP_ALIVE_SECONDS = 75
_SOCKET = "http"
_FOR_EVER = 86_400


def serve(
    host: str,
    port: int,
    workers: int,
    model: Path | None = None,
    encoder: Path | None = None,
    keys_file: Path | None = None,
    origins: Sequence[str] = (),
) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        host: Name or address to listen on.
        workers: Processes, each with the model; NEWSFRAME_THREADS, or else an equal share of the cores, for each.
        model: An artifact or trained weights, instead of the shipped model.
        encoder: A folder with the base encoder, where it is not installed.
        keys_file: API keys, one a line, besides those of NEWSFRAME_API_KEYS.
        origins: Of web pages whose scripts may ask.

    Returns:
        The exit code.

    Raises:
        ConfigError: The address cannot be listened on, or the keys or origins cannot be used.
        NewsframeError: There is no such model, or its files were altered; or in a container, the last worker ended.
    """
    if keys_file:
        os.environ[FILE_VARIABLE] = str(keys_file.resolve())  # workers are elsewhere
    if origins:
        os.environ[ORIGINS_VARIABLE] = " ".join(origins)
    Settings.from_environment()
    family, address = _resolve(host, port)
    artifact = find_artifact(model, encoder).resolve()  # the one slow part, once, before there are workers
    load_artifact(artifact)  # a worker that fails is started anew, for ever: what cannot succeed ends here
    with tempfile.TemporaryDirectory(prefix="newsframe-") as home:
        threads = max(cores() // workers, 1) if workers > 1 else 0
        os.environ.setdefault("NEWSFRAME_THREADS", str(threads))
        # A second server with the same home would wipe this one's metrics.
        os.environ.setdefault("BENTOML_HOME", home)
        os.environ |= {"NEWSFRAME_MODEL": str(artifact), "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1"}
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        access_log.configure()
        access_log.write("starting", url=f"http://{shown}:{port}", workers=workers, artifact=str(artifact))
        try:
            _supervise(family, address, port, workers, Path(home))
        except OSError as error:
            raise _taken(host, port, error) from None
    return 0


def _supervise(family: int, address: str, port: int, workers: int, home: Path) -> None:
    """Keep BentoML's workers running, as `bentoml serve` does and with the same supervisor, circus.

    BentoML itself is not imported here: that would take a third of the start. Nor does circus listen for commands on a
    port, as it does there, where every user of the machine could give them: a socket in a folder of our own serves.
    """
    from circus.arbiter import Arbiter
    from circus.sockets import CircusSocket
    from circus.watcher import Watcher

    from serving.lifecycle import DRAIN_LIMIT_SECONDS

    metrics = home / "metrics"
    metrics.mkdir()
    worker = [
        "-m", "_bentoml_impl.worker.service", "serving.service:Newsframe",
        "--fd", f"$(circus.sockets.{_SOCKET})", "--backlog", str(BACKLOG), "--worker-id", "$(CIRCUS.WID)",
        "--service-name", "newsframe",
        "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS), "--timeout-graceful-shutdown", str(int(DRAIN_LIMIT_SECONDS)),
    ]  # fmt: skip
    watcher = Watcher(
        name="service",
        cmd=shlex.quote(sys.executable),
        args=worker,
        # Where workers import `serving.service` from: a `model/` in the user's folder is not ours.
        working_dir=str(ROOT),
        numprocesses=workers,
        env={"PROMETHEUS_MULTIPROC_DIR": str(metrics)},
        copy_env=True,
        use_sockets=True,
        close_child_stdin=True,
        stop_children=True,
        graceful_timeout=_FOR_EVER,  # a worker ends by itself when all is answered
        respawn="BENTOML_CONTAINERIZED" not in os.environ,
    )
    arbiter = Arbiter(
        [watcher],
        endpoint=f"ipc://{home}/control",
        pubsub_endpoint=f"ipc://{home}/events",
        check_delay=CHECK_SECONDS,
        sockets=[CircusSocket(name=_SOCKET, host=address, port=port, family=family, backlog=BACKLOG)],
    )
    try:
        arbiter.start().result()
    except RuntimeError:  # what circus raises for it
        raise NewsframeError(
            "newsframe: expected a worker to live, but found that the last one ended, and none is started anew under "
            "BENTOML_CONTAINERIZED. See the log above, and start the container again."
        ) from None


def _resolve(host: str, port: int) -> tuple[int, str]:
    """Family and numeric address of a host, once it is sure that the port is free."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise _taken(host, port, error) from None
    return family, str(where[0])


def _taken(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"newsframe: expected a free port {port} at {host}, but found: {error.strerror}. Choose another address."
    )
