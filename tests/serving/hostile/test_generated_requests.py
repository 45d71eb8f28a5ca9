"""Requests generated from the service's own OpenAPI document, right ones and wrong ones: the replies are all in it."""

from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from tests.serving.conftest import PROBLEM
from tests.serving.hostile.conftest import Victim

EXAMPLES = {"POST": 320, "GET": 60}  # right ones, and as many wrong ones, of each operation
LEAST = 2_000  # requests in all
OPERATIONS = ("/v1/classify", "/v1/documents", "/v1/info", "/v1/codebook", "/docs.json", "/", "/livez", "/readyz",
              "/metrics")  # fmt: skip
CONFIG = {
    "checks": {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx"]},
        "negative_data_rejection": {"expected-statuses": ["400", "401", "405", "413", "415", "422"]},
        "positive_data_acceptance": {"expected-statuses": ["200"]},
    }
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def document(victim: Victim) -> Any:
    """The service's document, as schemathesis reads it."""
    schema = schemathesis.openapi.from_dict(victim.contract.document, config=SchemathesisConfig.from_dict(CONFIG))
    schema.config.update(base_url=victim.url)
    return schema


@pytest.fixture(scope="module")
def seen(victim: Victim) -> Any:
    """How many replies had which status; enough of them, and the server is well at the end."""
    before, statuses = victim.memory(), Counter[int]()
    yield statuses
    assert statuses.total() >= LEAST
    assert set(statuses) >= {200, 422}
    assert max(statuses) < 500
    victim.check_health()
    assert victim.memory() < before + 64 * 1024 * 1024
    assert "Traceback" not in victim.log.read_text(encoding="utf-8")


def holds_float(body: Any) -> bool:
    """JSON Schema calls 1.0 an integer; the service does not, and says so in words, which no generator reads."""
    if isinstance(body, dict | list):
        return any(map(holds_float, body.values() if isinstance(body, dict) else body))
    return isinstance(body, float) and body.is_integer()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_reply_is_outside_the_document(
    victim: Victim, document: Any, seen: Counter[int], operation: str, mode: GenerationMode
) -> None:
    [(method, described)] = victim.contract.document["paths"][operation].items()
    method = method.upper()
    if not {"requestBody", "security"} & described.keys():
        mode = GenerationMode.POSITIVE  # where nothing is asked for, nothing can be wrong: the same again

    @settings(
        max_examples=EXAMPLES[method],
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=document[operation][method].as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        assume(not holds_float(case.body))
        response = case.call(session=session, headers=headers)
        seen[response.status_code] += 1
        case.validate_response(response)
        if response.status_code >= 400:
            assert response.headers["content-type"] == [PROBLEM]

    with victim.client() as client, requests.Session() as session:
        headers = {"Authorization": client.headers["Authorization"]}
        check()


def test_every_operation_is_asked(victim: Victim) -> None:
    assert sorted(OPERATIONS) == sorted(victim.contract.document["paths"])
