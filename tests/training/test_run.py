"""A training run: it learns, repeats itself bit for bit, and leaves a release that says where it comes from."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

from model.artifact import build_artifact, load_artifact
from model.calibration import Calibration
from model.decoding import Decoder
from model.encoder_files import sha256_of
from model.engine import Engine
from model.errors import ConfigError
from model.names import NameList
from model.network import load_network
from model.records import Sentence
from model.tokenization import SentenceTokenizer
from model.weights import CODEBOOK, DELTA, GRAPH, LAYOUT, load_release, unpack_weights
from serving.cli import main
from tests.conftest import ROOT, TINY_CODEBOOK, TINY_GOLD
from training.config import load_config
from training.evaluation import evaluate_predictor, headline, to_sentences
from training.features import featurize
from training.fit import make_deterministic
from training.loop import train_steps
from training.project import FUNCTION_WORDS, read_words
from training.run import LOG, Job, float_weights_file, train
from training.sources import TRAIN, LoadedSource, Source
from training.splits import split_sources
from training.torch_predictor import TorchPredictor
from training.trained import load_predictor

# Eight sentences that hold every label of the tiny codebook.
EIGHT = ("n1", "n2", "n3", "n4", "n5", "n6", "n9", "n12")


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder, tiny_config):
    return SentenceTokenizer(tiny_encoder / "tokenizer.json", tiny_config.max_tokens)


@pytest.fixture
def network(tiny_encoder, tiny_codebook, tiny_config):
    make_deterministic(tiny_config)
    return load_network(tiny_encoder, tiny_codebook, tiny_config.dropout)


@pytest.fixture(scope="module")
def manifest(tiny_release):
    return json.loads((tiny_release / "manifest.json").read_text(encoding="utf-8"))


def source(gold, **fields):
    entry = {"name": "notes", "role": TRAIN, "licence": "MIT", "annotators": "the tests", **fields}
    return LoadedSource(Source(**entry), gold, "0" * 64)


def test_eight_sentences_overfit_to_one(network, tokenizer, tiny_gold, tiny_codebook, tiny_config):
    eight = [sentence for sentence in tiny_gold if sentence.id in EIGHT]
    assert len(eight) == 8
    config = dataclasses.replace(tiny_config, epochs=120, patience=120, batch_size=8)
    data = featurize(eight, tokenizer, tiny_codebook)
    losses = [step.loss for step in train_steps(network, lambda epoch: data, lambda: 0.0, config)]
    assert losses[-1] < 0.05 < losses[0]
    predictor = TorchPredictor(network.eval(), tokenizer, Decoder(tiny_codebook, Calibration()))
    results = evaluate_predictor(eight, predictor, tiny_codebook)
    assert headline(results) == dict.fromkeys(["foods", "diet", "stage", "manner", "verdict"], 1.0)
    assert results["foods"]["labelled_span_f1"] == 1.0


def small(config, **changes):
    return dataclasses.replace(config, epochs=4, patience=2, **changes)


def scored_steps(network, tokenizer, tiny_gold, tiny_codebook, config, scores):
    data = featurize(tiny_gold[:4], tokenizer, tiny_codebook)
    given = iter(scores)
    return list(train_steps(network, lambda epoch: data, lambda: next(given), config))


def test_a_run_stops_when_patience_is_at_its_end(network, tokenizer, tiny_gold, tiny_codebook, tiny_config):
    config = small(tiny_config, batch_size=2)
    steps = scored_steps(network, tokenizer, tiny_gold, tiny_codebook, config, [0.5, 0.5, 0.4, 0.9])
    # Two batches an epoch; epochs 2 and 3 are no better than 1, so that there is no epoch 4.
    assert [(s.epoch, s.step, s.score, s.is_best) for s in steps if s.score is not None] == [
        (1, 2, 0.5, True),
        (2, 4, 0.5, False),
        (3, 6, 0.4, False),
    ]
    assert {s.steps for s in steps} == {8}


def test_every_step_is_told_before_the_next_is_made(network, tokenizer, tiny_gold, tiny_codebook, tiny_config):
    data = featurize(tiny_gold[:4], tokenizer, tiny_codebook)
    weight = network.mention_head.weight
    seen = [weight.detach().clone()]
    for step in train_steps(network, lambda epoch: data, lambda: 0.0, small(tiny_config, batch_size=2)):
        if step.score is None:
            seen.append(weight.detach().clone())
    assert all(not torch.equal(before, after) for before, after in zip(seen, seen[1:], strict=False))


@pytest.mark.parametrize("trained", [False, True])
def test_embeddings_change_only_if_they_are_trained(network, tokenizer, tiny_gold, tiny_codebook, tiny_config, trained):
    embeddings = network.encoder.embeddings.word_embeddings.weight
    before = embeddings.detach().clone()
    scored_steps(network, tokenizer, tiny_gold, tiny_codebook, small(tiny_config, train_embeddings=trained), [0.0] * 4)
    assert torch.equal(embeddings, before) != trained


def test_heads_without_gold_learn_nothing(network, tokenizer, tiny_gold, tiny_codebook, tiny_config):
    gold = [dataclasses.replace(s, mentions=None, labels={}) for s in tiny_gold[:4]]
    before = [network.mention_head.weight.detach().clone(), network.sentence_head.score.weight.detach().clone()]
    # Weight decay alone would shrink a weight whose gradient is 0.
    scored_steps(network, tokenizer, gold, tiny_codebook, small(tiny_config, weight_decay=0.0), [0.0] * 4)
    assert torch.equal(network.mention_head.weight, before[0])
    assert torch.equal(network.sentence_head.score.weight, before[1])


@pytest.fixture(scope="module")
def config_file(tmp_path_factory, tiny_config):
    """The tiny configuration as a user's file."""

    def toml(value):
        return json.dumps(list(value) if isinstance(value, tuple) else value)

    path = tmp_path_factory.mktemp("config") / "run.toml"
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in tiny_config.to_dict().items()))
    assert load_config(path) == tiny_config
    return path


