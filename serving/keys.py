"""API keys: who may ask. Only their hashes are kept, and a file of them is read anew when it changes."""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from model.errors import ConfigError
from serving import access_log

VARIABLE, FILE_VARIABLE = "NEWSFRAME_API_KEYS", "NEWSFRAME_API_KEYS_FILE"
LEAST_CHARACTERS = 16  # 64 bits, where a key is hexadecimal digits drawn at random
LOOK_SECONDS = 1.0  # between two looks at the file
_KEY = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # a bearer token: RFC 6750, 2.1
_REMEDY = "Make one with `openssl rand -hex 32`"


class Keys:
    """The keys that are valid now.

    Attributes:
        required: Whether there are any; without, everybody may ask.
    """

    def __init__(self, keys: Iterable[str] = (), file: Path | None = None) -> None:
        """Take keys from a list and from a file.

        Raises:
            ConfigError: A key or the file cannot be used.
        """
        self._fixed = _hashes(keys, VARIABLE)
        self._file = file
        self._seen = _mark(file) if file else None
        self._from_file = _read(file) if file else []
        self._next_look = time.monotonic() + LOOK_SECONDS
        self.required = bool(self._fixed or file)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Keys":
        """Take keys, separated by commas or blanks, from one variable, and the path of a file from another.

        Raises:
            ConfigError: A key or the file cannot be used; the message never quotes a key.
        """
        keys = re.split(r"[,\s]+", environment.get(VARIABLE, "").strip(", \t\r\n"))
        file = environment.get(FILE_VARIABLE)
        return cls([key for key in keys if key], Path(file) if file else None)

    def allow(self, authorization: str | None) -> bool:
        """Tell whether a header `Authorization` holds a valid key, in a time that does not depend on how near it is."""
        if not self.required:
            return True
        self._look()
        scheme, _, token = (authorization or "").partition(" ")
        given = _hash(token.strip())
        known = [hmac.compare_digest(given, key) for key in (*self._fixed, *self._from_file)]
        return any(known) and scheme.lower() == "bearer"

    def _look(self) -> None:
        """Read the file anew if it has changed; one that cannot be used leaves the keys as they were."""
        now = time.monotonic()
        if self._file is None or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        mark = _mark(self._file)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._from_file = _read(self._file)
        except ConfigError as error:
            access_log.write("keys", error=str(error))
        else:
            access_log.write("keys", count=len(self._from_file))


def _mark(file: Path) -> tuple[int, ...] | None:
    """What changes when a file does, or when another takes its place."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"{file}: expected a file of API keys, but found: {error.strerror}. Check {FILE_VARIABLE}."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected one API key a line, but found no text. {_REMEDY}.") from None
    hashes: list[bytes] = []
    for number, line in enumerate(lines, 1):
        key = line.strip()
        if key and not key.startswith("#"):
            hashes += _hashes([key], f"{file}:{number}")
    if not hashes:
        raise ConfigError(f"{file}: expected at least one API key, but found none. {_REMEDY}.")
    return hashes


def _hashes(keys: Iterable[str], where: str) -> list[bytes]:
    hashes = []
    for key in keys:
        if len(key) < LEAST_CHARACTERS or not _KEY.fullmatch(key):
            found = f"one of {len(key)}" if len(key) < LEAST_CHARACTERS else "another character"
            raise ConfigError(
                f"{where}: expected an API key of at least {LEAST_CHARACTERS} letters, digits or -._~+/, "
                f"but found {found}. {_REMEDY}."
            )
        hashes.append(_hash(key))
    return hashes


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
