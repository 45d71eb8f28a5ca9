"""`newsframe serve`: BentoML's supervisor in this process, with everything decided before it starts.

In this process and not in one of its own: signals and the exit code then need nobody to pass them on.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model.artifact import find_artifact
from model.errors import ConfigError
from serving import access_log
from serving.keys import FILE_VARIABLE
from serving.settings import ORIGINS_VARIABLE, Settings

ROOT = Path(__file__).resolve().parent.parent
CHECK_SECONDS = 0.5
# An idle connection is kept longer than proxies keep theirs (a minute, mostly): who closes first must be the client, or
# a request that is on its way just then is lost. uvicorn's own five seconds lost 8 of 2,758 requests of a flood.
KEEP_ALIVE_SECONDS = 75


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
        NewsframeError: There is no such model.
    """
    if keys_file:
        os.environ[FILE_VARIABLE] = str(keys_file.resolve())  # workers are elsewhere
    if origins:
        os.environ[ORIGINS_VARIABLE] = " ".join(origins)
    Settings.from_environment()
    family, address = _resolve(host, port)
    artifact = find_artifact(model, encoder).resolve()  # the one slow part, once, before there are workers
    with tempfile.TemporaryDirectory(prefix="newsframe-") as home:
        share = (os.cpu_count() or 1) // workers if workers > 1 else 0
        os.environ.setdefault("NEWSFRAME_THREADS", str(max(share, 1) if workers > 1 else 0))
        # A second server with the same home would wipe this one's metrics.
        os.environ.setdefault("BENTOML_HOME", home)
        os.environ |= {"NEWSFRAME_MODEL": str(artifact), "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1"}
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        access_log.configure()
        access_log.write("starting", url=f"http://{shown}:{port}", workers=workers, artifact=str(artifact))
        try:
            _supervise(address, port, workers)
        except OSError as error:
            raise _taken(host, port, error) from None
    return 0


def _supervise(address: str, port: int, workers: int) -> None:
    # Only now: BentoML reads its environment when it is imported.
    import bentoml._internal.utils.circus as supervision
    from _bentoml_impl.server.serving import serve_http

    from serving.lifecycle import DRAIN_LIMIT_SECONDS
    from serving.service import Newsframe

    service: Any = Newsframe  # BentoML's decorators hide that it is a service now
    # Where workers import `serving.service` from: a `model/` in the user's folder is not ours.
    service.working_dir = str(ROOT)
    service.config["workers"] = workers
    service.inject_config()
    # BentoML looks for dead workers every ten seconds; a client of the only worker should not wait as long.
    supervision.create_standalone_arbiter = partial(supervision.create_standalone_arbiter, check_delay=CHECK_SECONDS)
    serve_http(
        service,
        host=address,
        port=port,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(DRAIN_LIMIT_SECONDS),
    )


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
