"""The model as a function over columns: the library's labels, in any process, beside whatever columns there are."""

import pickle
import subprocess
import sys
from typing import Any

import pytest

from model.artifact import Artifact
from model.errors import RecordError
from model.labeller import Labeller
from serving.archive import SentenceLabeller
from tests.conftest import ROOT
from tests.serving.archive.kitchen import SENTENCES


@pytest.fixture(scope="module")
def labeller(tiny_artifact: Artifact) -> SentenceLabeller:
    return SentenceLabeller(model=tiny_artifact.folder)


def test_its_labels_are_those_of_the_library(labeller: SentenceLabeller, tiny_labeller: Labeller) -> None:
    columns = labeller({"text": list(SENTENCES)})
    codebook = tiny_labeller.codebook
    assert {len(column) for column in columns.values()} == {len(SENTENCES)}
    for n, record in enumerate(tiny_labeller.label_records(SENTENCES)):
        assert columns["status"][n] == record["status"]
        assert columns["n_tokens"][n] == record["n_tokens"]
        assert columns["abstained"][n] == record["abstained"]
        for axis in codebook.sentence_axes:
            assert columns[axis.name][n] == [item["label"] for item in record[axis.name]]
        for axis_name, labels in record["scores"].items():
            for label, score in labels.items():
                assert columns[f"scores.{axis_name}.{label}"][n] == pytest.approx(score, abs=1e-3)


def test_it_gives_what_it_says_it_gives(labeller: SentenceLabeller) -> None:
    assert list(labeller({"text": ["Sear the beef."]})) == labeller.schema.names


def test_a_text_that_cannot_be_labelled_is_an_error_in_its_place(labeller: SentenceLabeller) -> None:
    columns = labeller({"text": ["Sear the beef.", None, " ", "Serve the kale."], "other": [1, 2, 3, 4]})
    assert [status == "error" for status in columns["status"]] == [False, True, True, False]
    assert columns["error"][1:3] == [
        "text[1]: expected a text, but found nothing. Give the sentence as a string.",
        "text[2]: expected a text, but found an empty one. Give the sentence.",
    ]
    assert columns["n_tokens"][1] is None


def test_no_sentences_give_no_rows(labeller: SentenceLabeller) -> None:
    assert all(column == [] for column in labeller({"text": []}).values())


def test_targets_may_stand_in_a_column(tiny_artifact: Artifact) -> None:
    labeller = SentenceLabeller("words", targets="towards", model=tiny_artifact.folder)
    columns = labeller({"words": ["The lamb was good.", "The lamb was good."], "towards": [["lamb"], ["beef"]]})
    [target] = columns["targets"][0]
    assert (target["target"], target["start"], target["end"]) == ("lamb", 4, 8)
    assert columns["status"][1] == "error"


def test_a_missing_column_is_named(labeller: SentenceLabeller) -> None:
    with pytest.raises(RecordError) as refusal:
        labeller({"body": ["Sear the beef."], "id": ["1"]})
    assert str(refusal.value) == ("batch: expected a column 'text', but found ['body', 'id']. Name the right one.")


def test_a_pickled_copy_carries_no_model(labeller: SentenceLabeller) -> None:
    expected = labeller({"text": ["Sear the beef."]})
    copy = pickle.dumps(labeller)
    assert len(copy) < 1000
    assert pickle.loads(copy)({"text": ["Sear the beef."]}) == expected


MAPPED = """
from datasets import Dataset
from serving.archive import SentenceLabeller
labeller = SentenceLabeller(model={model!r})
data = Dataset.from_dict({{"text": {texts!r}, "page": [1, 2, 3]}})
mapped = data.map(labeller, batched=True, batch_size=2, features=labeller.features(data.features))
assert mapped["page"] == [1, 2, 3] or list(mapped["page"]) == [1, 2, 3]
assert list(mapped["status"]) == labeller({{"text": {texts!r}}})["status"]
assert mapped.features["n_tokens"].dtype == "int32"
"""


def test_it_maps_over_a_data_set(tiny_artifact: Artifact) -> None:
    texts: Any = ["Sear the beef.", " ", "Serve the kale."]
    code = MAPPED.format(model=str(tiny_artifact.folder), texts=texts)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
