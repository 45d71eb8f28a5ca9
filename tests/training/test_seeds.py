"""A further stage: runs from the same trained weights, their scores, and the mean of their weights."""

import dataclasses
import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from model import weights
from model.errors import ConfigError
from training.run import LOG, float_weights_file, train

PARTS = {"dev", "test"}


@pytest.fixture(scope="module")
def job(tiny_job, tiny_release, tmp_path_factory):
    """A short further stage on the tiny release."""
    config = dataclasses.replace(tiny_job.config, keep_heads=True, seeds=3, epochs=1, average_last=0)
    out = tmp_path_factory.mktemp("further") / "release"
    return dataclasses.replace(tiny_job, config=config, out=out, start=tiny_release)


def run(job, **changes):
    return train(dataclasses.replace(job, config=dataclasses.replace(job.config, **changes)), lambda step: None)


@pytest.fixture(scope="module")
def manifest(job):
    return run(job)


def test_the_manifest_tells_the_scores_of_every_seed_and_of_their_mean(manifest, job):
    assert [row["seed"] for row in manifest["seeds"]] == [
        job.config.seed,
        job.config.seed + 1,
        job.config.seed + 2,
        None,
    ]
    for row in manifest["seeds"]:
        assert set(row["scores"]) == PARTS
        assert all(0 <= value <= 1 for scores in row["scores"].values() for value in scores.values())


def test_every_line_of_the_log_says_its_seed(manifest, job):
    lines = [json.loads(line) for line in (job.out / LOG).read_text(encoding="utf-8").splitlines()]
    assert {line["seed"] for line in lines} == {job.config.seed, job.config.seed + 1, job.config.seed + 2}


def test_the_weights_are_the_mean_of_the_seeds_or_the_best_of_them(manifest, job, tmp_path):
    singles = []
    for seed in range(job.config.seed, job.config.seed + 3):
        out = tmp_path / str(seed) / "release"
        run(dataclasses.replace(job, out=out), seeds=1, seed=seed)
        singles.append(load_file(float_weights_file(out)))
    found = load_file(float_weights_file(job.out))
    on_dev = [np.mean(list(row["scores"]["dev"].values())) for row in manifest["seeds"]]
    best = int(np.argmax(on_dev[:-1]))
    for name, tensor in found.items():
        each = [single[name] for single in singles]
        assert not all(np.array_equal(each[0], other) for other in each[1:]) or name.endswith(
            "position_embeddings.weight"
        )
        wanted = each[best] if on_dev[best] > on_dev[-1] else np.mean(each, axis=0, dtype=np.float64)
        np.testing.assert_allclose(tensor, wanted, atol=1e-6)


def test_a_run_that_keeps_the_heads_begins_where_the_weights_ended(job, tiny_release, tmp_path):
    out = tmp_path / "release"
    run(dataclasses.replace(job, out=out), seeds=1, epochs=1, learning_rate=0.0, head_learning_rate=0.0)
    kept, before = load_file(float_weights_file(out)), load_file(float_weights_file(tiny_release))
    assert kept["sentence_head.score.weight"].any()
    for name, tensor in kept.items():  # what packing the weights before cost is all that differs
        assert np.abs(tensor - before[name]).max() < 0.15 * max(np.abs(before[name]).max(), 0.1), name


def test_exported_anew_a_release_keeps_what_its_seeds_scored(manifest, job, tmp_path):
    again = run(dataclasses.replace(job, weights=job.out, start=None, out=tmp_path / "release"))
    assert again["seeds"] == manifest["seeds"]
    assert again["trained_in"] == manifest["trained_in"] == "float32"


def test_several_seeds_without_a_common_start_are_refused(job):
    message = (
        "seeds: expected 1 where runs do not begin with the same trained weights and heads, or where no sentences "
        "are held out, but found 3. Name weights with --start and set keep_heads, or set seeds to 1."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run(dataclasses.replace(job, start=None))
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run(job, keep_heads=False)


def test_heads_of_another_codebook_are_refused(job, tiny_release, codebook):
    message = (
        f"--start {tiny_release}: expected weights with the axes and labels of the codebook {codebook.name} "
        f"{codebook.version}, but found those of kitchen-notes 0.2. Set keep_heads to false for new heads."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run(dataclasses.replace(job, codebook=codebook))


def test_a_share_of_the_weights_that_a_run_started_from_stays_in_them(job, tiny_encoder, tiny_release, tmp_path):
    found = {}
    for share in (0.0, 0.7):
        out = tmp_path / str(share) / "release"
        run(dataclasses.replace(job, out=out), seeds=1, start_share=share)
        found[share] = load_file(float_weights_file(out))
    start = weights.unpack_weights(weights.load_release(tiny_release), tiny_encoder)
    for name, tensor in found[0.7].items():
        wanted = 0.7 * start[name].astype(np.float64) + 0.3 * found[0.0][name].astype(np.float64)
        np.testing.assert_allclose(tensor, wanted, atol=1e-6)
    assert not all(np.array_equal(found[0.7][name], found[0.0][name]) for name in found[0.7])


@pytest.mark.parametrize("without", [{"start": None}, {"keep_heads": False}])
def test_a_share_of_weights_that_a_run_does_not_start_from_is_refused(job, without):
    config = dataclasses.replace(job.config, seeds=1, keep_heads=without.get("keep_heads", True), start_share=0.5)
    other = dataclasses.replace(job, config=config, start=without.get("start", job.start))
    with pytest.raises(ConfigError) as error:
        run(other)
    assert str(error.value) == (
        "start_share: expected 0 where a run does not begin with trained weights and heads, but found 0.5. "
        "Name weights with --start and set keep_heads, or set start_share to 0."
    )
