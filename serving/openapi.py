"""The OpenAPI 3.1 document, GET /docs.json: every status and schema that occurs, from the codebook that is loaded.

Its example replies are what the loaded model answered to its example requests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from model.codebook import Codebook
from model.labeller import Labeller
from serving.gateway import OPEN, REQUEST_ID
from serving.limits import LIMITS
from serving.problems import MEDIA_TYPE, Problem, no_such_preflight, no_valid_key, not_ready, too_many_requests
from serving.result_schemas import COUNT, STRING, Schema, array, record, ref, result_schemas
from serving.schemas import ClassifyRequest, DocumentsRequest

_SENTENCE = "The two ministers met in Geneva on Monday."
CLASSIFY_EXAMPLE: dict[str, Any] = {
    "inputs": [
        _SENTENCE,
        {"id": "a1:2", "text": "Officials from both sides declined to comment.", "targets": ["Officials"]},
    ]
}
DOCUMENTS_EXAMPLE: dict[str, Any] = {
    "documents": [{"id": "a1", "outlet": "Example Times", "text": f"{_SENTENCE} They did not speak to the press."}]
}

_PROBLEMS = {
    "BadRequest": Problem(
        400, "expected a body of JSON, but found an error at character 11 (Expecting value). Correct the body."
    ),
    "Unauthorized": no_valid_key(given=False),
    "RequestTimeout": Problem(408, "expected the body within 10 seconds, but found it unfinished. Send it faster."),
    "ContentTooLarge": Problem(
        413, "expected a body of at most 4194304 bytes, but found more. Send fewer items a request."
    ),
    "UnsupportedMediaType": Problem(
        415, "expected the media type application/json in UTF-8, but found another. Set Content-Type."
    ),
    "UnprocessableContent": Problem(
        422,
        "expected the fields of /docs.json, but found 1 wrong. Correct them.",
        [{"pointer": "/inputs/3/text", "detail": "expected a string, but found a number."}],
    ),
    "TooManyRequests": too_many_requests(),
    "InternalServerError": Problem(500),
    "ServiceUnavailable": not_ready(),
    "GatewayTimeout": Problem(
        504, "expected an answer within 30 seconds, but found none. Send fewer or shorter items."
    ),
    # Of no operation, but of paths and methods that there are none of.
    "NotFound": Problem(404),
    "MethodNotAllowed": Problem(405, headers={"Allow": "POST"}),
    "PreflightRefused": no_such_preflight(),
}
_OF_A_POST = ("BadRequest", "RequestTimeout", "ContentTooLarge", "UnsupportedMediaType", "UnprocessableContent",
              "TooManyRequests", "InternalServerError", "ServiceUnavailable", "GatewayTimeout")  # fmt: skip
_OF_A_GET = ("InternalServerError", "ServiceUnavailable")
_HEADERS: dict[str, Any] = {
    REQUEST_ID: {
        "description": f"The {REQUEST_ID} of the request, if it is 1 to 128 letters, digits or ._-; else a new one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "required": True,
    },
    "Allow": {"description": "The methods of the path.", "schema": STRING, "required": True},
    "WWW-Authenticate": {
        "description": "How to name a key.",
        "schema": {"type": "string", "pattern": "^Bearer "},
        "required": True,
    },
}
_REQUEST_ID_PARAMETER = {
    "name": REQUEST_ID,
    "in": "header",
    "description": "A name for this request, given back in its reply and written to the log.",
    "schema": STRING,
    "example": "newsroom-17.3",
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key from whoever runs the service, where one is needed.",
}
_DESCRIPTION = """\
Labels sentences of news by how they frame a conflict. Results come in the order of the inputs; an item that cannot be
labelled gets `status: "error"` in its place and costs the others nothing. Offsets are half-open, in code points.

Every reply that is no success is a problem (RFC 9457). Where GET works, HEAD does. A path that is not here is a 404;
another method for one that is here is a 405 with `Allow`. A 429 or a 503 says in `Retry-After` when to try again.

Where whoever runs the service names origins, scripts of their pages may ask: replies carry `Access-Control-…` headers,
and OPTIONS answers a browser's preflight with 200, or with 400 if it is refused."""


