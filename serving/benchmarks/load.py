"""A load generator: raw HTTP/1.1 over asyncio, in a process of its own, so that it takes little from what it measures.

    closed loop    a number of clients, each sends its next request when its last one is answered
    open loop      requests come at a rate, answered or not, as from people who know nothing of each other

Every text is made unique, so that no cache of repeated sentences has it. A latency of the open loop counts from the
moment when the request was due, not from when the generator got round to it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST = 60.0  # seconds until a request counts as hanging
TURNED_AWAY = (429, 503)


@dataclass(frozen=True)
class Plan:
    """What load to make.

    Attributes:
        texts: Sentences that requests are made of, in turn.
        field: What a request calls its list.
        sentences: Sentences of a request.
        seconds: How long new requests are begun.
        clients: For a closed loop, how many; 0 makes an open loop.
        rate: For an open loop, requests a second.
        connections: For an open loop, connections at most; a request that finds none is counted as unsent.
        requests: Requests in all at most; 0 bounds them by time alone.
        first: Number of the first request; another one gives other unique texts.
    """

    port: int
    texts: Sequence[str]
    path: str = "/v1/classify"
    field: str = "inputs"
    sentences: int = 1
    seconds: float = 5.0
    clients: int = 0
    rate: float = 0.0
    connections: int = 512
    requests: int = 0
    first: int = 0
    key: str = ""

    def request(self, number: int) -> bytes:
        """The bytes of a request."""
        start = number * self.sentences
        texts = [f"{self.texts[n % len(self.texts)]} ({n})" for n in range(start, start + self.sentences)]
        body = json.dumps({self.field: texts}).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"{key}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Outcome:
    """What came of a load.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Seconds of each request that was answered 200, in order of the answers.
        statuses: How many answers had which status.
        without_retry_after: Answers of 429 and 503 without that header.
        broken: Requests whose connection was refused or broke.
        hung: Requests that had no answer after a minute.
        unsent: Requests for which there was no free connection.
        busy: Share of one core that the generator itself took.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    without_retry_after: int = 0
    broken: int = 0
    hung: int = 0
    unsent: int = 0
    busy: float = 0.0

    @property
    def answered(self) -> int:
        """Requests that were answered 200."""
        return len(self.latencies)

    @property
    def turned_away(self) -> int:
        """Requests that were answered 429 or 503."""
        return sum(self.statuses.get(str(status), 0) for status in TURNED_AWAY)

    @property
    def per_second(self) -> float:
        """Requests answered 200 a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of the answered requests did not exceed."""
        if not self.latencies:
            raise ValueError("there is no latency: nothing was answered")
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def measure(plan: Plan) -> Outcome:
    """Make a load in a process of its own."""
    with start(plan) as process:
        return finish(process, plan)


def start(plan: Plan) -> subprocess.Popen[bytes]:
    """Start making a load; `finish` waits for its end."""
    command = [sys.executable, "-m", "serving.benchmarks.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(plan)).encode())
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[bytes], plan: Plan) -> Outcome:
    """Wait for the end of a load."""
    try:
        out, _ = process.communicate(timeout=plan.seconds + 2 * LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    return Outcome(**json.loads(out))


class _Connection:
    """One connection, kept open between requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Send a request; give the status, and whether there was a Retry-After."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if not length:
            raise ValueError("a reply without a length is not foreseen")
        await self._reader.readexactly(int(length))
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), b"\r\nretry-after:" in head

    def close(self) -> None:
        if self._writer:
            self._writer.close()
        self._reader = self._writer = None


class _Run:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome = Outcome()
        self.statuses: Counter[str] = Counter()

    async def one(self, connection: _Connection, number: int, due: float) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                status, retry_after = await connection.ask(self.plan.request(number))
        except TimeoutError:
            self.outcome.hung += 1
            connection.close()
            return
        except (OSError, EOFError):
            self.outcome.broken += 1
            connection.close()
            await asyncio.sleep(0.05)  # nobody there: not a thousand tries a second
            return
        self.statuses[str(status)] += 1
        if status == 200:
            self.outcome.latencies.append(time.perf_counter() - due)
        elif status in TURNED_AWAY and not retry_after:
            self.outcome.without_retry_after += 1

    async def closed(self) -> None:
        plan, end, number = self.plan, time.perf_counter() + self.plan.seconds, iter(range(self.plan.first, 10**12))

        async def client() -> None:
            connection = _Connection(plan.port)
            try:
                while time.perf_counter() < end:
                    mine = next(number)
                    if plan.requests and mine - plan.first >= plan.requests:
                        return
                    await self.one(connection, mine, time.perf_counter())
            finally:
                connection.close()

        await asyncio.gather(*(client() for _ in range(plan.clients)))

    async def open(self) -> None:
        plan, start = self.plan, time.perf_counter()
        idle = deque(_Connection(plan.port) for _ in range(plan.connections))
        tasks: set[asyncio.Task[None]] = set()

        async def send(number: int, due: float) -> None:
            connection = idle.popleft()  # the one that was free last: few are used while there is little to do
            try:
                await self.one(connection, number, due)
            finally:
                idle.appendleft(connection)

        count = int(plan.rate * plan.seconds)
        for n in range(min(count, plan.requests) if plan.requests else count):
            due = start + n / plan.rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if len(tasks) == plan.connections:
                self.outcome.unsent += 1
                continue
            task = asyncio.create_task(send(plan.first + n, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)
        for connection in idle:
            connection.close()


def main() -> None:
    """Read a plan from stdin, make its load, write its outcome to stdout."""
    given: dict[str, Any] = json.load(sys.stdin)
    run = _Run(Plan(**given))
    start, used = time.perf_counter(), time.process_time()
    asyncio.run(run.closed() if run.plan.clients else run.open())
    run.outcome.seconds = time.perf_counter() - start
    run.outcome.busy = (time.process_time() - used) / run.outcome.seconds
    run.outcome.statuses = dict(run.statuses)
    json.dump(asdict(run.outcome), sys.stdout)


if __name__ == "__main__":
    main()
