"""The serving artifact: built once, cached by content, every file checked, found where it was promised."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model import artifact as artifact_module
from model.artifact import (
    DATA,
    MODEL,
    TOKENIZER,
    Artifact,
    build_artifact,
    cache_folder,
    find_artifact,
    load_artifact,
)
from model.codebook import Codebook
from model.encoder_files import sha256_of
from model.errors import ArtifactError, EncoderError, WeightsError
from model.weights import AS_IT_IS, CODEBOOK, DELTA, LAYOUT, MANIFEST

FILES = (MODEL, DATA, TOKENIZER, CODEBOOK)
REMEDY = "Remove the folder and run `newsframe build`."


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("NEWSFRAME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def copied(tiny_artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the tiny artifact, to be spoilt."""
    return Path(shutil.copytree(tiny_artifact.folder, tmp_path / "copied"))


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        load_artifact(folder)
    return str(refused.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# ---- Building ----


def test_an_artifact_says_which_model_it_is(tiny_artifact: Artifact, tiny_codebook: Codebook) -> None:
    assert tiny_artifact.codebook == tiny_codebook
    assert tiny_artifact.model_info == {
        "name": "kitchen-notes",
        "version": "0.0.1",
        "sha256": json.loads((tiny_artifact.folder / MANIFEST).read_text())["content"],
        "codebook": {"name": "kitchen-notes", "version": "0.2", "sha256": tiny_codebook.sha256},
    }


def test_an_artifact_holds_its_five_files_and_no_other(tiny_artifact: Artifact) -> None:
    assert {file.name for file in tiny_artifact.folder.iterdir()} == {MANIFEST, *FILES}


def test_an_artifact_keeps_the_calibration_of_its_release(tiny_artifact: Artifact, tiny_release: Path) -> None:
    assert tiny_artifact.calibration.to_dict() == json.loads((tiny_release / MANIFEST).read_text())["calibration"]


def test_building_twice_gives_the_same_bytes(
    cache: Path, tiny_artifact: Artifact, tiny_release: Path, tiny_encoder: Path
) -> None:
    again = build_artifact(tiny_release, tiny_encoder)
    assert again.parent == cache
    assert contents(again) == contents(tiny_artifact.folder)


def test_what_the_cache_holds_is_not_built_again(cache: Path, tiny_release: Path, tiny_encoder: Path) -> None:
    folder = build_artifact(tiny_release, tiny_encoder)
    built = (folder / DATA).stat()
    # With no encoder named, and none installed, it could not be built.
    assert build_artifact(tiny_release) == folder
    assert (folder / DATA).stat() == built


def test_a_wrong_encoder_that_is_named_is_told_even_where_the_cache_has_the_artifact(
    cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    build_artifact(tiny_release, tiny_encoder)
    (tmp_path / "model.safetensors").write_bytes(b"another encoder")
    with pytest.raises(EncoderError, match=f"but found sha256 .* at {re.escape(str(tmp_path))}"):
        build_artifact(tiny_release, tmp_path)


def test_another_release_has_another_place_in_the_cache(
    cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_release, tmp_path / "other"))
    rewrite(other, lambda manifest: manifest["calibration"]["temperatures"].update(stage=3.0))
    folders = [build_artifact(release, tiny_encoder) for release in (tiny_release, other)]
    assert folders[0] != folders[1]
    infos = [load_artifact(folder).model_info["sha256"] for folder in folders]
    assert infos[0] != infos[1]


def test_a_build_that_fails_leaves_nothing_behind(
    cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    release = Path(shutil.copytree(tiny_release, tmp_path / "release"))
    layout = json.loads((release / LAYOUT).read_text())
    layout["tensors"].append({"name": "encoder.unknown", "form": AS_IT_IS, "offset": layout["size"]})
    (release / LAYOUT).write_text(json.dumps(layout))
    rewrite(release, lambda manifest: manifest["files"].update({LAYOUT: sha256_of(release / LAYOUT)}))
    with pytest.raises(WeightsError) as refused:
        build_artifact(release, tiny_encoder)
    assert str(refused.value) == f"{release}: expected the weight encoder.unknown, but found none. Train again."
    assert list(cache.iterdir()) == []


def test_half_an_artifact_in_the_cache_is_built_anew(cache: Path, tiny_release: Path, tiny_encoder: Path) -> None:
    folder = build_artifact(tiny_release, tiny_encoder)
    (folder / MANIFEST).unlink()
    (folder / DATA).write_bytes(b"")
    assert load_artifact(build_artifact(tiny_release, tiny_encoder)).folder == folder


def test_two_processes_may_build_the_same_artifact(
    cache: Path, tiny_release: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = artifact_module.write_artifact
    others = []

    def write_while_another_is_faster(*args: Any) -> None:
        write(*args)
        if not others:  # the other one builds within, and wins
            others.append("started")
            others.append(build_artifact(tiny_release, tiny_encoder))

    monkeypatch.setattr(artifact_module, "write_artifact", write_while_another_is_faster)
    folder = build_artifact(tiny_release, tiny_encoder)
    assert others == ["started", folder]
    assert list(cache.iterdir()) == [folder]
    assert load_artifact(folder).folder == folder


def test_the_wrong_encoder_is_refused_with_both_hashes(
    cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    wrong = Path(shutil.copytree(tiny_encoder, tmp_path / "wrong"))
    with (wrong / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    expected, found = (sha256_of(folder / "model.safetensors") for folder in (tiny_encoder, wrong))
    with pytest.raises(EncoderError) as refused:
        build_artifact(tiny_release, wrong)
    assert str(refused.value) == (
        f"base encoder tests/tiny: expected model.safetensors with sha256 {expected[:12]}…, "
        f"but found sha256 {found[:12]}… at {wrong}. Run a download of it, or name its folder with --encoder."
    )


def test_altered_weights_are_refused_before_anything_is_built(
    cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    release = Path(shutil.copytree(tiny_release, tmp_path / "release"))
    (release / DELTA).write_bytes((release / DELTA).read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"delta\.safetensors: expected sha256 "):
        build_artifact(release, tiny_encoder)
    assert not cache.exists()


# ---- A copy ----


def test_a_copy_stands_beside_the_cache(cache: Path, tiny_release: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    out = build_artifact(tiny_release, tiny_encoder, tmp_path / "a/b")
    assert out == tmp_path / "a/b"
    assert contents(out) == contents(build_artifact(tiny_release, tiny_encoder))


def test_a_copy_takes_the_place_of_an_older_one(copied: Path, tiny_release: Path, tiny_encoder: Path) -> None:
    (copied / CODEBOOK).write_text("old")
    assert load_artifact(build_artifact(tiny_release, tiny_encoder, copied)).folder == copied


@pytest.mark.parametrize("name", ["notes.txt", MANIFEST])
def test_a_folder_of_other_files_is_not_overwritten(
    tiny_release: Path, tiny_encoder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArtifactError) as refused:
        build_artifact(tiny_release, tiny_encoder, tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: expected an empty folder or an artifact, but found other files. Choose another --out."
    )
    assert (tmp_path / name).read_text() == "mine"


def test_the_trained_weights_are_not_overwritten(tiny_release: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(tiny_release, tmp_path / "release"))
    with pytest.raises(ArtifactError, match="Choose another --out"):
        build_artifact(release, tiny_encoder, release)
    assert contents(release) == contents(tiny_release)


def test_a_file_is_not_overwritten(tiny_release: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    with pytest.raises(ArtifactError, match="Choose another --out"):
        build_artifact(tiny_release, tiny_encoder, file)
    assert file.read_text() == "mine"


# ---- Finding ----


def test_an_artifact_that_is_named_is_taken(copied: Path) -> None:
    assert find_artifact(copied) == copied


def test_weights_that_are_named_are_built(cache: Path, tiny_release: Path, tiny_encoder: Path) -> None:
    assert load_artifact(find_artifact(tiny_release, tiny_encoder)).folder.parent == cache


def test_the_environment_names_model_and_encoder(
    cache: Path, tiny_release: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSFRAME_MODEL", str(tiny_release))
    monkeypatch.setenv("NEWSFRAME_ENCODER", str(tiny_encoder))
    assert find_artifact().parent == cache


def test_what_is_named_wins_over_the_environment(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSFRAME_MODEL", "/nowhere")
    assert find_artifact(copied) == copied


def test_an_artifact_beside_the_rooms_comes_before_the_shipped_weights(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_module, "BUNDLED", copied)
    assert find_artifact() == copied


def test_a_model_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        find_artifact(tmp_path / "none")
    assert str(refused.value).startswith(f"{tmp_path}/none: expected trained weights, but found no manifest.json. ")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"NEWSFRAME_CACHE": "/here", "XDG_CACHE_HOME": "/there"}, "/here"),
        ({"NEWSFRAME_CACHE": "", "XDG_CACHE_HOME": "/there"}, "/there/newsframe"),
        ({"NEWSFRAME_CACHE": "", "XDG_CACHE_HOME": None, "HOME": "/home/cook"}, "/home/cook/.cache/newsframe"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], folder: str
) -> None:
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


# ---- Checking ----


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    expected = sha256_of(copied / name)
    (copied / name).unlink()
    assert refusal(copied) == f"{copied}/{name}: expected sha256 {expected[:12]}…, but found no such file. {REMEDY}"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: b"", lambda data: bytes([data[0] ^ 1]) + data[1:]]
)
def test_a_truncated_or_altered_file_is_named_with_both_hashes(
    copied: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    expected = sha256_of(copied / name)
    (copied / name).write_bytes(spoil((copied / name).read_bytes()))
    found = sha256_of(copied / name)
    assert refusal(copied) == f"{copied}/{name}: expected sha256 {expected[:12]}…, but found {found[:12]}…. {REMEDY}"


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: expected a serving artifact, but found no manifest.json. {REMEDY}"


@pytest.mark.parametrize("content", [b"", b'{"files": {', b"\xff", b"[]", b"{}", b'{"files": [], "content": 1}'])
def test_a_manifest_of_other_content_is_refused(copied: Path, content: bytes) -> None:
    (copied / MANIFEST).write_bytes(content)
    assert refusal(copied) == f"{copied}/manifest.json: expected a manifest, but found other content. {REMEDY}"


def test_weights_are_no_artifact(tiny_release: Path) -> None:
    assert refusal(tiny_release) == (
        f"{tiny_release}/manifest.json: expected a manifest, but found other content. {REMEDY}"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["files"].pop(DATA),
        lambda manifest: manifest["calibration"]["temperatures"].update(stage=9.0),
        lambda manifest: manifest["calibration"]["abstain_below"].clear(),
    ],
    ids=["file", "temperature", "abstention"],
)
def test_an_altered_manifest_is_refused_with_both_hashes(
    copied: Path, tiny_artifact: Artifact, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(copied, change)
    start, end = refusal(copied).split(", but found ")
    assert start == f"{copied}/manifest.json: expected content {tiny_artifact.manifest['content'][:12]}…"
    assert end.endswith(f"…. {REMEDY}")
