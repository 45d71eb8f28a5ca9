"""Runs that requests share: bounded, fair, and of nothing that nobody waits for."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from model.engine import CacheInfo
from model.predictions import Prediction
from model.records import Sentence
from serving.batching import Batcher
from serving.metrics import Metrics
from serving.problems import Problem


def predicted(sentence: Sentence) -> Prediction:
    return Prediction((), {}, (), (), {}, (), n_tokens=len(sentence.text), truncated=False, status=sentence.text)


class Recorder:
    """An engine that notes what it is given, and waits in each run until it is let on."""

    def __init__(self, held: bool = False) -> None:
        self.runs: list[list[str]] = []
        self.let_on = threading.Event()
        if not held:
            self.let_on.set()

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        self.runs.append([sentence.text for sentence in sentences])
        assert self.let_on.wait(10)
        if any("bad" in sentence.text for sentence in sentences):
            raise ZeroDivisionError("bad")
        return [predicted(sentence) for sentence in sentences]

    def cache_info(self) -> CacheInfo:
        return CacheInfo(0, 0, 0)


def made(*texts: str) -> list[Sentence]:
    return [Sentence(str(n), text) for n, text in enumerate(texts)]


def batcher(engine: Recorder, run_tokens: int = 100, waiting_tokens: int = 10_000, runs: int = 1) -> Batcher:
    return Batcher(engine, 256, run_tokens, waiting_tokens, runs, Metrics())


async def started(engine: Recorder, runs: int = 1) -> None:
    for _ in range(1000):
        if len(engine.runs) >= runs:
            return
        await asyncio.sleep(0.005)
    pytest.fail("the engine was not asked")


def run(test: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(test(), 20))


def test_predictions_come_in_the_order_of_the_sentences() -> None:
    engine = Recorder()
    texts = ["a longer sentence", "short", "the longest sentence of them all", "b"]
    predictions = run(lambda: batcher(engine).predict(made(*texts)))
    assert [prediction.status for prediction in predictions] == texts
    assert engine.runs == [sorted(texts, key=len)]  # like lengths side by side


def test_no_sentences_are_no_run() -> None:
    engine = Recorder()
    assert run(lambda: batcher(engine).predict([])) == []
    assert engine.runs == []


def test_a_run_is_what_came_while_the_last_one_was_under_way() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        shared = batcher(engine)
        first = asyncio.ensure_future(shared.predict(made("one")))
        await started(engine)
        others = [asyncio.ensure_future(shared.predict(made(text))) for text in ("two", "three", "four")]
        await asyncio.sleep(0)
        engine.let_on.set()
        await asyncio.gather(first, *others)

    run(test)
    assert engine.runs == [["one"], ["two", "three", "four"]]


def test_no_run_is_over_its_tokens_but_for_a_single_sentence_that_is() -> None:
    engine = Recorder()
    # 10 tokens each: 32 characters // 4 + 2. 100 tokens a run: ten of them; the last one alone has 256 at most.
    texts = [f"{n:032}" for n in range(25)] + ["x" * 9_000]
    run(lambda: batcher(engine).predict(made(*texts)))
    assert [len(texts) for texts in engine.runs] == [10, 10, 5, 1]


def test_a_request_of_many_sentences_does_not_hold_up_one_of_a_single() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        shared = batcher(engine)
        order: list[str] = []

        async def ask(name: str, texts: Sequence[str]) -> None:
            await shared.predict(made(*texts))
            order.append(name)

        large = asyncio.ensure_future(ask("large", [f"{n:032}" for n in range(256)]))
        await started(engine)
        small = [asyncio.ensure_future(ask(f"small {n}", [f"s{n}"])) for n in range(3)]
        await asyncio.sleep(0)
        engine.let_on.set()
        await asyncio.gather(large, *small)
        assert order == ["small 0", "small 1", "small 2", "large"]

    run(test)
    assert {"s0", "s1", "s2"} <= set(engine.runs[1])  # all in the very next run, and the large one goes on in it
    assert len(engine.runs[1]) > 3


def test_a_request_of_many_sentences_takes_one_share_of_the_queue() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        # Sixteen shares of 100 tokens. Each request brings 2,000 tokens, more than the whole queue.
        shared = batcher(engine, waiting_tokens=1_600)
        texts = [f"{n:032}" for n in range(200)]
        large = [asyncio.ensure_future(shared.predict(made(*texts))) for _ in range(15)]
        await started(engine)
        small = asyncio.ensure_future(shared.predict(made("small")))  # 3 tokens
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="429"):  # 15 x 100 + 3 wait
            await shared.predict(made(*texts))
        engine.let_on.set()
        assert [prediction.status for prediction in await small] == ["small"]
        for predictions in await asyncio.gather(*large):
            assert [prediction.status for prediction in predictions] == texts

    run(test)
    assert sum(map(len, engine.runs)) == 15 * 200 + 1


def test_a_large_request_gives_its_share_back_as_its_last_sentences_are_labelled() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        # Shares of 10 tokens, 3 tokens a sentence, runs of 48: one sentence of each of sixteen requests.
        shared = batcher(engine, run_tokens=48, waiting_tokens=160)
        first = asyncio.ensure_future(shared.predict(made("four")))
        await started(engine)
        large = [asyncio.ensure_future(shared.predict(made(*["four"] * 5))) for _ in range(16)]

        async def next_run() -> None:
            engine.let_on, under_way = threading.Event(), engine.let_on
            under_way.set()
            await started(engine, len(engine.runs) + 1)

        await asyncio.sleep(0)
        for _ in range(2):  # 15 tokens of each request wait, then 12: more than a share
            with pytest.raises(Problem, match="429"):
                await shared.predict(made("four"))
            await next_run()
        # 9 tokens of each, 144 of all.
        small = asyncio.ensure_future(shared.predict(made("four")))
        await asyncio.sleep(0)
        engine.let_on.set()
        await asyncio.gather(first, small, *large)

    run(test)


def test_who_gives_up_frees_what_was_not_labelled_yet() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        shared = batcher(engine, waiting_tokens=1_600)
        texts = [f"{n:032}" for n in range(200)]
        first = asyncio.ensure_future(shared.predict(made("first")))
        await started(engine)
        large = [asyncio.ensure_future(shared.predict(made(*texts))) for _ in range(16)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="429"):  # 16 x 100 of their tokens wait
            await shared.predict(made("before"))
        for request in large:
            request.cancel()
        await asyncio.sleep(0)
        after = asyncio.ensure_future(shared.predict(made("after")))
        await asyncio.sleep(0)
        engine.let_on.set()
        await asyncio.gather(first, after)
        for request in large:
            with pytest.raises(asyncio.CancelledError):
                await request

    run(test)
    assert engine.runs == [["first"], ["after"]]


def test_one_that_finds_nobody_waiting_may_bring_more_than_may_wait() -> None:
    engine = Recorder()
    texts = [f"{n:032}" for n in range(50)]
    assert len(run(lambda: batcher(engine, waiting_tokens=20).predict(made(*texts)))) == 50


def test_a_failure_costs_only_the_request_that_made_it() -> None:
    engine = Recorder(held=True)

    async def test() -> list[Any]:
        shared = batcher(engine)
        first = asyncio.ensure_future(shared.predict(made("one")))
        await started(engine)
        others = [asyncio.ensure_future(shared.predict(made(text))) for text in ("two", "bad", "three")]
        await asyncio.sleep(0)
        engine.let_on.set()
        await first
        return await asyncio.gather(*others, return_exceptions=True)

    two, bad, three = run(test)
    assert (two[0].status, three[0].status) == ("two", "three")
    assert isinstance(bad, ZeroDivisionError)
    assert engine.runs == [["one"], ["two", "bad", "three"], ["two"], ["bad"], ["three"]]


@pytest.mark.parametrize("runs", [1, 2])
def test_it_goes_on_after_a_failure(runs: int) -> None:
    engine = Recorder()

    async def test() -> Any:
        shared = batcher(engine, runs=runs)
        with pytest.raises(ZeroDivisionError):
            await shared.predict(made("bad"))
        return await shared.predict(made("good"))

    assert run(test)[0].status == "good"


def test_a_second_run_begins_while_the_first_is_under_way_and_a_third_waits() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        shared = batcher(engine, runs=2)
        requests = [asyncio.ensure_future(shared.predict(made("one")))]
        await started(engine)
        requests.append(asyncio.ensure_future(shared.predict(made("two"))))
        await started(engine, 2)
        requests += [asyncio.ensure_future(shared.predict(made(text))) for text in ("three", "four")]
        await asyncio.sleep(0.05)
        assert engine.runs == [["one"], ["two"]]
        engine.let_on.set()
        await asyncio.gather(*requests)

    run(test)
    assert engine.runs[2:] == [["three", "four"]]


def test_a_large_request_alone_has_two_runs_at_once() -> None:
    engine = Recorder(held=True)

    async def test() -> None:
        request = asyncio.ensure_future(batcher(engine, runs=2).predict(made(*(f"{n:032}" for n in range(25)))))
        await started(engine, 2)
        engine.let_on.set()
        assert len(await request) == 25

    run(test)
    assert sorted(map(len, engine.runs)) == [5, 10, 10]


@pytest.mark.parametrize("runs", [1, 2])
def test_many_at_once_each_get_their_own(runs: int) -> None:
    engine = Recorder()

    async def test() -> None:
        shared = batcher(engine, runs=runs)

        async def ask(n: int) -> None:
            texts = [f"{n}-{m}" for m in range(n % 7 + 1)]
            assert [p.status for p in await shared.predict(made(*texts))] == texts

        await asyncio.gather(*(ask(n) for n in range(200)))

    run(test)
    assert sum(map(len, engine.runs)) == sum(n % 7 + 1 for n in range(200))


def test_characters_of_several_bytes_count_as_more_tokens() -> None:
    shared = batcher(Recorder())
    assert shared._cost(Sentence("0", "x" * 40)) == 12  # 40 // 4 + 2
    assert shared._cost(Sentence("0", "語" * 40)) == 32  # 120 bytes // 4 + 2
