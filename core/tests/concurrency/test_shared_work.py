"""Work that several callers want at the same time, above all when it fails."""

import asyncio
import contextvars
import gc
import traceback
import weakref
from collections import Counter

import pytest
from temporal_payloads._concurrency.shared_work import Board, shared
from temporal_payloads._concurrency.time_limit import operation_ending_at, operation_ends


class FailingError(Exception):
    """An exception whose constructor makes another message of its argument."""

    def __init__(self, what):
        super().__init__(f"cannot have {what}")
        self.what = what


class UncopyableError(Exception):
    def __init__(self, *, reason):
        super().__init__(f"because of {reason}")


class Store:
    """What the callers ask: it answers when it is let, and counts what it is asked for."""

    def __init__(self):
        self.board = {}
        self.requests = []
        self.let = asyncio.Event()
        self.gone = set()
        self.make_error = FailingError

    async def work(self, keys):
        self.requests.append(sorted(keys))
        await self.let.wait()
        if gone := self.gone & set(keys):
            raise self.make_error("".join(sorted(gone))) from OSError("errno 111")
        return {key: [key] for key in keys}

    def ask(self, keys, **options):
        return asyncio.create_task(shared(self.board, list(keys), self.work, **options))

    async def answers(self, *asking):
        """Let all of them wait for an answer before there is one."""
        await turns()
        self.let.set()
        return await asyncio.gather(*asking, return_exceptions=True)


async def turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def store():
    return Store()


# -- failures


async def test_fifty_callers_of_what_cannot_be_had_make_one_request(store):
    store.gone = {"a"}
    failures = await store.answers(*(store.ask("a") for _ in range(50)))
    assert {str(failure) for failure in failures} == {"cannot have a"}
    assert store.requests == [["a"]]
    assert store.board == {}


async def test_callers_of_a_part_of_what_failed_try_it_once_more_together(store):
    """The large request may have failed over the rest, which they do not want."""
    store.gone = {"a"}
    large = store.ask("ab")
    _, *others = await store.answers(large, *(store.ask("b") for _ in range(50)))
    assert isinstance(large.exception(), FailingError)
    assert others == [{"b": ["b"]}] * 50
    assert store.requests == [["a", "b"], ["b"]]


async def test_a_part_that_fails_again_is_not_tried_a_third_time(store):
    store.gone = {"a", "b"}
    failures = await store.answers(store.ask("ab"), *(store.ask("b") for _ in range(50)))
    assert {str(failure) for failure in failures} == {"cannot have ab", "cannot have b"}
    assert store.requests == [["a", "b"], ["b"]]


async def test_whatever_callers_have_in_common_nothing_is_tried_more_than_twice(store):
    store.gone = set("abcdefgh")
    wanted = ["abcdefgh", *("abcdefgh"[:n] for n in range(1, 8)), *("abcdefgh"[n:] for n in range(1, 8))]
    failures = await store.answers(*(store.ask(keys) for keys in wanted * 5))
    assert all(isinstance(failure, FailingError) for failure in failures)
    asked_for = Counter(key for request in store.requests for key in request)
    assert set(asked_for.values()) == {2}


async def test_nobody_fails_over_what_only_others_want(store):
    store.gone = {"d"}
    first, *others = await store.answers(*(store.ask(keys) for keys in ("abcd", "ab", "bc", "c", "d")))
    assert isinstance(first, FailingError)
    assert [sorted(one) for one in others[:3]] == [["a", "b"], ["b", "c"], ["c"]]
    assert isinstance(others[3], FailingError)


async def test_a_caller_that_comes_after_a_failure_makes_a_request_of_its_own(store):
    store.gone = {"a"}
    await store.answers(store.ask("a"))
    store.gone = set()
    assert await store.ask("a") == {"a": ["a"]}