@pytest.fixture(scope="module")
def trained_by_command(tmp_path_factory, config_file, tiny_encoder):
    """A release of the tiny codebook, made by `newsframe train` with the same seed, and what the command said."""
    out = tmp_path_factory.mktemp("trained") / "release"
    arguments = ["--config", config_file, "--codebook", TINY_CODEBOOK, "--data", TINY_GOLD, "--encoder", tiny_encoder]
    result = CliRunner().invoke(main, ["train", *map(str, arguments), "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    return out, result


@pytest.mark.parametrize("file", [DELTA, GRAPH, LAYOUT, LOG])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny_release, trained_by_command, file):
    assert (tiny_release / file).read_bytes() == (trained_by_command[0] / file).read_bytes()


def test_another_seed_gives_other_weights(tmp_path, tiny_gold, tiny_codebook, tiny_config, tiny_encoder, monkeypatch):
    # The graph is exported elsewhere; here only the packed weights count, so the run ends before.
    class Stop(Exception):
        pass

    packed = []

    def stop(network, folder, ranges):
        packed.append(load_file(folder / DELTA))
        raise Stop

    monkeypatch.setattr("training.served_form.export_graph", stop)

    def weights_of(seed):
        config = dataclasses.replace(tiny_config, seed=seed, epochs=1)
        job = Job("t", "1", config, tiny_codebook, [source(tiny_gold)], tmp_path / str(seed), encoder=tiny_encoder)
        with pytest.raises(Stop):
            train(job, lambda step: None)
        assert not job.out.exists()  # a run that does not come to its end leaves no release
        return packed.pop()

    first, again, other = weights_of(1), weights_of(1), weights_of(2)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first if name.endswith("head.weight:whole"))


def test_the_command_trains_a_codebook_with_other_names_and_serves_it(trained_by_command, tiny_encoder):
    out, trained = trained_by_command
    assert trained.stdout == ""  # no data, and progress is a message
    assert re.search(r"epoch 12: development score 0\.\d{4}", trained.stderr)
    text = "First sear the beef hard."
    arguments = ["classify", "--json", "--model", str(out), "--encoder", str(tiny_encoder), text]
    served = CliRunner().invoke(main, arguments)
    assert served.exit_code == 0, served.stderr
    record = json.loads(served.stdout)
    assert {"diet", "foods", "stage", "manner", "targets", "scores"} <= set(record)
    assert [food["text"] for food in record["foods"]] == ["beef"]
    assert record["diet"] == ["meat"]
    assert set(record["scores"]) == {"diet", "stage", "manner", "verdict"}


def test_the_codebook_travels_with_the_weights(tiny_release):
    assert (tiny_release / CODEBOOK).read_bytes() == TINY_CODEBOOK.read_bytes()


