"""What whoever runs the service decides on, from the environment: a bento has no command line of its own."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ConfigError
from serving.keys import Keys

ORIGINS_VARIABLE, THREADS_VARIABLE = "NEWSFRAME_CORS_ORIGINS", "NEWSFRAME_THREADS"
ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")  # as browsers write it


@dataclass(frozen=True)
class Settings:
    """Settings of a worker.

    Attributes:
        keys: Who may ask.
        origins: Of the web pages whose scripts may ask; `*` alone is every one.
        threads: Of a run of the engine; 0 takes the cores there are.
    """

    keys: Keys
    origins: tuple[str, ...] = ()
    threads: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables of the environment.

        Raises:
            ConfigError: One of them cannot be used.
        """
        threads = environment.get(THREADS_VARIABLE, "0")
        if not (threads.isascii() and threads.isdecimal()):
            raise ConfigError(f"{THREADS_VARIABLE}: expected a number, but found {threads!r:.40}. Set 0 for all cores.")
        origins = environment.get(ORIGINS_VARIABLE, "").replace(",", " ").split()
        return cls(Keys.from_environment(environment), check_origins(origins), int(threads))


def check_origins(origins: list[str]) -> tuple[str, ...]:
    """Check that each origin is one that a browser could send.

    Raises:
        ConfigError: One is not.
    """
    for origin in origins:
        if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{ORIGINS_VARIABLE}: expected origins such as https://example.org, but found {origin!r:.80}. "
                "Write scheme and host in lower case, a port if it has one, and no path."
            )
    if ANY_ORIGIN in origins and len(origins) > 1:
        raise ConfigError(
            f"{ORIGINS_VARIABLE}: expected {ANY_ORIGIN} alone or origins, but found both. Name the origins."
        )
    return tuple(origins)
