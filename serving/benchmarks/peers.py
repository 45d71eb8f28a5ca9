"""What the service is measured against, each as a process of its own.

python -m bentoml serve serving.benchmarks.peers:Plain        one call a request, as in BentoML's own examples
python -m bentoml serve serving.benchmarks.peers:Batchable    BentoML joins requests into batches
python -m serving.benchmarks.peers starlette PORT             the engine behind a route, and nothing more
python -m serving.benchmarks.peers nothing PORT               answers at once: what the load generator can do
python -m serving.benchmarks.peers engine SECONDS             no HTTP at all: seconds of single sentences
"""

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import bentoml

from model.labeller import Labeller
from serving.benchmarks.sentences import read_sentences

MODEL = "NEWSFRAME_PEER_MODEL"  # the artifact of the two BentoML services; without it, that of the service


def load() -> Labeller:
    """Load the model of the BentoML services, on all cores."""
    folder = os.environ.get(MODEL)
    labeller = Labeller.load(Path(folder) if folder else None)
    labeller.label_records(["Warm up."] * 8)
    return labeller


@bentoml.service(name="plain", workers=1)
class Plain:
    """The model behind an API of BentoML."""

    def __init__(self) -> None:
        self.labeller = load()

    @bentoml.api  # type: ignore[untyped-decorator]
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Label sentences."""
        return self.labeller.label_records(texts)


@bentoml.service(name="batchable", workers=1)
class Batchable:
    """The same, with BentoML's batching."""

    def __init__(self) -> None:
        self.labeller = load()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=10_000)  # type: ignore[untyped-decorator]
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Label sentences of several requests."""
        return self.labeller.label_records(texts)


def _serve_starlette(port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    labeller = Labeller.load()
    labeller.label_records(["Warm up."] * 8)

    async def classify(request: Request) -> Response:
        inputs = (await request.json())["inputs"]
        results = await run_in_threadpool(labeller.label_records, inputs)
        return JSONResponse({"model": labeller.model_info, "results": results})

    async def ready(_: Request) -> Response:
        return Response()

    routes = [Route("/v1/classify", classify, methods=["POST"]), Route("/readyz", ready)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning", access_log=False)


def _serve_nothing(port: int) -> None:
    body = json.dumps({"results": ["x" * 700]}).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                writer.write(reply)
        except (EOFError, ConnectionError):
            writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
            await server.serve_forever()

    asyncio.run(serve())


def _time_engine(seconds: float) -> None:
    labeller, texts = Labeller.load(), read_sentences()
    labeller.label_records(texts)
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        labeller.label_records([f"{texts[len(taken) % len(texts)]} ({len(taken)})"])
        taken.append(time.perf_counter() - start)
    print(statistics.median(taken))


if __name__ == "__main__":
    what, value = sys.argv[1:]
    if what == "engine":
        _time_engine(float(value))
    else:
        {"starlette": _serve_starlette, "nothing": _serve_nothing}[what](int(value))
