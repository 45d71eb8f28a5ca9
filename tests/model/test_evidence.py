"""Evidence: what words weigh. Which of them are named is tested with the decoder."""

import numpy as np

from model.evidence import word_weights
from model.spans import Span
from model.words import group_words

PARTS = np.array([[9.0, 9.0], [1.0, -1.0], [2.0, 4.0], [-3.0, 0.5], [9.0, 9.0]], dtype=np.float32)


def test_a_word_weighs_what_its_tokens_say_for_a_label() -> None:
    # The second word has the parts 2 and -3 for the first label, 4 and 0.5 for the second.
    words = group_words([([None, 0, 1, 1, None], [Span(0, 0), Span(0, 3), Span(4, 5), Span(5, 8), Span(0, 0)])])
    assert word_weights(PARTS, words).tolist() == [[1.0, 0.0], [2.0, 4.5]]


def test_special_tokens_alone_make_no_words() -> None:
    words = group_words([([None, None], [Span(0, 0), Span(0, 0)])])
    assert word_weights(PARTS[[0, 4]], words).shape == (0, 2)
