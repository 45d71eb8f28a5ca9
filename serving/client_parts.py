"""A list of any length as requests within the service's limits, and their answers as one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from serving.client_errors import TookTooLong, TooLarge, UnexpectedReply, WrongFields, WrongPlace
from serving.client_exchange import Exchange, Steps
from serving.client_types import Info, Model


@dataclass(frozen=True)
class Operation:
    """An operation of the service that takes a list.

    Attributes:
        field: What the list is called in the body, in the limits and in messages.
    """

    path: str
    field: str


CLASSIFY, DOCUMENTS = Operation("/v1/classify", "inputs"), Operation("/v1/documents", "documents")
# Of an item that is an object, and so has an id of its own for the service to tell it by.
Record = Mapping[str, Any]


# The record of an item, and the model that made it; None where the item could not be sent.
Row: TypeAlias = tuple[dict[str, Any], Model | None]
Answer: TypeAlias = list[Row]  # of items that follow each other


@dataclass(frozen=True)
class Part:
    """Items in a row that go in one request.

    Attributes:
        first: The number of its first item in the whole list.
        items: Each item in JSON.
        ids: The id of each.
        allowed: Bytes that the service takes in one body.
    """

    operation: Operation
    first: int
    items: tuple[bytes, ...]
    ids: tuple[str, ...]
    allowed: int

    @property
    def body(self) -> bytes:
        """The body of the request."""
        return _head(self.operation) + b",".join(self.items) + _TAIL

    def ask(self, exchange: Exchange) -> Steps[Answer]:
        """Ask for the labels of the items.

        What is too much for one request is asked in halves; an item that is too much alone gets an error in its place.

        Raises:
            Refused, NoAnswer, UnexpectedReply: See `serving.client_errors`.
        """
        body = self.body
        if len(body) > self.allowed and len(self.items) == 1:  # else the service would cut the connection half-way
            found = f"expected at most {self.allowed} bytes a request, but found {len(body)}. Split it."
            return self._failed(found)
        try:
            reply = yield from exchange("POST", self.operation.path, body)
        except (TooLarge, TookTooLong) as error:
            if len(self.items) == 1:
                return self._failed(error.detail)
        except WrongFields as error:
            raise self._renumbered(error) from None
        else:
            return self._read(reply)
        middle = len(self.items) // 2
        left = yield from self._cut(0, middle).ask(exchange)
        right = yield from self._cut(middle, len(self.items)).ask(exchange)
        return left + right

    def _cut(self, start: int, end: int) -> "Part":
        return replace(self, first=self.first + start, items=self.items[start:end], ids=self.ids[start:end])

    def _failed(self, detail: str) -> Answer:
        message = f"{self.operation.field}[{self.first}]: {detail}"
        return [({"id": self.ids[0], "status": "error", "error": message}, None)]

    def _renumbered(self, error: WrongFields) -> WrongFields:
        """The same refusal, its pointers into the whole list."""
        head = f"/{self.operation.field}/"
        places = []
        for place in error.errors:
            number, slash, rest = place.pointer.removeprefix(head).partition("/")
            known = place.pointer.startswith(head) and number.isdecimal()
            pointer = f"{head}{int(number) + self.first}{slash}{rest}" if known else place.pointer
            places.append(WrongPlace(pointer, place.detail))
        return WrongFields(error.status, error.title, error.detail, places, error.retry_after)

    def _read(self, reply: Mapping[str, Any]) -> Answer:
        model, records = reply.get("model"), reply.get("results")
        fits = isinstance(model, dict) and isinstance(records, list) and len(records) == len(self.items)
        if not fits or not all(isinstance(r, dict) and {"id", "status"} <= r.keys() for r in records or ()):
            raise UnexpectedReply(
                f"{self.operation.path}: expected a model and {len(self.items)} results, but found another reply. "
                "Use a client and a service of one version."
            )
        return [(self._placed(n, record), cast(Model, model)) for n, record in enumerate(cast("list[Any]", records))]

    def _placed(self, n: int, record: dict[str, Any]) -> dict[str, Any]:
        """A record whose error names the item by its number in the whole list."""
        head, error = f"{self.operation.field}[{n}]", record.get("error")
        if not isinstance(error, str) or not error.startswith(head):
            return record
        return record | {"error": f"{self.operation.field}[{self.first + n}]{error.removeprefix(head)}"}


_TAIL = b"]}"


def _head(operation: Operation) -> bytes:
    return f'{{"{operation.field}":['.encode()


class Packer:
    """Puts items into parts, each as full as the limits let it be; holds one part at a time.

    An item without an id gets its number in the whole list for one, as it would in a single request.
    """

    def __init__(self, operation: Operation, info: Info, most: int | None = None) -> None:
        """Start at item 0.

        Args:
            info: What the service publishes.
            most: Items of a part, where fewer are wanted than the service takes.
        """
        self._operation = operation
        try:
            count, self._bytes = int(info["limits"][operation.field]), int(info["limits"]["body_bytes"])
        except (KeyError, TypeError, ValueError):
            raise UnexpectedReply(
                f"/v1/info: expected the limits {operation.field} and body_bytes, but found others. "
                "Use a client and a service of one version."
            ) from None
        self._most = max(min(count, most or count), 1)
        self._first = 0
        self._items: list[bytes] = []
        self._ids: list[str] = []
        self._size = 0

    def add(self, item: str | Record) -> Part | None:
        """Take an item; return the part that is full with what came before it, if one is."""
        number = self._first + len(self._items)
        record = {"text": item} if isinstance(item, str) else item
        if isinstance(record, Mapping) and record.get("id") is None:
            record = {**record, "id": str(number)}
        data = _encode(record)
        size = len(data) + 1  # and a comma
        room = self._bytes - len(_head(self._operation)) - len(_TAIL)
        full = None
        if self._items and (len(self._items) == self._most or self._size + size > room):
            full = self.flush()
        self._items.append(data)
        self._ids.append(str(record["id"]) if isinstance(record, Mapping) else str(number))
        self._size += size
        return full

    def flush(self) -> Part | None:
        """Return the part that is begun, if one is."""
        if not self._items:
            return None
        part = Part(self._operation, self._first, tuple(self._items), tuple(self._ids), self._bytes)
        self._first += len(self._items)
        self._items, self._ids, self._size = [], [], 0
        return part


def _encode(record: object) -> bytes:
    """Write an item in JSON. A lone surrogate, which UTF-8 has no bytes for, is escaped: the service reports it."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii")
