"""Which sentences are worth labelling next: those the model doubts, spread over the batch, and some at random.

A batch may be an archive: sentences are taken one by one, and only a pool of the most doubtful is kept.
"""

import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from model.outputs import Floats
from model.records import normalise

UNCERTAIN, RANDOM = "uncertain", "random"

POOL = 10  # doubtful sentences kept for each one chosen: enough to be choosy about variety
POOL_LIMITS = 1_000, 20_000  # at 4 kB a vector, 80 MB at most
RELEVANCE = 0.7  # how much doubt counts against variety
NEAR_DUPLICATE = 0.8  # cosine from which two sentences say the same
DOCUMENT_SHARE = 0.1  # of the uncertain ones, as long as other documents have any
DIMENSIONS = 1024
GRAM = 4  # characters


@dataclass(frozen=True)
class Candidate:
    """A sentence that could be labelled.

    Attributes:
        article: The document it comes from.
        uncertainty: 0 to 1.
        axis: The axis that the model doubts most.
        suggestion: What the model says, in the form of a gold record's axes.
        meta: Other fields to keep with the sentence.
    """

    id: str
    text: str
    article: str
    uncertainty: float
    axis: str
    suggestion: Mapping[str, Any]
    meta: Mapping[str, Any]


class Chosen(NamedTuple):
    """A sentence to label, and why: `uncertain` or `random`."""

    candidate: Candidate
    why: str


class Selector:
    """Takes candidates one by one, then chooses.

    The same sentences, in any order, give the same choice for the same seed. The random part is a uniform sample of
    all different sentences, whatever the model says of them: rates estimated from it hold for the whole batch.
    """

    def __init__(self, count: int, random_share: float, seed: int, labelled: Container[str] = frozenset()) -> None:
        """Prepare for a choice.

        Args:
            count: Sentences to choose.
            random_share: Share of them to draw at random.
            labelled: Normalised texts to leave out.
        """
        self.seen = 0
        self.known = 0
        self._labelled = labelled
        self._seed = seed
        self._count = count
        self._random_share = random_share
        self._random = _Best(round(count * random_share))
        least, most = POOL_LIMITS
        # A sentence drawn at random may also be among the most doubtful: the pool has room for both.
        self._pool = _Best(min(max(POOL * count, least), most) + count)

    def add(self, candidate: Candidate) -> None:
        """Consider one more sentence."""
        self.seen += 1
        key = normalise(candidate.text)
        if key in self._labelled:
            self.known += 1
            return
        # A sentence's lot is a hash of its words: the highest lots are a uniform sample without a list of what was
        # seen, and a repeated sentence has no second chance. Source: Cohen & Kaplan 2007, "Summarizing data using
        # bottom-k sketches".
        lot = int.from_bytes(hashlib.blake2b(f"{self._seed}:{key}".encode(), digest_size=8).digest()) / 2**64
        self._random.offer((lot,), key, candidate)
        self._pool.offer((candidate.uncertainty, lot), key, candidate)

    def choose(self) -> list[Chosen]:
        """Choose: the two parts are mixed evenly, so that whoever stops half-way has half of each."""
        doubtful = self._pool.sorted()
        count = min(self._count, len(doubtful))
        drawn = self._random.sorted()[: round(count * self._random_share)]
        taken = {key for key, _ in drawn}
        pool = [candidate for key, candidate in doubtful if key not in taken]
        at_random = [candidate for _, candidate in drawn]
        places = spread(pool, count - len(drawn), at_random)
        parts = {UNCERTAIN: [pool[place] for place in places], RANDOM: at_random}
        ranked = [
            ((rank + 0.5) / len(part), why, candidate)
            for why, part in parts.items()
            for rank, candidate in enumerate(part)
        ]
        return [Chosen(candidate, why) for _, why, candidate in sorted(ranked, key=lambda item: item[0])]


class _Best:
    """Keeps the candidates of highest priority, one for each key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[tuple[float, ...], str]] = []
        self._held: dict[str, Candidate] = {}

    def offer(self, priority: tuple[float, ...], key: str, candidate: Candidate) -> None:
        if key in self._held:
            return
        heappush(self._heap, (priority, key))
        self._held[key] = candidate
        if len(self._heap) > self._size:
            _, worst = heappop(self._heap)
            del self._held[worst]

    def sorted(self) -> list[tuple[str, Candidate]]:
        """Keys and candidates, highest priority first."""
        return [(key, self._held[key]) for _, key in sorted(self._heap, reverse=True)]


def spread(pool: Sequence[Candidate], count: int, beside: Sequence[Candidate] = ()) -> list[int]:
    """Choose doubtful sentences that differ: maximal marginal relevance over character n-grams.

    Each choice is the sentence with the highest `RELEVANCE * doubt - (1 - RELEVANCE) * similarity`: its uncertainty
    as a share of the pool's highest, and its cosine to the most like of those already chosen. None is a near-duplicate
    of another. A document gives at most `DOCUMENT_SHARE` of them until all others have none left.

    Args:
        beside: Sentences that will be labelled as well, and need no second of their kind.

    Returns:
        Indices of at most `count` sentences of the pool, in the order chosen.

    Source: Carbonell & Goldstein 1998, "The use of MMR, diversity-based reranking for reordering documents and
    producing summaries".
    """
    if not pool or not count:
        return []
    vectors = gram_vectors([candidate.text for candidate in (*pool, *beside)])  # (pool + beside, D)
    inside = vectors[: len(pool)]
    doubt = np.array([candidate.uncertainty for candidate in pool], dtype=np.float32)
    doubt /= max(float(doubt.max()), 1e-9)
    nearest = np.zeros(len(pool), dtype=np.float32)  # cosine to the most like of those chosen
    for vector in vectors[len(pool) :]:
        nearest = np.maximum(nearest, inside @ vector)
    articles = np.array([candidate.article for candidate in pool])
    from_article: Counter[str] = Counter()
    most = math.ceil(DOCUMENT_SHARE * count)
    free = np.ones(len(pool), dtype=bool)
    full = np.zeros(len(pool), dtype=bool)  # whether the document has given its share
    chosen: list[int] = []
    while len(chosen) < count:
        free &= nearest < NEAR_DUPLICATE
        if not free.any():
            break
        while not (free & ~full).any():
            most += 1
            full = np.array([from_article[candidate.article] >= most for candidate in pool])
        value = RELEVANCE * doubt - (1 - RELEVANCE) * nearest
        best = int(np.where(free & ~full, value, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        nearest = np.maximum(nearest, inside @ inside[best])
        article = pool[best].article
        from_article[article] += 1
        if from_article[article] >= most:
            full |= articles == article
    return chosen


def gram_vectors(texts: Sequence[str]) -> Floats:
    """Hashed character n-grams, weighted by how rare they are among these texts.

    Returns:
        Unit vectors, shape (texts, DIMENSIONS); a text without words has a zero vector.

    Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning".
    """
    found_in = Counter(gram for text in texts for gram in _grams(text))
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        for gram, times in _grams(text).items():  # made anew: all of them at once are larger than the vectors
            code = zlib.crc32(gram.encode())
            sign = 1.0 if code & 1 else -1.0
            vector[(code >> 1) % DIMENSIONS] += sign * times * math.log(1 + len(texts) / found_in[gram])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


def _grams(text: str) -> Counter[str]:
    words = f" {normalise(text)} "
    return Counter(words[n : n + GRAM] for n in range(len(words) - GRAM + 1))