def test_packed_and_exported_weights_give_the_probabilities_of_torch(
    tiny_release, tiny_encoder, tiny_codebook, tiny_gold, tokenizer
):
    # Saved, packed, unpacked and put into torch on the one side; built into an artifact and run by ONNX on the other.
    release = load_release(tiny_release)
    without_content = tokenizer.ids_of(read_words(FUNCTION_WORDS))
    network = load_network(tiny_encoder, tiny_codebook, without_content=without_content)
    unpacked = unpack_weights(release, tiny_encoder)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(unpacked[name]))
    predictor = TorchPredictor(network, tokenizer, Decoder(tiny_codebook, release.calibration))
    engine = Engine(load_artifact(build_artifact(tiny_release, tiny_encoder)), threads=1)
    sentences = to_sentences(tiny_gold)
    largest = 0.0
    for ours, theirs in zip(predictor(sentences), engine(sentences), strict=True):
        assert [(m.span, m.label) for m in ours.mentions] == [(m.span, m.label) for m in theirs.mentions]
        for mine, other in zip(ours.mentions, theirs.mentions, strict=True):
            largest = max(largest, abs(mine.score - other.score), abs(mine.target.score - other.target.score))
        for axis, scores in ours.scores.items():
            largest = max(largest, *(abs(p - theirs.scores[axis][label]) for label, p in scores.items()))
    assert largest <= 1e-4


def test_function_words_are_no_evidence(tiny_artifact, tiny_gold):
    without = set(read_words(FUNCTION_WORDS))
    found = [
        word.lower()
        for sentence, said in zip(tiny_gold, Engine(tiny_artifact, 1)(to_sentences(tiny_gold)), strict=True)
        for item in [item for items in said.labels.values() for item in items]
        for evidence in item.evidence
        for word in evidence.span.of(sentence.text).split()
    ]
    assert found
    assert without & {"the", "with", "at"}
    assert not without & set(found)


def test_the_manifest_names_data_with_licences_and_hashes(manifest, tiny_gold):
    assert manifest["data"]["sources"] == [
        {
            "name": "kitchen notes",
            "role": "train",
            "licence": "MIT",
            "credit": None,
            "annotators": "the tests",
            "sentences": len(tiny_gold),
            "articles": 8,
            "sha256": sha256_of(TINY_GOLD),
            "missing": None,
        }
    ]
    assert manifest["data"]["shared_with_evaluation"] == []
    parts = [manifest["data"][part] for part in ("train", "dev", "test")]
    assert sum(parts) == len(tiny_gold)


def test_the_manifest_names_every_file_by_its_hash(manifest, tiny_release):
    assert set(manifest["files"]) == {path.name for path in tiny_release.iterdir()} - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert sha256_of(tiny_release / name) == digest


def test_the_manifest_holds_the_resolved_configuration_encoder_and_codebook(manifest, tiny_config, tiny_codebook):
    assert manifest["config"] == json.loads(json.dumps(tiny_config.to_dict()))
    assert manifest["encoder"]["sha256"] == tiny_config.encoder_sha256
    assert manifest["codebook"] == {"name": "kitchen-notes", "version": "0.2", "sha256": tiny_codebook.sha256}
    assert manifest["versions"]["torch"] == torch.__version__


def test_the_manifest_states_the_metrics_of_what_users_get(manifest, tiny_release, tiny_encoder, tiny_gold):
    artifact = load_artifact(build_artifact(tiny_release, tiny_encoder))
    config = manifest["config"]
    split = split_sources([source(tiny_gold)], config["dev_share"], config["test_share"])
    assert set(manifest["metrics"]) == {"dev", "test"}
    assert manifest["metrics"]["dev"] == evaluate_predictor(split.dev, Engine(artifact, 1), artifact.codebook)
    assert manifest["parity"]["max_probability_difference"] <= 1e-4
    assert manifest["parity"]["sentences"] == len(split.dev)


def test_the_log_has_an_epoch_a_line_with_loss_and_development_scores(tiny_release, tiny_config):
    lines = [json.loads(line) for line in (tiny_release / LOG).read_text().splitlines()]
    lines, means = lines[: tiny_config.epochs], lines[tiny_config.epochs :]
    assert [line["epoch"] for line in lines] == list(range(1, tiny_config.epochs + 1))
    assert all(set(line) == {"epoch", "loss", "score", "dev"} for line in lines)
    assert lines[-1]["loss"] < lines[0]["loss"]
    # The last line tells of the mean of the last epochs.
    assert [line["averaged_epochs"] for line in means] == [tiny_config.average_last]
    assert set(means[0]) == {"averaged_epochs", "score", "dev"}