def openapi_document(labeller: Labeller, version: str, needs_key: bool) -> dict[str, Any]:
    """Describe the service.

    Args:
        labeller: Labels the examples, and gives the codebook.
        version: Of this program.
        needs_key: Whether requests need an API key.
    """
    codebook = labeller.codebook
    classified = {"model": labeller.model_info, "results": labeller.label_records(CLASSIFY_EXAMPLE["inputs"])}
    split = {"model": labeller.model_info, "results": labeller.label_documents(DOCUMENTS_EXAMPLE["documents"])}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Newsframe", "version": version, "description": _DESCRIPTION, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/classify": {
                "post": _post("classify", "Label sentences", "Classify", CLASSIFY_EXAMPLE, classified),
            },
            "/v1/documents": {
                "post": _post(
                    "documents", "Split documents and label their sentences", "Documents", DOCUMENTS_EXAMPLE, split
                ),
            },
            "/v1/info": {"get": _get("info", "The model, the limits, the versions", _json_content(ref("Info")))},
            "/v1/codebook": {"get": _get("codebook", "The codebook", _json_content(ref("Codebook")))},
            "/docs.json": {"get": _get("openapi", "This document", _json_content({"type": "object"}))},
            "/": {"get": _get("index", "A page for people", {"text/html": {"schema": STRING}}, _ALWAYS)},
            "/livez": {"get": _get("livez", "Whether the process lives", _TEXT, _ALWAYS)},
            "/readyz": {"get": _get("readyz", "Whether requests are accepted", _TEXT)},
            "/metrics": {"get": _get("metrics", "Metrics for Prometheus", _TEXT, _ALWAYS)},
        },
        "components": {"schemas": _schemas(codebook), "responses": {k: _response(p) for k, p in _PROBLEMS.items()}},
    }
    if needs_key:
        document["components"]["securitySchemes"] = {"bearer": _BEARER}
        for operation in (o for path, about in document["paths"].items() if path not in OPEN for o in about.values()):
            operation["security"] = [{"bearer": []}]
            operation["responses"] |= _refused(["Unauthorized"])
    return document


_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_ALWAYS = ("InternalServerError",)
_TEXT: Mapping[str, Any] = {"text/plain": {"schema": STRING}}


def _post(name: str, summary: str, shape: str, request: object, reply: object) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [_REQUEST_ID_PARAMETER],
        "requestBody": {"required": True, "content": _json_content(ref(f"{shape}Request"), request)},
        "responses": _responses(_json_content(ref(f"{shape}Reply"), reply), _OF_A_POST),
    }


def _get(name: str, summary: str, content: Mapping[str, Any], refusals: Sequence[str] = _OF_A_GET) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [_REQUEST_ID_PARAMETER],
        "responses": _responses(content, refusals),
    }


def _json_content(schema: Schema, example: object = None) -> dict[str, Any]:
    return {"application/json": {"schema": schema} | ({} if example is None else {"example": example})}


def _responses(content: Mapping[str, Any], refusals: Sequence[str]) -> dict[str, Any]:
    return {"200": {"description": "As asked.", "headers": _headers(), "content": content}} | _refused(refusals)


def _refused(names: Sequence[str]) -> dict[str, Any]:
    return {str(_PROBLEMS[name].status): {"$ref": f"#/components/responses/{name}"} for name in names}


def _headers(*more: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in (REQUEST_ID, *more) if name in _HEADERS}


def _response(problem: Problem) -> dict[str, Any]:
    body = problem.to_dict()
    return {
        "description": body["title"],
        "headers": _headers(*problem.headers),
        "content": {MEDIA_TYPE: {"schema": ref("Problem"), "example": body}},
    }


def _schemas(codebook: Codebook) -> dict[str, Schema]:
    _, requests = models_json_schema(
        [(ClassifyRequest, "validation"), (DocumentsRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Schema] = {name: _plain(schema) for name, schema in requests["$defs"].items()}
    schemas |= result_schemas(codebook)
    part = record({"pointer": {"type": "string", "format": "json-pointer"}, "detail": STRING})
    schemas["Problem"] = record(
        {"type": {"type": "string", "format": "uri-reference"}, "title": STRING, "status": COUNT, "detail": STRING},
        {"errors": array(part, description="For 422, the wrong places of the body.")},
    )
    schemas["Info"] = record(
        {
            "model": ref("Model"),
            "codebook": schemas["Model"]["properties"]["codebook"],
            "limits": record({name: {"type": "number"} for name in LIMITS.to_dict()}),
            "versions": {"type": "object", "additionalProperties": STRING},
        }
    )
    return schemas


def _plain(schema: Any) -> Any:
    """Drop the titles that pydantic makes of names, and defaults that say no more than that a field is optional."""
    if isinstance(schema, dict):
        dropped = {"title", "default"} if "type" in schema or "anyOf" in schema or "oneOf" in schema else set()
        return {key: _plain(value) for key, value in schema.items() if key not in dropped}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema
