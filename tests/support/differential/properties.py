"""What must hold for every program, value and JSON."""

from __future__ import annotations

import gc
import weakref

from hypothesis import reject
from hypothesis import strategies as st
from support.differential.declarations import declarations
from support.differential.hints import hint
from support.differential.outcomes import Comparison, DifferenceError, UnusableError, attempt, json_payload
from support.differential.programs import Program, Run, forget_typing
from support.differential.shapes import Builder, Draw, Shape, anything
from support.differential.texts import altered, any_text
from temporalio.converter import PayloadConverter


def values_of_declared_types(draw: Draw, converter: PayloadConverter) -> None:
    """Values of a program's types are written alike, and read alike: as they were written, and altered."""
    b = Builder(draw, honest=draw(st.integers(0, 3)) != 3)  # one program in four lies
    declarations(b, 4)
    shape = b.pick(b.declared) if b.declared and not b.chance(3) else hint(b, 2)
    expressions = [b.value(shape, 3) for _ in b.some(3, 1)]
    comparison = _comparison(b, shape, converter)
    for expression in expressions:
        try:
            text = comparison.encode(expression).value
        except UnusableError:
            continue
        if text is not None:
            comparison.decode(text)
            for _ in b.some(3):
                comparison.decode(altered(b, text))


def models_as_people_write_them(draw: Draw, converter: PayloadConverter) -> None:
    """Dataclasses of common types are written and read alike, few or many, and now and then an odd one."""
    b = Builder(draw, plain=True)
    declarations(b, 3, least=1)
    item = b.pick(b.declared)
    number, hinted, formed = b.pick(
        [
            ("1", "{}", "{}"),
            ("1", "list[{}]", "[{}]"),
            ("1", "dict[str, {}]", "{{'k': {}}}"),
            ("1", "Optional[{}]", "{}"),
            ("30", "list[{}]", "[{}, *many]"),
            ("30", "Any", "[{}, *many]"),
            ("30", "dict[str, list[{}]]", "{{'k': [{}, *many]}}"),
        ]
    )
    comparison = _comparison(b, Shape(hinted.format(item.hint), item.value), converter)
    for _ in b.some(3, 1):
        one, odd = item.value(b, 3), b.value(item, 3)
        many = f"(lambda *many: {formed.format(odd)})(*[{one} for _ in range({number})])"
        try:
            text = comparison.encode(many).value
        except UnusableError:
            continue
        if text is not None:
            comparison.decode(text)
            for _ in b.some(2):
                comparison.decode(altered(b, text, [30, 300]))


def json_of_any_kind(draw: Draw, converter: PayloadConverter) -> None:
    """Any JSON is read alike for any hint."""
    b = Builder(draw)
    declarations(b, 3)
    shape = hint(b, 2)
    comparison = _comparison(b, shape, converter)
    for _ in b.some(5, 1):
        comparison.decode(any_text(b))


def values_of_any_kind(draw: Draw, converter: PayloadConverter) -> None:
    """Values of any type, of which a hint says nothing, are written alike, and read alike without a hint."""
    b = Builder(draw)
    declarations(b, 2)
    expressions = [anything(b, 3) for _ in b.some(4, 1)]
    comparison = _comparison(b, Shape("None", anything), converter)
    for expression in expressions:
        try:
            text = comparison.encode(expression).value
        except UnusableError:
            continue
        if text is not None:
            comparison.decode(text)


def classes_are_freed(draw: Draw, converter: PayloadConverter) -> None:
    """Classes are freed after use: a sandboxed workflow imports its models anew for each run."""
    b = Builder(draw)
    declarations(b, 3)
    shape = b.pick(b.declared) if b.declared else hint(b, 1)
    program = Program(tuple(b.statements), shape.hint, postponed=b.chance(3))
    expressions = [b.value(shape, 2) for _ in b.some(2, 1)]
    texts = [any_text(b) for _ in b.some(2)]
    kept = _kept_after_use(converter, program, expressions, texts)
    if kept and not _kept_after_use(PayloadConverter.default, program, expressions, texts):
        raise DifferenceError(f"classes are kept: {kept}\n\n{program}\n\n{expressions}\n{texts}")


def _kept_after_use(
    converter: PayloadConverter, program: Program, expressions: list[str], texts: list[bytes]
) -> list[str]:
    run = attempt(Run, program).value
    if run is None:
        reject()
    with run.current():
        for expression in expressions:
            written = attempt(converter.to_payload, attempt(run.evaluate, expression).value).value
            if written is not None:
                attempt(converter.from_payload, written, run.hint)
        for text in texts:
            attempt(converter.from_payload, json_payload(text), run.hint)
    classes = {name: weakref.ref(kind) for name, kind in run.classes().items()}
    del run
    forget_typing()
    gc.collect()
    return [name for name, kind in classes.items() if kind() is not None]


PROPERTIES = [
    models_as_people_write_them,
    values_of_declared_types,
    json_of_any_kind,
    values_of_any_kind,
    classes_are_freed,
]


def _comparison(b: Builder, shape: Shape, converter: PayloadConverter) -> Comparison:
    """Run the program that was drawn; many that can be drawn are refused by Python itself."""
    program = Program(tuple(b.statements), shape.hint, postponed=b.chance(3))
    try:
        return Comparison(program, converter)
    except UnusableError:
        reject()
