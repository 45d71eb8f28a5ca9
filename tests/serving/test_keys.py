"""Who may ask: keys from the environment and from a file, and the settings beside them."""

import os
from pathlib import Path
from typing import Any

import pytest

from model.errors import ConfigError
from serving import access_log, keys
from serving.keys import Keys
from serving.settings import Settings, check_origins

ONE, TWO, THREE = "1" * 16, "two-" * 8, "c2VjcmV0LXNlY3JldA=="


def test_without_keys_everybody_may_ask() -> None:
    nobody = Keys.from_environment({})
    assert not nobody.required
    assert nobody.allow(None)


def test_any_of_several_keys_opens() -> None:
    known = Keys.from_environment({"NEWSFRAME_API_KEYS": f" {ONE}, {TWO}\n{THREE} "})
    assert known.required
    assert [known.allow(f"Bearer {key}") for key in (ONE, TWO, THREE)] == [True, True, True]
    assert known.allow(f"bearer  {ONE}")  # the scheme in any case: RFC 9110, 11.1


@pytest.mark.parametrize(
    "header",
    [None, "", ONE, "Bearer", "Bearer ", f"Basic {ONE}", f"Bearer {ONE}x", f"Bearer {ONE[:-1]}", "Bearer ü\x00"],
)
def test_anything_else_does_not(header: str | None) -> None:
    assert not Keys([ONE, TWO]).allow(header)


def test_only_hashes_are_kept() -> None:
    assert ONE not in str(vars(Keys([ONE])))


def test_every_key_is_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: (compared.append(len(a)), compare(a, b))[1])
    known = Keys([ONE, TWO, THREE])
    for key in (ONE, THREE, "no key at all, and long"):
        known.allow(f"Bearer {key}")
    assert compared == [32] * 9  # hashes of one length, all three each time


def test_a_file_has_one_key_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the desk\n{ONE}\n\n  {TWO}  \n", encoding="utf-8")
    known = Keys.from_environment({"NEWSFRAME_API_KEYS": THREE, "NEWSFRAME_API_KEYS_FILE": str(file)})
    assert [known.allow(f"Bearer {key}") for key in (ONE, TWO, THREE, "# the desk")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            "{file}: expected a file of API keys, but found: No such file or directory. Check NEWSFRAME_API_KEYS_FILE.",
        ),
        (b"# nobody\n", "{file}: expected at least one API key, but found none. Make one with `openssl rand -hex 32`."),
        (b"\xff\xfe", "{file}: expected one API key a line, but found no text. Make one with `openssl rand -hex 32`."),
        (
            b"\nshort\n",
            "{file}:2: expected an API key of at least 16 letters, digits or -._~+/, but found one of 5. "
            "Make one with `openssl rand -hex 32`.",
        ),
        (
            b"with a blank in it and so on\n",
            "{file}:1: expected an API key of at least 16 letters, digits or -._~+/, but found another character. "
            "Make one with `openssl rand -hex 32`.",
        ),
    ],
)
def test_a_bad_file_is_refused_and_no_key_is_quoted(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        Keys(file=file)
    assert str(refused.value) == message.format(file=file)


def test_keys_are_exchanged_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(access_log, "write", lambda event, **fields: logged.append(fields))
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0.0)
    file = tmp_path / "keys"
    file.write_text(ONE, encoding="utf-8")
    known = Keys(file=file)

    def valid() -> list[bool]:
        return [known.allow(f"Bearer {key}") for key in (ONE, TWO)]

    assert valid() == [True, False]
    file.write_text(f"{ONE}\n{TWO}\n", encoding="utf-8")
    assert valid() == [True, True]
    other = tmp_path / "other"  # another file takes its place, as Kubernetes and careful editors do it
    other.write_text(TWO, encoding="utf-8")
    other.replace(file)
    assert valid() == [False, True]
    # One that cannot be used leaves the keys as they were: nobody is let in, nobody is shut out.
    file.write_text("oops", encoding="utf-8")
    assert valid() == [False, True]
    file.unlink()
    assert valid() == [False, True]
    assert [set(fields) for fields in logged] == [{"count"}, {"count"}, {"error"}, {"error"}]
    assert not any(key in str(logged) for key in (ONE, TWO, "oops"))


def test_the_file_is_looked_at_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(ONE, encoding="utf-8")
    known = Keys(file=file)
    looks: list[Path] = []
    monkeypatch.setattr(keys, "_mark", looks.append)
    for _ in range(1000):
        known.allow(f"Bearer {ONE}")
    assert len(looks) <= 1


def test_settings_come_from_the_environment() -> None:
    environment = {"NEWSFRAME_CORS_ORIGINS": "https://a.example, http://localhost:8080", "NEWSFRAME_THREADS": "2"}
    settings = Settings.from_environment(environment)
    assert (settings.origins, settings.threads) == (("https://a.example", "http://localhost:8080"), 2)
    assert (Settings.from_environment({}).origins, Settings.from_environment({}).threads) == ((), 0)
    assert Settings.from_environment({"NEWSFRAME_CORS_ORIGINS": "*"}).origins == ("*",)


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://Example.org", "null", "https://*.example.org", "**"]
)
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_origins([origin])
    assert str(refused.value) == (
        f"NEWSFRAME_CORS_ORIGINS: expected origins such as https://example.org, but found {origin!r}. "
        "Write scheme and host in lower case, a port if it has one, and no path."
    )


def test_every_origin_and_some_is_a_contradiction() -> None:
    with pytest.raises(ConfigError) as refused:
        check_origins(["*", "https://example.org"])
    assert str(refused.value) == (
        "NEWSFRAME_CORS_ORIGINS: expected * alone or origins, but found both. Name the origins."
    )


@pytest.mark.parametrize("threads", ["two", "-1", "²"])
def test_threads_are_a_number(threads: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.from_environment({**os.environ, "NEWSFRAME_THREADS": threads})
    assert str(refused.value) == f"NEWSFRAME_THREADS: expected a number, but found {threads!r}. Set 0 for all cores."
