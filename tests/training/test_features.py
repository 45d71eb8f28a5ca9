"""Gold sentences as tensors: what is learned from, and what is passed over."""

import numpy as np
import pytest
import torch

from model.records import GoldSentence, LabelledSpan
from model.spans import Span
from model.tokenization import SentenceTokenizer
from training.features import IGNORED, TWIN, batches, collate, featurize
from training.loop import positive_weights

BEGIN_MEAT, BEGIN_PLANT, INSIDE_PLANT = 1, 3, 4  # two tags a label, behind "outside"


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder, tiny_config):
    return SentenceTokenizer(tiny_encoder / "tokenizer.json", tiny_config.max_tokens)


def gold(text: str, mentions=None, targets=None, **labels: list[str]) -> GoldSentence:
    def spans(items):
        return items and tuple(LabelledSpan(Span(text.index(p), text.index(p) + len(p)), x) for p, x in items)

    held = {axis: frozenset(names) for axis, names in labels.items()}
    return GoldSentence(text, text, spans(mentions), held, spans(targets), "a")


@pytest.fixture
def row(tokenizer, tiny_codebook):
    """Make the row of one sentence."""
    return lambda *args, **labels: featurize([gold(*args, **labels)], tokenizer, tiny_codebook)[0]


def test_a_mention_tags_every_token_it_covers_and_special_tokens_are_passed_over(row, tokenizer):
    found = row("The kale was delicious.", [("kale", "plant")])
    # "kale" is not in the vocabulary: it is k, ##a, ##l, ##e.
    assert found["tags"] == [IGNORED, 0, BEGIN_PLANT, *[INSIDE_PLANT] * 3, 0, 0, 0, IGNORED]
    assert len(found["tags"]) == len(found["input_ids"])


def test_a_sentence_without_mention_annotation_teaches_no_tags(row):
    assert set(row("Serve at once.", stage=["finish"])["tags"]) == {IGNORED}


def test_a_sentence_annotated_as_without_mentions_teaches_outside(row):
    assert row("Wash your hands.", [])["tags"] == [IGNORED, 0, 0, 0, 0, IGNORED]


def test_sentence_labels_stand_in_codebook_order_and_axes_without_annotation_are_passed_over(row):
    # Columns: start, finish; gentle, fierce.
    assert row("Serve at once.", stage=["finish"])["sentence_labels"] == [0, 1, IGNORED, IGNORED]
    assert row("Serve at once.", stage=[], manner=["gentle", "fierce"])["sentence_labels"] == [0, 0, 1, 1]


def test_a_target_is_the_tokens_of_its_span(row):
    found = row("The kale was delicious.", None, [("kale", "tasty")])
    assert found["targets"] == [[2, 6, 0]]


def test_a_target_behind_the_point_of_truncation_is_left_out(row, tiny_config):
    text = "bread " * tiny_config.max_tokens + "beef"
    found = row(text, None, [("bread", "undecided"), ("beef", "tasty")])
    assert len(found["input_ids"]) == tiny_config.max_tokens
    assert found["targets"] == [[1, 2, 1]]


def test_twins_follow_the_rows_that_they_are_twins_of(row):
    first, second = row("The kale was delicious.", stage=[]), row("Wash your hands.", stage=["start"])
    twin = row("The beef was delicious.", stage=[])
    batch = collate([{**first, TWIN: twin}, {**second, TWIN: second}])
    assert batch.twins
    told = [ids[: sum(mask)] for ids, mask in zip(batch.input_ids.tolist(), batch.attention_mask.tolist(), strict=True)]
    assert told == [x["input_ids"] for x in (first, second, twin, second)]
    assert batch.sentence_labels[:2].tolist() == batch.sentence_labels[2:].tolist()
    assert not collate([first, second]).twins


def test_a_batch_is_padded_and_padding_is_passed_over(tokenizer, tiny_codebook):
    sentences = [
        gold("Wash your hands.", []),
        gold("First sear the beef hard.", [("beef", "meat")], [("beef", "undecided"), ("the beef", "tasty")], stage=[]),
    ]
    batch = collate(featurize(sentences, tokenizer, tiny_codebook).to_list())
    # Six tokens and eight, special ones included.
    assert batch.attention_mask.tolist() == [[1] * 6 + [0] * 2, [1] * 8]
    assert batch.input_ids[0, 6:].tolist() == [0, 0]
    assert batch.tags.tolist() == [
        [IGNORED, 0, 0, 0, 0, IGNORED, IGNORED, IGNORED],
        [IGNORED, 0, 0, 0, BEGIN_MEAT, 0, 0, IGNORED],
    ]
    assert batch.sentence_labels.tolist() == [[IGNORED] * 4, [0, 0, IGNORED, IGNORED]]
    assert batch.target_labels.tolist() == [1, 0]


def test_target_weights_average_the_tokens_of_a_target(tokenizer, tiny_codebook):
    sentences = [gold("Wash your hands."), gold("The kale was tasty.", None, [("kale", "tasty")])]
    batch = collate(featurize(sentences, tokenizer, tiny_codebook).to_list())
    logits = torch.arange(batch.input_ids.numel(), dtype=torch.float32).reshape(*batch.input_ids.shape, 1)  # (B, L, 1)
    first = batch.input_ids.shape[1]  # the second row begins here
    # Tokens 2 to 5 of the second row: their mean is first + 3.5.
    assert (batch.target_weights @ logits.flatten(0, 1)).tolist() == [[first + 3.5]]


def test_a_batch_without_targets_has_no_rows_for_them(tokenizer, tiny_codebook):
    batch = collate(featurize([gold("Wash your hands.", [])], tokenizer, tiny_codebook).to_list())
    assert batch.target_weights.shape == (0, 8)  # six tokens, padded to a multiple of eight
    assert batch.target_labels.shape == (0,)


def contents(dataset, size, generator=None):
    return [
        [ids[: int(mask.sum())].tolist() for ids, mask in zip(b.input_ids, b.attention_mask, strict=True)]
        for b in batches(dataset, size, generator)
    ]


def test_every_sentence_is_in_exactly_one_batch(tiny_gold, tokenizer, tiny_codebook):
    dataset = featurize(tiny_gold, tokenizer, tiny_codebook)
    found = [ids for batch in contents(dataset, 5, np.random.default_rng(1)) for ids in batch]
    assert sorted(found) == sorted(dataset["input_ids"])


def test_batches_hold_sentences_of_like_length(tiny_gold, tokenizer, tiny_codebook):
    dataset = featurize(tiny_gold, tokenizer, tiny_codebook)
    lengths = [len(ids) for batch in contents(dataset, 5) for ids in batch]
    assert lengths == sorted(lengths)


def test_the_same_generator_gives_the_same_batches(tiny_gold, tokenizer, tiny_codebook):
    dataset = featurize(tiny_gold, tokenizer, tiny_codebook)
    first, again, other = (contents(dataset, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_rare_labels_weigh_more(tokenizer, tiny_codebook):
    sentences = [gold("Serve.", stage=["start"]), *[gold("Serve.", stage=["finish"])] * 4, gold("Serve.", manner=[])]
    weights = positive_weights(featurize(sentences, tokenizer, tiny_codebook), 0.5)
    # start: 1 of 5 annotated: (4/1)**0.5; finish: 4 of 5: (1/4)**0.5; manner: 0 of 1, and none to learn from.
    assert weights.tolist() == pytest.approx([2.0, 0.5, 1.0, 1.0])
