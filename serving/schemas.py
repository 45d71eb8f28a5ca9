"""The shapes of requests, and what is said of a body that has another.

Only the shape is checked here. What a right shape holds (an empty text, a target that does not occur) is for the
labeller to judge, item by item, so that one bad item costs the others nothing.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from model.errors import SHOWN
from serving.body import INTEGER_DIGITS
from serving.limits import LIMITS
from serving.problems import Problem, shown

# The tags of the unions below; they stand in pydantic's locations and not in the body.
_STRING, _OBJECT = "<string>", "<object>"
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def _string(value: object) -> str:
    """Take any string: pydantic's own refuses lone surrogates, and those are for the labeller to report."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "a string")
    return value


def _tag(value: object) -> str | None:
    return _STRING if isinstance(value, str) else _OBJECT if isinstance(value, dict) else None


_EITHER = Discriminator(_tag, custom_error_type="either", custom_error_message="a string or an object")
Text = Annotated[str, PlainValidator(_string, json_schema_input_type=str)]
Identifier = Annotated[str, Field(min_length=1, max_length=LIMITS.id_characters)]
Carried = Annotated[str, Field(max_length=LIMITS.field_characters)]
# Stated, not checked: a number with more digits is no JSON to us, and what lies outside the text is for the labeller.
_LARGEST = 10**INTEGER_DIGITS - 1
Offset = Annotated[
    int,
    Field(description="Without a decimal point.", json_schema_extra={"minimum": -_LARGEST, "maximum": _LARGEST}),
]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class TargetSpan(_Shape):
    """A target by its half-open code-point offsets into the text."""

    start: Offset
    end: Offset


Target = Annotated[Annotated[Text, Tag(_STRING)] | Annotated[TargetSpan, Tag(_OBJECT)], _EITHER]


class SentenceInput(_Shape):
    """A sentence to label. A field that is null counts as left out."""

    id: Identifier | None = None
    text: Text
    targets: Annotated[list[Target], Field(max_length=LIMITS.targets)] | None = None


Input = Annotated[Annotated[Text, Tag(_STRING)] | Annotated[SentenceInput, Tag(_OBJECT)], _EITHER]


class ClassifyRequest(_Shape):
    """Sentences to label, in any number up to the limit."""

    inputs: Annotated[list[Input], Field(min_length=1, max_length=LIMITS.inputs)]


_ONE_CONTENT: dict[str, Any] = {"oneOf": [{"required": ["text"]}, {"required": ["html"]}]}


class DocumentInput(_Shape):
    """A document to split and label: its `text` or its `html`. A field that is null counts as left out."""

    model_config = ConfigDict(json_schema_extra=_ONE_CONTENT)

    id: Identifier | None = None
    text: Text = ""
    html: Text = ""
    title: Carried | None = None
    outlet: Carried | None = None
    url: Carried | None = None
    published_at: Carried | None = None
    language: Carried | None = None

    @model_validator(mode="after")
    def _one_content(self) -> "DocumentInput":
        if len(self.model_fields_set & {"text", "html"}) != 1:
            raise PydanticCustomError("content", "one of the fields 'text' and 'html'")
        return self


class DocumentsRequest(_Shape):
    """Documents to split and label, in any number up to the limit."""

    documents: Annotated[list[DocumentInput], Field(min_length=1, max_length=LIMITS.documents)]


_CLASSIFY, _DOCUMENTS = TypeAdapter(ClassifyRequest), TypeAdapter(DocumentsRequest)


def classify_inputs(body: object) -> list[str | dict[str, Any]]:
    """Check the body of a request to label sentences.

    Returns:
        Its inputs, as they came but for fields that are null.

    Raises:
        Problem: 422, with each wrong place by its JSON pointer.
    """
    data = _checked(_CLASSIFY, body)
    return [item if isinstance(item, str) else _without_nulls(item) for item in data["inputs"]]


def document_inputs(body: object) -> list[dict[str, Any]]:
    """Check the body of a request to label documents; see `classify_inputs`."""
    return [_without_nulls(item) for item in _checked(_DOCUMENTS, body)["documents"]]


def _without_nulls(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def _checked(shape: TypeAdapter[Any], body: Any) -> Any:
    """Return the body itself: strict shapes convert nothing, so a model of it would only be a copy."""
    try:
        shape.validate_python(body)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        count = f" ({SHOWN} of {len(problems)} are shown)" if len(problems) > SHOWN else ""
        raise Problem(
            422,
            f"expected the fields of /docs.json, but found {len(problems)} wrong{count}. Correct them.",
            [_told(problem) for problem in problems[:SHOWN]],
        ) from None
    return body


def _told(error: ErrorDetails) -> dict[str, str]:
    """One problem as the reply shows it: where, and what was expected; never the value that was found."""
    context = error.get("ctx", {})
    found = _KINDS.get(type(error["input"]), "a number")
    say: Mapping[str, Callable[[], str]] = {
        "missing": lambda: "expected this field, but found none.",
        "extra_forbidden": lambda: "expected no such field. Remove or rename it.",
        "string_type": lambda: f"expected a string, but found {found}.",
        "string_unicode": lambda: "expected Unicode text, but found a lone surrogate.",
        "string_too_long": lambda: f"expected at most {context['max_length']} characters, but found more.",
        "string_too_short": lambda: "expected a string that is not empty, but found an empty one.",
        "list_type": lambda: f"expected an array, but found {found}.",
        "too_long": lambda: f"expected at most {context['max_length']} items, but found {context['actual_length']}.",
        "too_short": lambda: "expected at least one item, but found none.",
        "int_type": lambda: f"expected an integer, but found {found}.",
        "model_type": lambda: f"expected an object, but found {found}.",
        "either": lambda: f"expected a string or an object, but found {found}.",
        "content": lambda: "expected one of the fields 'text' and 'html', but found both or neither.",
    }
    known = say.get(error["type"], lambda: "expected another value.")
    return {"pointer": _pointer(error["loc"]), "detail": known()}


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901) of a location; the empty pointer is the whole body."""
    parts = [shown(part) if isinstance(part, str) else str(part) for part in location if part not in (_STRING, _OBJECT)]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
