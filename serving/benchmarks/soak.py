"""Does the service grow? Many requests, unknown paths and bad bodies among them; memory and metric series by the way.

python -m serving.benchmarks.soak
python -m serving.benchmarks.soak --requests 5000
"""

import http.client
import json
import random
import sys
import threading
import time
from collections import Counter

import click

from serving.benchmarks.machine import machine
from serving.benchmarks.sentences import read_sentences
from serving.benchmarks.servers import Server, running

CLIENTS = 8
LOOKS = 10  # at memory and series, evenly over the requests
LONGEST = 3600.0  # seconds in all


@click.command(help=__doc__)
@click.option("--requests", default=20_000, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True)
def main(requests: int, seed: int) -> None:
    """Send the requests, and print a table in Markdown."""
    texts = read_sentences()
    with running(("-m", "serving.cli", "serve", "--port", "{port}")) as server:
        statuses: Counter[int] = Counter()
        _send(server, texts, 200, random.Random(seed - 1), Counter())  # what is allocated once, is by now
        rows = [(0, *_look(server))]
        start = time.perf_counter()
        for part in range(1, LOOKS + 1):
            _send(server, texts, requests // LOOKS, random.Random(seed + part), statuses)
            rows.append((part * (requests // LOOKS), *_look(server)))
            if time.perf_counter() - start > LONGEST:
                raise SystemExit(
                    f"soak: expected the end within {LONGEST:g} s, but found {part} of {LOOKS} parts done."
                )
        seconds = time.perf_counter() - start
    print("| requests | RSS | PSS | metric series | open files | threads |\n|---|---|---|---|---|---|")
    for count, rss, pss, series, files, threads in rows:
        print(f"| {count} | {rss / 1e6:.1f} MB | {pss / 1e6:.1f} MB | {series} | {files} | {threads} |")
    shown = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    print(f"\nOn {machine()}: {sum(statuses.values())} requests in {seconds:.0f} s; {shown}.")
    first, last = rows[1], rows[-1]
    print(f"From a tenth of them to the end: {(last[1] - first[1]) / 1e6:+.1f} MB, {last[3] - first[3]:+d} series.")
    sys.exit(last[3] > first[3])


def _send(server: Server, texts: list[str], count: int, draw: random.Random, statuses: Counter[int]) -> None:
    """Send requests from several threads, as they are drawn."""
    drawn = [_request(texts, draw) for _ in range(count)]
    lock = threading.Lock()

    def client(mine: list[tuple[str, str, bytes | None]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for method, path, body in mine:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
            with lock:
                statuses[response.status] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(drawn[n::CLIENTS],)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _request(texts: list[str], draw: random.Random) -> tuple[str, str, bytes | None]:
    kind = draw.random()
    if kind < 0.4:
        inputs = [f"{draw.choice(texts)} {draw.random()}" for _ in range(draw.randint(1, 4))]
        return "POST", "/v1/classify", json.dumps({"inputs": inputs}).encode()
    if kind < 0.45:
        text = " ".join(draw.sample(texts, 3))
        return "POST", "/v1/documents", json.dumps({"documents": [{"text": f"{text} {draw.random()}"}]}).encode()
    if kind < 0.55:
        return "POST", "/v1/classify", draw.randbytes(draw.randint(1, 2000))
    if kind < 0.65:
        return "POST", "/v1/classify", json.dumps({"inputs": [{"text": 1, str(draw.random()): 2}]}).encode()
    if kind < 0.75:
        return draw.choice(["GET", "HEAD"]), draw.choice(["/v1/info", "/v1/codebook", "/docs.json", "/"]), None
    if kind < 0.8:
        return draw.choice(["PUT", "DELETE", "OPTIONS", "PATCH"]), "/v1/classify", None
    return draw.choice(["GET", "POST", "HEAD"]), f"/{draw.choice(['v1/', '', 'docs/'])}{draw.random()}", None


def _look(server: Server) -> tuple[int, int, int, int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    series = sum(bool(line) and not line.startswith("#") for line in lines)
    worker = server.worker()
    pss, rss = server.memory()
    return rss, pss, series, worker.num_fds(), worker.num_threads()


if __name__ == "__main__":
    main()