def test_weights_of_an_earlier_run_are_packed_and_calibrated_anew_without_training(
    tmp_path, tiny_release, tiny_gold, tiny_codebook, tiny_config, tiny_encoder, manifest
):
    # The same gold: the same weights, calibration and metrics, and the log of the run that trained them.
    job = Job(
        "t", "2", tiny_config, tiny_codebook, [source(tiny_gold)], tmp_path / "again", encoder=tiny_encoder,
        function_words=read_words(FUNCTION_WORDS), weights=float_weights_file(tiny_release), origin={"teacher": {"name": "larger"}},
    )  # fmt: skip
    steps = []
    again = train(job, steps.append)
    assert steps == []
    for key in ("calibration", "metrics"):
        assert again[key] == manifest[key]
    for file in (DELTA, LOG):
        assert (job.out / file).read_bytes() == (tiny_release / file).read_bytes()
    assert (again["version"], again["origin"]) == ("2", {"teacher": {"name": "larger"}})


@pytest.mark.parametrize("there_is_data", [True, False])
def test_a_run_without_articles_to_choose_on_is_refused(
    tmp_path, tiny_gold, tiny_codebook, tiny_config, tiny_encoder, there_is_data
):
    split = split_sources([source(tiny_gold)], tiny_config.dev_share, tiny_config.test_share)
    gold = split.train if there_is_data else []
    found = f"{len(gold)} and 0"
    job = Job("t", "1", tiny_config, tiny_codebook, [source(gold)], tmp_path / "out", encoder=tiny_encoder)
    message = (
        "training data: expected sentences to train on and to choose on, but found "
        f"{found} after the split by article. Give more articles (field 'article'), or a larger dev_share."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        train(job, lambda step: None)
    assert not job.out.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--codebook", "c.yaml"], 2, "Error: Give --codebook and --data together."),
        (["--set", "epochs"], 1, "--set: expected KEY=VALUE with a TOML value, but found 'epochs'. Put texts in quotes."),
        (["--set", "epochs=ten"], 1, "--set: expected KEY=VALUE with a TOML value, but found 'epochs=ten'. Put texts in quotes."),
        (["--set", "epochs=2.5"], 1, "epochs: expected int, but found 2.5. Correct the value."),
        (["--config", "none.toml"], 1, "none.toml: expected a configuration file, but found: No such file or directory. Check --config."),
    ],
)  # fmt: skip
def test_the_command_refuses_what_it_cannot_train_on(monkeypatch, arguments, code, message):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, ["train", *arguments])
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.strip().endswith(message)


@pytest.fixture(scope="module")
def nameless(tiny_job, tmp_path_factory) -> Path:
    """A release whose network cannot tell lamb from kale."""
    folder = tmp_path_factory.mktemp("nameless")
    (folder / "names.yaml").write_text("stand_ins: {groups: [beef]}\ngroups: [lamb, [kale, curly kale]]\n")
    job = dataclasses.replace(tiny_job, out=folder / "release", names=NameList(folder / "names.yaml"))
    train(job, lambda step: None)
    return job.out


def test_hidden_names_travel_with_the_weights_into_torch_and_into_the_engine(nameless, tiny_encoder):
    assert load_release(nameless).load_names().rows["groups"][1] == {"name": ["kale", "curly kale"]}
    artifact = load_artifact(build_artifact(nameless, tiny_encoder))
    for predictor in (load_predictor(nameless, tiny_encoder), Engine(artifact)):
        texts = ["First sear the lamb hard.", "First sear the curly kale hard."]
        first, second = predictor([Sentence(str(n), text) for n, text in enumerate(texts)])
        assert first.scores == second.scores
        assert [m.label for m in first.mentions] == [m.label for m in second.mentions]
        for prediction, text, name in ((first, texts[0], "lamb"), (second, texts[1], "curly kale")):
            assert all(m.span.of(text) == name for m in prediction.mentions if m.span.of(text) in name)


def test_a_release_without_names_hides_none(tiny_release, tiny_artifact):
    assert load_release(tiny_release).load_names() is None
    assert tiny_artifact.names is None
