"""What the converter remembers: types while they live, no errors, and nothing that threads disturb."""

import gc
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.differential.describe import describe
from support.differential.outcomes import attempt, json_payload
from support.differential.programs import Program, Run, forget_typing, sections
from temporalio.converter import PayloadConverter

MODELS = sections(Path(__file__).with_name("models.txt"))
"""A class of each kind, a hint that names it, a value for the hint, and JSON."""


STILL_KEPT = pytest.mark.xfail(reason="the converter keeps such a hint, and its class, for good")
OPEN: set[str] = set()


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[STILL_KEPT] if case in OPEN else []) for case in MODELS]
)
def test_a_class_is_freed_after_use(converter, case):
    """A sandboxed workflow imports its models anew for each run; none may stay in memory after it."""
    source, hint, value, text = MODELS[case]
    kept = _classes_after_use(converter, source, hint, value, text)
    # What Python itself keeps is not ours to free.
    assert kept <= _classes_after_use(PayloadConverter.default, source, hint, value, text)


def test_many_classes_are_freed(converter):
    source, hint, value, text = MODELS["mutual"]
    assert sum(_classes_after_use(converter, source, hint, value, text) for _ in range(20)) == 0


def _classes_after_use(converter, source, hint, value, text):
    run = Run(Program((source,), hint, postponed=False))
    with run.current():
        for _ in range(3):
            attempt(converter.to_payload, run.evaluate(value))
            attempt(converter.from_payload, json_payload(text.encode()), run.hint)
            attempt(converter.from_payload, json_payload(b'{"x": []}'), run.hint)
    classes = [weakref.ref(kind) for kind in run.classes().values()]
    assert classes
    del run
    forget_typing()
    gc.collect()
    return sum(kind() is not None for kind in classes)


def test_an_error_for_one_value_is_not_held_against_the_next(alike):
    source = "@dataclass\nclass C:\n    x: int\n    y: Any = None"
    for text in ('{"x": []}', '{"x": 1}', '{"x": "a"}', '{"x": 2, "y": NaN}', "[]", '{"x": 3}'):
        alike.decode(text, "C", source)
    for value in ("C(nan)", "C(1)", "C(object())", "C(2)", "C(Text('a'))", "C(1, C)"):
        alike.encode(value, source)


def test_one_class_goes_through_good_and_bad_values_alike(converter):
    run = Run(Program(("@dataclass\nclass C:\n    x: int\n    y: Any = None",), "C", postponed=False))
    bad = [
        "C(object())",
        "C(nan, b'a')",
        "C(1, Text('a'))",
        "C(1, {1: 2})",
        "C(1, '\\ud800')",
        "C(Decimal(1))",
    ]
    for value in (run.evaluate(expression) for each in bad for expression in (each, "C(1)")):
        with run.current():
            theirs, ours = (attempt(each.to_payload, value) for each in (PayloadConverter.default, converter))
        assert (theirs.value, theirs.errors_name()) == (ours.value, ours.errors_name())
    bad_texts = [
        b'{"x": []}',
        b'{"x": 1.5, "y": NaN}',
        b"[",
        b'{"x": 1, "y": "\\ud800"}',
        b"{}",
        b'{"x": "a"}',
    ]
    for payload in (json_payload(text) for each in bad_texts for text in (each, b'{"x": 1}')):
        with run.current():
            theirs, ours = (
                attempt(each.from_payload, payload, run.hint)
                for each in (PayloadConverter.default, converter)
            )
        assert (describe(theirs.value), theirs.errors_name()) == (describe(ours.value), ours.errors_name())


def test_classes_of_one_name_are_not_taken_for_each_other(converter):
    payload = json_payload(b'{"x": 1.5}')
    for kind, expected in [("int", 1), ("float", 1.5), ("str", TypeError), ("Any", 1.5), ("'int'", 1)] * 3:
        run = Run(Program((f"@dataclass\nclass C:\n    x: {kind}",), "C", postponed=False))
        with run.current():
            outcome = attempt(converter.from_payload, payload, run.hint)
        assert (type(outcome.error) if outcome.error else outcome.value.x) == expected


def test_hints_that_are_equal_and_not_the_same(converter):
    """`typing` calls unions of another order equal, so a table by hint would give one for the other."""
    hints = [
        int | float,
        float | int,
        list[int | float],
        list[float | int],
        dict[str, int | float],
        dict[str, float | int],
    ]
    texts = [b"1.5", b"1.5", b"[1.5]", b"[1.5]", b'{"a":1.5}', b'{"a":1.5}']
    values = [1, 1.5, [1], [1.5], {"a": 1}, {"a": 1.5}]
    for order in (range(6), reversed(range(6))):
        for index in order:
            read = converter.from_payload(json_payload(texts[index]), hints[index])
            assert describe(read) == describe(values[index])


@pytest.fixture
def threads_that_change_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_that_change_often")
def test_many_threads_use_new_classes_at_once(converter):
    """msgspec itself ends the process here: one thread decodes with what another is about to find out."""
    source = """D = make_dataclass('D', [('y', float)])
C = make_dataclass('C', [('x', int), ('ds', list[D]), ('m', Any)])"""
    together = threading.Barrier(8, timeout=60)

    def use(hint, value, number):
        together.wait()
        expected = PayloadConverter.default.to_payload(value)
        for _ in range(3):
            assert converter.to_payload(value) == expected
            read = converter.from_payload(json_payload(b'{"x":%d,"ds":[{"y":1}],"m":0}' % number), hint)
            assert (type(read), read.x, describe(read.ds[0].y)) == (hint, number, describe(1.0))
            refused = attempt(converter.from_payload, json_payload(b'{"x":[]}'), hint)
            assert isinstance(refused.error, TypeError)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(100):
            run = Run(Program((source,), "C", postponed=False))
            values = [
                run.evaluate(f"C({number}, [D(1.5), D({number})], {{'k': nan}})") for number in range(8)
            ]
            with run.current():
                list(pool.map(use, [run.hint] * 8, values, range(8)))


def test_a_process_that_is_forked_while_threads_use_new_classes_reads_and_writes():
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING], check=True, timeout=120
    )


FORKING = """
import os, sys, threading
from dataclasses import make_dataclass
from temporal_payloads_msgspec_converter import MsgspecPayloadConverter

sys.setswitchinterval(1e-6)
converter = MsgspecPayloadConverter()
newest = None
done = False

def use(kind):
    value = kind([kind.__annotations__["inner"].__args__[0](1.5)])
    [payload] = converter.to_payloads([value])
    assert converter.from_payloads([payload], [kind]) == [value]

def make_and_use():
    global newest
    while not done:
        inner = make_dataclass("Inner", [("number", float)])
        newest = make_dataclass("Outer", [("inner", list[inner])])
        use(newest)

thread = threading.Thread(target=make_and_use)
thread.start()
failed = 0
for _ in range(100):
    while newest is None:
        pass
    kind = newest
    if child := os.fork():
        failed += os.waitpid(child, 0)[1] != 0
    else:
        use(kind)
        os._exit(0)
done = True
thread.join()
assert not failed, failed
"""