async def test_each_caller_gets_an_exception_of_its_own(store):
    store.gone = {"a"}
    failures = await store.answers(*(store.ask("a") for _ in range(20)))
    assert len(set(map(id, failures))) == 20
    assert {(type(one), str(one), one.args, one.what) for one in failures} == {
        (FailingError, "cannot have a", ("cannot have a",), "a")
    }
    assert {str(one.__cause__) for one in failures} == {"errno 111"}
    assert len({id(one.__cause__) for one in failures}) == 20
    # None shows what another caller went through: all are as long, and say where the work failed.
    assert len({len(traceback.extract_tb(one.__traceback__)) for one in failures}) == 1
    assert all("in work" in "".join(traceback.format_tb(one.__traceback__)) for one in failures)
    assert all(one.__context__ is None for one in failures)


async def test_an_exception_that_cannot_be_copied_is_shared(store):
    store.gone = {"a"}
    store.make_error = lambda what: UncopyableError(reason=what)
    failures = await store.answers(*(store.ask("a") for _ in range(3)))
    assert len(set(map(id, failures))) == 1
    assert str(failures[0]) == "because of a"


async def test_the_only_caller_gets_the_exception_itself(store):
    error = FailingError("a")
    store.gone = {"a"}
    store.make_error = lambda _: error
    assert await store.answers(store.ask("a")) == [error]


# -- cancelled callers


async def test_a_caller_that_gives_up_leaves_the_work_to_the_others(store):
    first, second = store.ask("a"), store.ask("a")
    await turns()
    first.cancel()
    assert isinstance((await store.answers(first, second))[0], asyncio.CancelledError)
    assert await second == {"a": ["a"]}
    assert store.requests == [["a"]]


async def test_work_that_nobody_waits_for_is_cancelled(store):
    callers = [store.ask("ab"), store.ask("a")]
    await turns()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert store.board == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_that_gives_up_takes_nothing_from_one_that_joins_in_the_same_moment(store):
    first = store.ask("a")
    await turns()
    first.cancel()  # it will know in the next turn, in which the other one finds its work
    second = store.ask("ab")
    await turns()
    store.let.set()
    assert sorted(await second) == ["a", "b"]


async def test_callers_that_give_up_while_a_part_is_tried_again_leave_nothing_behind(store):
    store.gone = {"a"}
    large, small = store.ask("ab"), store.ask("b")
    await turns()
    store.let.set()
    with pytest.raises(FailingError):
        await large
    store.let.clear()
    await turns()
    small.cancel()
    await asyncio.wait([small])
    assert store.board == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- results


async def test_each_of_several_callers_gets_a_result_of_its_own(store):
    one, other = await store.answers(store.ask("a", copy=list.copy), store.ask("a", copy=list.copy))
    assert one == other == {"a": ["a"]}
    assert one["a"] is not other["a"]


async def test_a_result_that_cannot_be_copied_fails_that_caller_alone(store):
    def fail(_):
        raise ValueError("no copy")

    one, other = await store.answers(store.ask("a"), store.ask("a", copy=fail))
    assert one == {"a": ["a"]}
    assert str(other) == "no copy"
    assert store.requests == [["a"]]


# -- time


async def test_work_has_the_time_of_whoever_waits_longest_and_in_the_end_that_of_the_last():
    board: Board[str, None] = {}
    ends: list[float] = []

    async def work(keys):
        try:
            while True:
                await asyncio.sleep(0)
                ends.append(operation_ends())
        finally:
            ends.append(operation_ends())

    async def ask(end):
        with operation_ending_at(lambda: end):
            caller = asyncio.create_task(shared(board, ["a"], work))
        await turns()
        return caller

    async def give_up(caller):
        caller.cancel()
        await asyncio.wait([caller])
        await turns()

    first = await ask(10)
    assert ends[-1] == 10
    longest, last = await ask(30), await ask(20)
    assert ends[-1] == 30
    await give_up(longest)
    assert ends[-1] == 20
    await give_up(first)
    await give_up(last)
    assert ends[-1] == 20
    assert board == {}


async def test_a_connection_that_the_work_has_opened_does_not_keep_the_result():
    """A transport keeps the context that it was opened in for as long as it lives."""

    class Large:
        pass

    contexts = []

    async def work(keys):
        contexts.append(contextvars.copy_context())
        return {key: Large() for key in keys}

    board: Board[str, Large] = {}
    [result] = (await shared(board, ["a"], work)).values()
    kept = weakref.ref(result)
    del result
    await turns()
    gc.collect()
    assert contexts
    assert kept() is None
