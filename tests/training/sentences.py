"""Gold sentences and predictions about cookery, made in one line each."""

from typing import Any

from model.predictions import Mention, Prediction, Scored, TargetLabel
from model.records import GoldSentence, LabelledSpan
from model.spans import Span

TEXT = "the beef and the kale"
BEEF, KALE = (4, 8), (17, 21)


def gold_sentence(
    name: str, mentions: Any = (), targets: Any = (), article: str | None = None, extra: Any = None, **labels: Any
) -> GoldSentence:
    """A gold sentence; mentions and targets are (start, end, label)."""
    return GoldSentence(
        id=name,
        text=TEXT,
        mentions=None if mentions is None else tuple(LabelledSpan(Span(*m[:2]), m[2]) for m in mentions),
        labels={axis: frozenset(held) for axis, held in labels.items()},
        targets=tuple(LabelledSpan(Span(*t[:2]), t[2]) for t in targets),
        article=article or f"article of {name}",
        extra=extra or {},
    )


def prediction(
    mentions: Any = (), targets: Any = (), abstained: Any = (), scores: Any = None, **labels: Any
) -> Prediction:
    """A prediction; a mention or target is (start, end, label) or (start, end, label, score), a label a name or a `Scored`."""
    return Prediction(
        mentions=tuple(Mention(Span(*m[:2]), m[2], *(m[3:] or [0.9])) for m in mentions),
        labels={
            axis: tuple(x if isinstance(x, Scored) else Scored(x, 0.9) for x in labels.get(axis, ()))
            for axis in ("stage", "manner")
        },
        summary=tuple(x for x in ("meat", "plant") if any(m[2] == x for m in mentions)),
        targets=tuple(TargetLabel("food", Span(*t[:2]), t[2], *(t[3:] or [0.9])) for t in targets),
        scores=scores or {},
        abstained=abstained,
        n_tokens=5,
        truncated=False,
    )
