"""Trained weights: packing and its error, and a release whose every file is checked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file, save_file

from model.codebook import Codebook
from model.encoder_files import sha256_of
from model.errors import WeightsError
from model.outputs import Floats
from model.weights import (
    CODEBOOK,
    DELTA,
    GRAPH,
    LAYOUT,
    MANIFEST,
    join,
    load_release,
    pack_codes,
    split,
    unpack_codes,
    unpack_weights,
)

FILES = (DELTA, GRAPH, LAYOUT, CODEBOOK)
GROUP = 16
REMEDY = "Restore the folder, or train with `newsframe train`."


# ---- Packing ----


def test_two_bits_hold_four_evenly_spaced_values() -> None:
    # The values are (code - 1.5) * scale with the scale 4: codes 0, 1, 2, 3, lowest bits first: 0 + 1*4 + 2*16 + 3*64
    change = np.array([[-6.0, -2.0, 2.0, 6.0]], dtype=np.float32)
    codes, scales = pack_codes(change, bits=2, group=4)
    assert (codes.tolist(), scales.tolist()) == ([4 + 32 + 192], [4.0])
    np.testing.assert_array_equal(unpack_codes(codes, scales, (1, 4), bits=2), change)


def test_one_bit_holds_the_sign_and_the_mean_magnitude() -> None:
    # Mean magnitude (1 + 3 + 2 + 2 + 1 + 3 + 2 + 2) / 8 = 2; positive values set the bits 0, 2, 3 and 6: 1 + 4 + 8 + 64
    change = np.array([[1.0, -3.0, 2.0, 2.0, -1.0, -3.0, 2.0, -2.0]], dtype=np.float32)
    codes, scales = pack_codes(change, bits=1, group=8)
    assert (codes.tolist(), scales.tolist()) == ([77], [4.0])
    assert unpack_codes(codes, scales, (1, 8), bits=1).tolist() == [[2, -2, 2, 2, -2, -2, 2, -2]]


def test_groups_run_along_the_rows() -> None:
    change = np.array([[-1.5, 1.5, -15.0, 15.0], [-150.0, 150.0, -0.75, 0.75]], dtype=np.float32)
    _, scales = pack_codes(change, bits=2, group=2)
    assert scales.tolist() == [1.0, 10.0, 100.0, 0.5]  # the largest of each pair, divided by 1.5


def test_a_group_without_change_stays_without_change() -> None:
    codes, scales = pack_codes(np.zeros((2, 8), dtype=np.float32), bits=4, group=8)
    np.testing.assert_array_equal(unpack_codes(codes, scales, (2, 8), bits=4), np.zeros((2, 8)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_value_takes_its_bits_and_a_group_its_scale(bits: int) -> None:
    change = np.random.default_rng(0).normal(size=(6, 32)).astype(np.float32)
    codes, scales = pack_codes(change, bits, GROUP)
    assert (codes.nbytes, scales.nbytes) == (6 * 32 * bits // 8, 6 * 32 // GROUP * 2)


def naive_error(group: Floats, bits: int) -> float:
    """Least squared error of a group over the eleven scales, one value at a time."""
    middle = (2**bits - 1) / 2
    errors = []
    for share in np.linspace(0.5, 1.0, 11):
        scale = float(np.float16(np.float32(share) * np.float32(np.abs(group).max() / middle)))
        error = 0.0
        for value in group:
            code = min(max(round(value / scale + middle), 0), 2**bits - 1)
            error += ((code - middle) * scale - value) ** 2
        errors.append(error)
    return min(errors)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_scale_of_least_error_is_taken(bits: int) -> None:
    change = np.random.default_rng(bits).standard_t(3, (8, GROUP)).astype(np.float32)
    codes, scales = pack_codes(change, bits, GROUP)
    errors = ((unpack_codes(codes, scales, change.shape, bits) - change) ** 2).sum(axis=1)
    np.testing.assert_allclose(errors, [naive_error(row, bits) for row in change], rtol=1e-3)


# Changes as training makes them; far smaller ones are lost in the 16 bits of a scale.
CHANGES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.sampled_from([GROUP, 2 * GROUP])),
    elements=st.floats(-8, 8, width=32).map(lambda value: np.float32(np.round(value, 2))),
)


@given(change=CHANGES, bits=st.sampled_from([2, 4, 8]))
def test_packing_errs_by_no_more_than_half_a_step(change: Floats, bits: int) -> None:
    codes, scales = pack_codes(change, bits, GROUP)
    error = (unpack_codes(codes, scales, change.shape, bits) - change).reshape(-1, GROUP)
    # With the scale that reaches the largest value, no value is further than half a step from a code. Another scale is
    # taken only if the squares sum to less. Scales have 11 bits of mantissa: the margin.
    steps = np.abs(change.reshape(-1, GROUP)).max(axis=1) / ((2**bits - 1) / 2)
    assert (np.sqrt((error**2).mean(axis=1)) <= steps * (0.5 + 2.0 ** (bits - 11)) + 1e-7).all()


@given(change=CHANGES, bits=st.sampled_from([1, 2, 4, 8]))
def test_packing_what_was_packed_changes_it_no_further_than_its_step(change: Floats, bits: int) -> None:
    once = unpack_codes(*pack_codes(change, bits, GROUP), change.shape, bits)
    twice = unpack_codes(*pack_codes(once, bits, GROUP), change.shape, bits)
    np.testing.assert_allclose(twice, once, atol=float(np.abs(once).max()) * 2.0**-9 + 1e-7)


def base_and_trained() -> tuple[dict[str, Floats], dict[str, Floats]]:
    generator = np.random.default_rng(5)
    base = {
        "matrix": generator.normal(size=(4, 32)).astype(np.float32),
        "narrow": generator.normal(size=(4, 5)).astype(np.float32),
        "vector": generator.normal(size=32).astype(np.float32),
        "frozen": generator.normal(size=(4, 32)).astype(np.float32),
    }
    trained = {
        f"encoder.{name}": tensor + (name != "frozen") * generator.normal(0, 0.01, tensor.shape).astype(np.float32)
        for name, tensor in base.items()
    }
    return base, {**trained, "head.weight": generator.normal(size=(3, 32)).astype(np.float32)}


def test_only_matrices_are_packed_to_codes_and_what_did_not_change_is_left_out() -> None:
    base, trained = base_and_trained()
    packed = split(base, trained, bits=4, group=GROUP)
    assert {name: tensor.dtype.name for name, tensor in packed.items()} == {
        "encoder.matrix:codes": "uint8",
        "encoder.matrix:scales": "float16",
        "encoder.narrow:change": "float16",  # its rows hold no whole group
        "encoder.vector:change": "float16",
        "head.weight:whole": "float16",
    }


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_is_split_joins_again_within_the_step(bits: int) -> None:
    base, trained = base_and_trained()
    joined = join(base, split(base, trained, bits, GROUP), bits)
    assert set(joined) == set(trained)
    assert all(tensor.dtype == np.float32 for tensor in joined.values())
    np.testing.assert_array_equal(joined["encoder.frozen"], trained["encoder.frozen"])
    np.testing.assert_allclose(joined["head.weight"], trained["head.weight"], rtol=2.0**-11)
    for name in ("encoder.vector", "encoder.narrow"):  # changes of up to .04, in 16 bits
        np.testing.assert_allclose(joined[name], trained[name], atol=0.04 * 2.0**-10)
    change = trained["encoder.matrix"] - base["matrix"]
    error = joined["encoder.matrix"] - trained["encoder.matrix"]
    steps = np.abs(change.reshape(-1, GROUP)).max(axis=1) / ((2**bits - 1) / 2)
    assert (np.sqrt((error.reshape(-1, GROUP) ** 2).mean(axis=1)) <= 0.55 * steps).all()


def test_tensors_of_the_base_that_the_network_does_not_use_do_no_harm() -> None:
    base, trained = base_and_trained()
    base["pooler.weight"] = np.ones((2, 2), dtype=np.float32)
    joined = join(base, split(base, trained, 4, GROUP), 4)
    assert set(joined) == {*trained, "encoder.pooler.weight"}


# ---- Releases ----


@pytest.fixture
def release(tiny_release: Path, tmp_path: Path) -> Path:
    """A copy of the tiny release, to be spoilt."""
    return Path(shutil.copytree(tiny_release, tmp_path / "release"))


def rewrite(folder: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refusal(folder: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        load_release(folder)
    return str(refused.value)


def test_a_release_carries_the_codebook_it_was_trained_on(tiny_release: Path, tiny_codebook: Codebook) -> None:
    assert load_release(tiny_release).codebook == tiny_codebook


def test_a_release_names_its_encoder_and_its_calibration(tiny_release: Path, tiny_encoder: Path) -> None:
    release = load_release(tiny_release)
    assert release.encoder.sha256 == sha256_of(tiny_encoder / "model.safetensors")
    assert set(release.calibration.temperatures) == {"foods", "stage", "manner", "verdict"}


def test_a_release_joins_to_every_weight_of_the_layout(tiny_release: Path, tiny_encoder: Path) -> None:
    weights = unpack_weights(load_release(tiny_release), tiny_encoder)
    layout = json.loads((tiny_release / LAYOUT).read_text())
    assert {entry["name"] for entry in layout["tensors"]} == set(weights)


def test_the_change_of_a_release_is_smaller_than_its_encoder(tiny_release: Path, tiny_encoder: Path) -> None:
    # 4 bits a value and 16 for each group of 16 are 5 bits against 32, but for names and heads
    sizes = [
        sum(t.nbytes for t in load_file(f).values()) for f in (tiny_release / DELTA, tiny_encoder / "model.safetensors")
    ]
    assert sizes[0] < sizes[1] / 4  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(release: Path, name: str) -> None:
    expected = sha256_of(release / name)
    (release / name).unlink()
    assert refusal(release) == f"{release}/{name}: expected sha256 {expected[:12]}…, but found no such file. {REMEDY}"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: b"", lambda data: bytes([data[0] ^ 1]) + data[1:]]
)
def test_a_truncated_or_altered_file_is_named_with_both_hashes(
    release: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    expected = sha256_of(release / name)
    (release / name).write_bytes(spoil((release / name).read_bytes()))
    found = sha256_of(release / name)
    assert refusal(release) == (
        f"{release}/{name}: expected sha256 {expected[:12]}…, but found {found[:12]}…. {REMEDY}"
    )


def test_a_folder_without_a_manifest_is_no_release(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: expected trained weights, but found no manifest.json. {REMEDY}"


@pytest.mark.parametrize("content", [b'{"format": 1', b"", b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_refused(release: Path, content: bytes) -> None:
    (release / MANIFEST).write_bytes(content)
    assert (
        refusal(release) == f"{release}/manifest.json: expected a manifest in JSON, but found other content. {REMEDY}"
    )


@pytest.mark.parametrize(("content", "found"), [('{"format": 1}', "1"), ("{}", "None"), ("[]", "[]")])
def test_a_manifest_of_another_format_is_refused(release: Path, content: str, found: str) -> None:
    (release / MANIFEST).write_text(content)
    assert refusal(release) == f"{release}/manifest.json: expected format 2, but found {found}. {REMEDY}"


def test_a_manifest_without_its_entries_is_refused(release: Path) -> None:
    rewrite(release, lambda manifest: [manifest.pop(key) for key in ("packing", "encoder")])
    assert refusal(release) == (
        f"{release}/manifest.json: expected entries for ['encoder', 'packing'], but found none. {REMEDY}"
    )


def test_a_manifest_that_leaves_a_file_unchecked_is_refused(release: Path) -> None:
    rewrite(release, lambda manifest: manifest["files"].pop(DELTA))
    assert refusal(release) == (
        f"{release}/manifest.json: expected entries for ['delta.safetensors'], but found none. {REMEDY}"
    )


def test_weights_that_are_no_safetensors_are_refused(release: Path, tiny_encoder: Path) -> None:
    (release / DELTA).write_bytes(b"not weights")
    rewrite(release, lambda manifest: manifest["files"].update({DELTA: sha256_of(release / DELTA)}))
    with pytest.raises(WeightsError, match=r"delta\.safetensors: expected safetensors, but found: "):
        unpack_weights(load_release(release), tiny_encoder)


def test_saved_weights_load_as_they_were(tmp_path: Path) -> None:
    base, trained = base_and_trained()
    packed = split(base, trained, 4, GROUP)
    save_file(packed, tmp_path / DELTA)
    for name, tensor in join(base, load_file(tmp_path / DELTA), 4).items():
        np.testing.assert_array_equal(tensor, join(base, packed, 4)[name])
