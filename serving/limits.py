"""Every limit of the HTTP service: enforced by the other files, published by GET /v1/info."""

from dataclasses import asdict, dataclass

from model.labeller import MAX_DOCUMENT_CHARACTERS
from model.records import MAX_CHARACTERS, MAX_TARGETS


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of what waits.

    Attributes:
        body_bytes: Size of a request's body.
        inputs: Sentences of one request.
        documents: Documents of one request; in practice the body's size binds first.
        sentence_characters: Code points of a sentence.
        document_characters: Code points of a document.
        targets: Targets of one sentence.
        id_characters: Code points of an id.
        field_characters: Code points of any other field that is carried through.
        waiting_requests: Requests that wait for the model while it is at work for another.
        waiting_tokens: Tokens of the sentences that wait for the model, estimated as a quarter of their bytes; a
            request counts for a sixteenth of it at most, however much it brings.
        run_tokens: Tokens that the model labels in one go, of one or more requests, estimated likewise.
        held_bytes: Bytes of the large bodies (over 64 kB) that are held at once, of all requests.
        body_seconds: Time to send a body in.
        inference_seconds: Time from a whole request to its answer, waiting included.
    """

    body_bytes: int = 4 * 1024 * 1024
    inputs: int = 256
    documents: int = 32
    sentence_characters: int = MAX_CHARACTERS
    document_characters: int = MAX_DOCUMENT_CHARACTERS
    targets: int = MAX_TARGETS
    id_characters: int = 256
    field_characters: int = 2_000
    waiting_requests: int = 48
    waiting_tokens: int = 16_384
    run_tokens: int = 512
    held_bytes: int = 32 * 1024 * 1024
    body_seconds: float = 10.0
    inference_seconds: float = 30.0

    def to_dict(self) -> dict[str, float]:
        """The limits by name."""
        return asdict(self)


LIMITS = Limits()
