"""Workers that die and servers that are told to stop, both under load: nobody waits for ever, and nothing gets lost."""

import os
import signal
import time
from collections.abc import Callable

import httpx
import psutil
import pytest

from serving.benchmarks.load import Outcome, Plan, finish, start
from serving.lifecycle import DRAIN_LIMIT_SECONDS
from tests.serving.hostile.conftest import KEY, Victim

BACK_SECONDS = 20.0
pytestmark = pytest.mark.slow


def under_load(victim: Victim, texts: list[str], seconds: float, act: Callable[[], None], clients: int = 16) -> Outcome:
    """Do something in the middle of a load; give what came of the load."""
    plan = Plan(victim.port, texts, sentences=4, seconds=seconds, clients=clients, key=KEY)
    with start(plan) as load:
        time.sleep(seconds / 3)
        act()
        return finish(load, plan)


def test_a_killed_worker_is_started_again_and_no_request_hangs(start: Callable[..., Victim], texts: list[str]) -> None:
    victim = start()
    killed: list[psutil.Process] = []
    back: list[float] = []

    def kill() -> None:
        [worker] = victim.workers()
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker)
        began = time.monotonic()
        while time.monotonic() < began + BACK_SECONDS:
            try:
                if httpx.get(f"{victim.url}/readyz", timeout=2).status_code == 200:
                    back.append(time.monotonic() - began)
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)

    outcome = under_load(victim, texts, 12, kill)
    print(f"back after {back} s; {outcome.answered} answered, {outcome.broken} broken")
    assert back, f"the service was not back after {BACK_SECONDS} s"
    # Every request has come to its end, as an answer or as a broken connection that its client saw.
    assert outcome.hung == 0
    assert set(outcome.statuses) <= {"200", "429", "503"}
    assert outcome.broken >= 1
    assert outcome.answered > 0
    assert victim.workers()[0].pid != killed[0].pid
    victim.check_health()


def test_with_two_workers_one_goes_on_while_the_other_is_started_again(
    start: Callable[..., Victim], texts: list[str]
) -> None:
    victim = start(workers=2)
    [first, second] = victim.workers()
    outcome = under_load(victim, texts, 8, lambda: os.kill(first.pid, signal.SIGKILL))
    assert outcome.hung == 0
    assert set(outcome.statuses) <= {"200", "429", "503"}
    end = time.monotonic() + BACK_SECONDS
    while len(victim.workers()) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    workers = victim.workers()
    assert len(workers) == 2
    assert second in workers
    assert first not in workers
    victim.check_health()


@pytest.mark.parametrize("workers", [1, 2])
def test_on_sigterm_under_load_every_accepted_request_is_answered(
    start: Callable[..., Victim], texts: list[str], workers: int
) -> None:
    victim = start(workers=workers)

    def stop() -> None:
        victim.process.send_signal(signal.SIGTERM)

    outcome = under_load(victim, texts, 4.5, stop)
    victim.process.wait(timeout=DRAIN_LIMIT_SECONDS + 10)
    print(f"{outcome.statuses}, broken {outcome.broken}")
    assert victim.process.returncode == 0
    assert outcome.hung == 0
    assert set(outcome.statuses) <= {"200", "503"}
    assert outcome.answered > 0
    assert outcome.without_retry_after == 0
    # A connection that was idle when the socket closed may break; one that had sent its request got an answer. The log
    # has a line for every request that was accepted, with the status that went out: none of them failed, none is left.
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{victim.url}/livez")
    lines = [line for line in victim.log.read_text(encoding="utf-8").splitlines() if '"route": "/v1/classify"' in line]
    answered = sum('"status": 200' in line for line in lines)
    assert answered == outcome.answered + 1  # and the one that was asked before the load
    assert not any('"status": 5' in line and '"status": 503' not in line for line in lines)
    assert not any('"status": 499' in line for line in lines)
