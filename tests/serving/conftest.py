"""The service twice: as a process with the shipped model, and as an ASGI app in this process with a made-up one."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from model.codebook import Codebook
from model.engine import CacheInfo
from model.labeller import Labeller
from model.predictions import Evidence, Mention, Prediction, RecordNames, Scored, TargetLabel
from model.records import Sentence
from model.spans import Span
from model.weights import RELEASE
from serving.benchmarks.servers import free_port
from serving.gateway import Gateway
from serving.keys import Keys
from serving.limits import LIMITS, Limits
from serving.routes import Api
from serving.settings import Settings
from tests.serving.server import start_server, wait_until_ready

PROBLEM = "application/problem+json"
NO_KEYS = Settings(Keys())


class Contract:
    """An OpenAPI document that replies are held against."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._registry: Registry[Any] = Registry().with_resource("urn:docs", Resource(document, DRAFT202012))

    def check(self, response: httpx.Response) -> None:
        """Fail if the document does not foresee this reply."""
        path = response.request.url.path
        method = {"HEAD": "get"}.get(response.request.method, response.request.method.lower())
        operation = self.document["paths"].get(path, {}).get(method)
        if operation is None:
            assert response.status_code == (405 if path in self.document["paths"] else 404)
            name = "MethodNotAllowed" if response.status_code == 405 else "NotFound"
            described = self.document["components"]["responses"][name]
        else:
            described = operation["responses"][str(response.status_code)]
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rsplit("/")[-1]]
        for header, about in described["headers"].items():
            assert re.search(about["schema"].get("pattern", ""), response.headers[header])
        media = response.headers["content-type"].partition(";")[0]
        assert media in described["content"], f"{media} is none of {sorted(described['content'])}"
        if response.is_error:
            assert media == PROBLEM
            assert "Traceback" not in response.text
        if media.endswith("json") and response.request.method != "HEAD":
            self.validate(described["content"][media]["schema"], json.loads(response.content.decode("utf-8")))

    def validate(self, schema: dict[str, Any], instance: Any) -> None:
        """Fail if an instance does not fit a schema of the document."""
        absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:docs#/'))
        Draft202012Validator(absolute, registry=self._registry).validate(instance)


@dataclass
class Service:
    """A running server, its log, and a client whose every reply is held against /docs.json."""

    client: httpx.Client
    log: Path
    log_when_ready: str

    def lines(self) -> list[dict[str, Any]]:
        """The log, line by line."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`newsframe serve` with the shipped model."""
    home = tmp_path_factory.mktemp("service")
    port, log = free_port(), home / "stderr.log"
    server = start_server(port, log, home)
    try:
        wait_until_ready(port, server)
        logged = log.read_text(encoding="utf-8")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            contract = Contract(client.get("/docs.json").json())
            client.event_hooks["response"] = [httpx.Response.read, contract.check]
            yield Service(client, log, logged)
    finally:
        server.terminate()
        server.communicate(timeout=60)


@pytest.fixture(scope="session")
def labeller(service: Service) -> Labeller:
    """The shipped model in this process; the server has built its artifact."""
    return Labeller.load(threads=1)


@dataclass
class StubEngine:
    """Labels the first word of a sentence, with the first label of everything.

    It knows which texts it saw in an earlier run, but labels them anew.

    Attributes:
        before: Called with the sentences of each run.
        threads: Batches that it runs at the same time.
    """

    codebook: Codebook
    before: Callable[[Sequence[Sentence]], object] = field(default=lambda sentences: None)
    threads: int = 1
    _seen: set[str] = field(default_factory=set)
    _hits: int = 0

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """As `model.engine.Engine`."""
        self.before(sentences)
        self._hits += sum(sentence.text in self._seen for sentence in sentences)
        self._seen.update(sentence.text for sentence in sentences)
        return [self._predict(sentence) for sentence in sentences]

    def cache_info(self) -> CacheInfo:
        """As `model.engine.Engine`; misses are not counted."""
        return CacheInfo(self._hits, 0, len(self._seen))

    def _predict(self, sentence: Sentence) -> Prediction:
        mention, target = self.codebook.mention_axis, self.codebook.target_axis
        word = Span(0, len(sentence.text.split()[0]))
        verdict = target.label_names[0]
        sentence_axes = self.codebook.sentence_axes
        return Prediction(
            mentions=(Mention(word, mention.label_names[0], 0.75, Scored(verdict, 0.5)),),
            labels={a.name: (Scored(a.label_names[0], 0.75, (Evidence(word, 1.0),)),) for a in sentence_axes},
            summary=mention.summary_labels[:1],
            targets=tuple(TargetLabel(name, span, verdict, 0.5) for name, span in sentence.targets),
            scores={a.name: dict.fromkeys(a.label_names, 0.5) for a in (*sentence_axes, target)}
            | {mention.summary: dict.fromkeys(mention.summary_labels, 0.5)},
            abstained=(target.name,),
            n_tokens=3,
            truncated=False,
            names=RecordNames(mention.name, mention.summary, target.name),
        )


@dataclass
class Local:
    """The service as an app in this process."""

    api: Api
    app: Gateway
    engine: StubEngine
    contract: Contract

    def client(self) -> httpx.AsyncClient:
        """A client whose every reply is held against /docs.json."""

        async def check(response: httpx.Response) -> None:
            await response.aread()
            self.contract.check(response)

        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://local", event_hooks={"response": [check]})


@pytest.fixture
def stub_labeller(tiny_codebook: Codebook) -> Labeller:
    """A real labeller under the cookery codebook, over a made-up engine."""
    labeller = Labeller.__new__(Labeller)
    book = {"name": tiny_codebook.name, "version": tiny_codebook.version, "sha256": tiny_codebook.sha256}
    info = {"name": "stub", "version": "0", "sha256": "0" * 64, "codebook": book}
    labeller.artifact = SimpleNamespace(codebook=tiny_codebook, model_info=info, manifest={"max_tokens": 256})
    labeller.engine = StubEngine(tiny_codebook)
    return labeller


@pytest.fixture
def local(stub_labeller: Labeller) -> Callable[..., Local]:
    """Make an app with a loaded stub and, where a test says so, other limits."""

    def make(limits: Limits = LIMITS, load: bool = True, settings: Settings = NO_KEYS) -> Local:
        api = Api(limits)
        app = Gateway(api.app, api.paths, api.lifecycle, api.metrics, settings)
        document: dict[str, Any] = {}
        if load:
            api.load(stub_labeller, settings.keys.required)
            document = json.loads(api.static["/docs.json"])
        return Local(api, app, stub_labeller.engine, Contract(document))

    return make


@pytest.fixture(scope="session")
def tiny_options(tiny_release, tiny_encoder) -> tuple[str, ...]:
    """Options of the tiny model."""
    return ("--model", str(tiny_release), "--encoder", str(tiny_encoder))


@pytest.fixture(scope="session")
def model_options(request) -> tuple[str, ...]:
    """Options of the shipped model, or of the tiny one while there is none."""
    return () if RELEASE.is_dir() else request.getfixturevalue("tiny_options")
