"""JSON Schemas of what the service answers, made from the codebook of the loaded model."""

from collections.abc import Iterable, Mapping
from typing import Any

from model.codebook import KINDS, Axis, Codebook
from model.predictions import ABSTAINED, ERROR, OK

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
OFFSET: Schema = {"type": "integer", "minimum": 0, "description": "In Unicode code points of the text as it was given."}
SCORE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NULLABLE: Schema = {"type": ["string", "null"]}
CARRIED = ("title", "outlet", "url", "published_at", "language")


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **more: Any) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    } | more


def array(items: Schema, **more: Any) -> Schema:
    """An array."""
    return {"type": "array", "items": items} | more


def one_of(names: Iterable[str]) -> Schema:
    """One of the names of the codebook."""
    return {"type": "string", "enum": list(names)}


def result_schemas(codebook: Codebook) -> dict[str, Schema]:
    """Every component that replies are made of, by name."""
    return {
        "Model": _model(),
        "Codebook": _codebook(),
        "Span": record({"text": STRING, "start": OFFSET, "end": OFFSET}),
        "Evidence": record({"text": STRING, "start": OFFSET, "end": OFFSET, "weight": SCORE}),
        "LabelledSentence": _sentence(codebook),
        "LabelledDocument": _document(codebook),
        "FailedItem": record(
            {"id": STRING, "status": {"const": ERROR}, "error": STRING},
            description="Stands in the place of an item that could not be labelled; the others were.",
        ),
        "ClassifyReply": record({"model": ref("Model"), "results": array(_or_failed("LabelledSentence"))}),
        "DocumentsReply": record({"model": ref("Model"), "results": array(_or_failed("LabelledDocument"))}),
    }


def _or_failed(name: str) -> Schema:
    return {"oneOf": [ref(name), ref("FailedItem")]}


def _scores(labels: Iterable[str]) -> Schema:
    return record(dict.fromkeys(labels, SCORE))


def _sentence(codebook: Codebook) -> Schema:
    mention, target = codebook.mention_axis, codebook.target_axis
    fields: dict[str, Schema] = {
        "id": STRING,
        "status": {"enum": [OK, ABSTAINED]},
        "start": OFFSET,
        "end": OFFSET,
        "language": NULLABLE,
        "n_tokens": COUNT,
        "truncated": {"type": "boolean", "description": "Whether the model saw only the beginning."},
    }
    scores: dict[str, Schema] = {axis.name: _scores(axis.label_names) for axis in codebook.sentence_axes}
    some_scores: dict[str, Schema] = {}
    if mention and mention.summary:
        fields[mention.summary] = array(one_of(mention.summary_labels))
        scores[mention.summary] = _scores(mention.summary_labels)
    if mention:
        span: dict[str, Schema] = {"text": STRING, "start": OFFSET, "end": OFFSET}
        item = span | {"label": one_of(mention.label_names), "score": SCORE}
        if target:
            item[target.name] = record({"label": one_of(target.label_names), "score": SCORE})
        fields[mention.name] = array(record(item), description=mention.question)
    for axis in codebook.sentence_axes:
        fields[axis.name] = array(_held(axis), description=axis.question)
    if target:
        asked = {"target": STRING, "start": OFFSET, "end": OFFSET, "label": one_of(target.label_names), "score": SCORE}
        fields["targets"] = array(record(asked), description=target.question)
        some_scores[target.name] = _scores(target.label_names)  # only where there is anybody to have a label
    fields["scores"] = record(scores, some_scores, description="The calibrated probability of every label.")
    fields["abstained"] = array(
        one_of(axis.name for axis in codebook.axes), description='The axes on which the model is "not sure".'
    )
    return record(fields)


def _held(axis: Axis) -> Schema:
    return record({"label": one_of(axis.label_names), "score": SCORE, "evidence": array(ref("Evidence"))})


def _document(codebook: Codebook) -> Schema:
    carried = dict.fromkeys(CARRIED, STRING) | {
        "text": {"type": "string", "description": "The words of the page, where HTML was given: offsets count in it."}
    }
    return record(
        {
            "id": STRING,
            "status": {"const": OK},
            "sentences": array(_or_failed("LabelledSentence")),
            "summary": _summary(codebook),
        },
        carried,
    )


def _summary(codebook: Codebook) -> Schema:
    """See `model.labeller.summarise`."""
    fields: dict[str, Schema] = {"sentences": COUNT, "errors": COUNT}
    rate = record({"count": COUNT, "rate": SCORE})
    if mention := codebook.mention_axis:
        fields[mention.name] = record(dict.fromkeys(mention.label_names, COUNT))
        if mention.summary:
            fields[mention.summary] = record(dict.fromkeys(mention.summary_labels, rate))
        if target := codebook.target_axis:
            fields[target.name] = record(dict.fromkeys(target.label_names, COUNT))
    for axis in codebook.sentence_axes:
        fields[axis.name] = record(dict.fromkeys(axis.label_names, rate))
    fields["abstained"] = record({axis.name: COUNT for axis in codebook.axes})
    return record(fields)


def _model() -> Schema:
    codebook = record({"name": STRING, "version": STRING, "sha256": HASH})
    return record(
        {"name": STRING, "version": STRING, "sha256": HASH, "codebook": codebook},
        description="The model that made the reply: the same content hash gives the same labels.",
    )


def _codebook() -> Schema:
    label = record({"name": STRING, "definition": STRING, "examples": array(STRING)})
    hard_case = record({"text": STRING, "label": NULLABLE, "why": STRING})
    axis = record(
        {
            "name": STRING,
            "kind": one_of(KINDS),
            "question": STRING,
            "definition": STRING,
            "plain": NULLABLE,
            "exclusive": {"type": "boolean"},
            "summary": NULLABLE,
            "labels": array(label),
            "rules": array(STRING),
            "hard_cases": array(hard_case),
        }
    )
    return record({"name": STRING, "version": STRING, "language": STRING, "sha256": HASH, "axes": array(axis)})
