"""Classifiers of whole texts for baselines: TF-IDF with logistic regression, and the head it shares with SetFit."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

Labels = frozenset[str]


class TextClassifier(Protocol):
    """What a baseline fits anew for every axis."""

    def fit(self, texts: Sequence[str], labels: Sequence[Labels], names: Sequence[str], exclusive: bool) -> None:
        """Learn from texts.

        Args:
            labels: Those that each text holds; exactly one if they are `exclusive`.
            names: All labels, in codebook order.
        """
        ...

    def predict(self, texts: Sequence[str]) -> list[Labels]:
        """Labels of each text, in order."""
        ...


class LogisticHead:
    """Logistic regression on features: one against the rest for each label, or among all if they are exclusive."""

    def __init__(self, strength: float = 1.0, balanced: bool = False) -> None:
        """Set how it is fitted.

        Args:
            strength: Inverse of the regularisation.
            balanced: Whether rare labels weigh more.
        """
        self._settings: dict[str, Any] = {"C": strength, "max_iter": 1000}
        if balanced:
            self._settings["class_weight"] = "balanced"
        self._names: tuple[str, ...] = ()
        self._exclusive = False
        self._columns: list[LogisticRegression | int] = []

    def fit(self, features: Any, labels: Sequence[Labels], names: Sequence[str], exclusive: bool) -> None:
        """Fit on a matrix with one row a text; see `TextClassifier.fit`."""
        self._names, self._exclusive = tuple(names), exclusive
        if exclusive:
            wanted = [self._names.index(next(iter(held))) for held in labels]
            self._columns = [self._fitted(features, np.array(wanted))]
        else:
            self._columns = [
                self._fitted(features, np.array([int(name in held) for held in labels])) for name in self._names
            ]

    def _fitted(self, features: Any, wanted: NDArray[np.intp]) -> LogisticRegression | int:
        kinds = np.unique(wanted)
        if len(kinds) == 1:  # nothing to tell apart
            return int(kinds[0])
        return LogisticRegression(**self._settings).fit(features, wanted)

    def predict(self, features: Any) -> list[Labels]:
        """Labels of each row, in order."""
        count = features.shape[0]
        columns = [
            np.full(count, column) if isinstance(column, int) else column.predict(features) for column in self._columns
        ]
        if self._exclusive:
            return [frozenset([self._names[int(n)]]) for n in columns[0]]
        return [
            frozenset(name for name, column in zip(self._names, columns, strict=True) if column[row])
            for row in range(count)
        ]


class TfidfClassifier:
    """Words and pairs of words, and two to five characters within words, weighted by TF-IDF."""

    def __init__(self) -> None:
        self._features = FeatureUnion(
            [
                ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
                ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)),
            ]
        )
        # Sparse features want less regularisation than embeddings, and rare labels more weight: the strong form.
        self._head = LogisticHead(strength=10.0, balanced=True)

    def fit(self, texts: Sequence[str], labels: Sequence[Labels], names: Sequence[str], exclusive: bool) -> None:
        """Learn from texts; see `TextClassifier.fit`."""
        self._head.fit(self._features.fit_transform(texts), labels, names, exclusive)

    def predict(self, texts: Sequence[str]) -> list[Labels]:
        """Labels of each text, in order."""
        return self._head.predict(self._features.transform(texts))
