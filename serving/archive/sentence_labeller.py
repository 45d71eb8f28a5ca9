"""The model as a function over columns of sentences, as `datasets.map(batched=True)` and notebooks want it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.errors import RecordError
from model.predictions import ERROR
from model.records import check_text, read_sentence
from serving.archive.columns import label_columns, statuses
from serving.archive.packed import Layout, blank, concatenate, pack
from serving.archive.repeats import key_of

if TYPE_CHECKING:
    import pyarrow as pa

    from model.labeller import Labeller


class SentenceLabeller:
    """Labels columns of sentences; may be pickled, and loads the model when it is first called.

        labelled = dataset.map(SentenceLabeller(), batched=True)

    A column of labels whose first thousand lists are empty has no type that `datasets` could guess: pass
    `features=labeller.features(dataset.features)` as well.
    """

    def __init__(
        self,
        column: str = "text",
        targets: str | None = None,
        model: str | Path | None = None,
        encoder: str | Path | None = None,
        threads: int = 1,
    ) -> None:
        """Say what to read; nothing is loaded here.

        Args:
            column: The column that holds the sentences.
            targets: The column that holds each sentence's targets, a list of strings; None if there is none.
            model: An artifact or trained weights, instead of the shipped model.
            encoder: Folder of the base encoder, where its package is not installed.
            threads: Threads of a run; one, as `map(num_proc=…)` gives each core a process of its own.
        """
        self.column = column
        self.targets = targets
        self.model = model
        self.encoder = encoder
        self.threads = threads

    def __getstate__(self) -> dict[str, Any]:
        """All but what is loaded: a process that gets a copy loads its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_labeller", "_layout")}

    @cached_property
    def _labeller(self) -> "Labeller":
        from model.artifact import find_artifact
        from model.labeller import Labeller

        model, encoder = (Path(path) if path else None for path in (self.model, self.encoder))
        return Labeller.load(find_artifact(model, encoder), self.threads)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self._labeller.codebook)

    @property
    def schema(self) -> "pa.Schema":
        """Names and types of the columns that it gives."""
        import pyarrow as pa

        from serving.archive.tables import sentence_schema

        given = sentence_schema(self._labeller.codebook, self._labeller.model_info)
        made = [name for name in given.names if name in self._columns(["x"], [()], [None])]
        return pa.schema([given.field(name).with_nullable(True) for name in made])

    def features(self, given: Mapping[str, Any]) -> Any:
        """Features of a data set with its own columns and those that are added, for `datasets.map(features=…)`."""
        from datasets import Features

        return Features({**given, **Features.from_arrow_schema(self.schema)})

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Label a batch.

        Args:
            batch: Columns of equal length (sentences,); those but the two that are named count for nothing.

        Returns:
            Columns of the same length, to be added: `status`, `error` and what the model gives, as at the head of
            `serving/archive/tables.py`. Spans are half-open code-point offsets into the sentence. A sentence that
            cannot be labelled (no text, an empty or too long one, a target that does not occur) has the status
            `error`, the reason in `error`, and None in the columns of the model.

        Raises:
            RecordError: A column is not there.
            ArtifactError, WeightsError, EncoderError: The model is missing or altered.
        """
        for name in filter(None, (self.column, self.targets)):
            if name not in batch:
                raise RecordError(f"batch: expected a column {name!r}, but found {sorted(batch)}. Name the right one.")
        texts: list[str] = []
        targets: list[tuple[Any, ...]] = []
        problems: list[str | None] = []
        asked = batch[self.targets] if self.targets else [None] * len(batch[self.column])
        for n, (text, names) in enumerate(zip(batch[self.column], asked, strict=True)):
            try:
                known = {"text": check_text(text, f"{self.column}[{n}]")}
                given = known if names is None else {**known, "targets": list(names)}
                sentence = read_sentence(given, f"{self.targets}[{n}]", default_id=str(n))
                texts.append(sentence.text)
                targets.append(sentence.targets)
                problems.append(None)
            except RecordError as error:
                texts.append("")
                targets.append(())
                problems.append(str(error))
        return {name: values.to_pylist() for name, values in self._columns(texts, targets, problems).items()}

    def _columns(
        self, texts: list[str], targets: list[tuple[Any, ...]], problems: list[str | None]
    ) -> dict[str, "pa.Array"]:
        import pyarrow as pa

        from model.records import Sentence

        places: dict[bytes, int] = {}
        sentences: list[Sentence] = []
        source = np.full(len(texts), -1, dtype=np.int64)
        for n, (text, names, problem) in enumerate(zip(texts, targets, problems, strict=True)):
            if problem is None:
                key = key_of(text, [(name, span.start, span.end) for name, span in names])
                if key not in places:
                    places[key] = len(sentences)
                    sentences.append(Sentence("", text, names))
                source[n] = places[key]
        layout = self._layout
        packed = concatenate([pack(self._labeller.engine(sentences), layout), blank(layout)], layout)
        packed = packed.take(np.where(source < 0, len(sentences), source))
        labelled = source >= 0
        names_of = [[name for name, _ in names] for names in targets]
        return {
            "status": pa.array(statuses(packed, labelled, [ERROR] * len(texts)), pa.string()),
            "error": pa.array(problems, pa.string()),
            **label_columns(packed, layout, texts, np.zeros(len(texts), np.int64), labelled, names_of),
        }
