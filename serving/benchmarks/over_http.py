"""The service over HTTP, beside BentoML's plain and batching services and a bare Starlette app, in one run.

    python -m serving.benchmarks.over_http
    python -m serving.benchmarks.over_http --texts articles/*.txt --seconds 10 --rounds 3

All servers run at once, one of them under load at a time, in turns: what changes on the machine meanwhile changes for
all of them. A request has one sentence of news, no two alike. Prints a table in Markdown.
"""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from serving.benchmarks.load import Outcome, Plan, measure
from serving.benchmarks.machine import machine
from serving.benchmarks.peers import MODEL
from serving.benchmarks.sentences import read_sentences
from serving.benchmarks.servers import ROOT, Server, running

CLIENTS = (1, 8, 32)
BENTOML = ("-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", "{port}")


@dataclass
class System:
    """A system to measure, and what was measured of it."""

    name: str
    arguments: tuple[str, ...]
    path: str = "/v1/classify"
    items: str = "inputs"  # what a request calls its list
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    ready_seconds: float = 0.0
    memory: tuple[int, int] = (0, 0)


def systems() -> list[System]:
    """What is measured, our own first."""
    return [
        System("**Newsframe**", ("-m", "serving.cli", "serve", "--port", "{port}")),
        System("bare Starlette, the same engine", ("-m", "serving.benchmarks.peers", "starlette", "{port}")),
        System("BentoML, plain", (*BENTOML, "serving.benchmarks.peers:Plain"), "/classify", "texts"),
        System("BentoML, `batchable=True`",
               (*BENTOML, "serving.benchmarks.peers:Batchable"), "/classify", "texts"),
    ]  # fmt: skip


@click.command(help=__doc__)
@click.option("--texts", multiple=True, type=click.Path(path_type=Path), help="Articles; the seeds by default.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--rounds", default=3, show_default=True, help="Turns that each system has.")
@click.option("--peer-model", default="", help="The artifact of the two BentoML services, where another is wanted.")
def main(texts: tuple[Path, ...], seconds: float, rounds: int, peer_model: str) -> None:
    """Measure, and print the table."""
    sentences = read_sentences(texts)
    measured = systems()
    with ExitStack() as stack:
        servers: list[Server] = []
        for system in measured:
            server = stack.enter_context(running(system.arguments, {MODEL: peer_model} if peer_model else {}))
            system.ready_seconds = server.ready_seconds
            servers.append(server)
            _load(server, system, sentences, 8, 2.0, 0)  # warm, before anything counts
        number = 10**6
        for clients in CLIENTS:
            for _ in range(rounds):
                for system, server in zip(measured, servers, strict=True):
                    outcome = _load(server, system, sentences, clients, seconds, number)
                    system.outcomes.setdefault(clients, []).append(outcome)
                    number += 10**6
        for system, server in zip(measured, servers, strict=True):
            system.memory = server.memory()
    limit = _generator_limit(sentences)
    engine = _engine_seconds()
    print("\n".join(_table(measured)))
    print(
        f"\nOn {machine()}. {rounds} rounds of {seconds:g} s, in turns; one sentence of news a request, no two alike."
    )
    busiest = max(outcome.busy for system in measured for runs in system.outcomes.values() for outcome in runs)
    print(
        f"The load generator took {busiest:.0%} of a core at most; of a server that answers at once it gets "
        f"{limit:.0f} answers a second at 32 clients. The engine alone, single sentences: p50 {engine * 1000:.1f} ms."
    )


def _load(server: Server, system: System, sentences: list[str], clients: int, seconds: float, first: int) -> Outcome:
    plan = Plan(server.port, sentences, system.path, system.items, seconds=seconds, clients=clients, first=first)
    return measure(plan)


def _generator_limit(sentences: list[str]) -> float:
    # It has no /readyz of its own, but answers anything.
    with running(("-m", "serving.benchmarks.peers", "nothing", "{port}")) as server:
        return measure(Plan(server.port, sentences, clients=32, seconds=2)).per_second


def _engine_seconds() -> float:
    command = [sys.executable, "-W", "ignore", "-m", "serving.benchmarks.peers", "engine", "4"]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout)


def _table(measured: list[System]) -> list[str]:
    columns = " | ".join(f"{clients} client{'s' * (clients > 1)}: requests/s, p50, p99 ms" for clients in CLIENTS)
    lines = [f"| | {columns} | not 200 | ready after | memory, PSS / RSS |", "|---" * (len(CLIENTS) + 4) + "|"]
    for system in measured:
        cells = [_cell(system.outcomes[clients]) for clients in CLIENTS]
        runs = [outcome for outcomes in system.outcomes.values() for outcome in outcomes]
        failed = sum(sum(run.statuses.values()) - run.answered + run.broken + run.hung for run in runs)
        pss, rss = (size / 1e6 for size in system.memory)
        ready = f"{system.ready_seconds:.1f} s"
        lines.append(f"| {system.name} | {' | '.join(cells)} | {failed} | {ready} | {pss:.0f} / {rss:.0f} MB |")
    return lines


def _cell(outcomes: list[Outcome]) -> str:
    """Median of the rounds' rates; quantiles over the requests of all rounds."""
    pooled = Outcome(latencies=[latency for outcome in outcomes for latency in outcome.latencies])
    if not pooled.latencies:
        return "nothing answered"
    rate = statistics.median(outcome.per_second for outcome in outcomes)
    return f"{rate:.0f}, {pooled.quantile(0.5) * 1000:.0f}, {pooled.quantile(0.99) * 1000:.0f}"


if __name__ == "__main__":
    main()
