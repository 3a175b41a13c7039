"""Hints, and the expressions of values for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from support.differential import tables

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Shape:
    """A hint, and what makes the expression of a value that fits it."""

    hint: str
    value: Callable[[Builder, int], str]
    hashable: bool = False


@dataclass(frozen=True)
class Field:
    """A field of a dataclass; its value is "required", "optional" or given by "keyword", or "" for never."""

    name: str
    shape: Shape
    line: str
    given: str
    keyword: bool = False


@dataclass(frozen=True)
class Model:
    """What a dataclass below another must know of it."""

    fields: list[Field]
    frozen: bool


@dataclass
class Builder:
    """What has been drawn of a program so far."""

    draw: Draw
    statements: list[str] = field(default_factory=list)
    declared: list[Shape] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    names: set[str] = field(default_factory=lambda: {"x", "y"})
    """The names of fields, from which keys of JSON objects are drawn."""
    plain: bool = False
    """Whether it is a program as people write them, with little that is odd: what has a fast way."""
    honest: bool = True
    """Whether values fit their hints, most of the time."""

    def pick(self, options: Any) -> Any:
        """Draw one of several."""
        return self.draw(st.sampled_from(options))

    def chance(self, one_in: int) -> bool:
        """Draw True once in so many times."""
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def odd(self, one_in: int) -> bool:
        """Draw True once in so many times, and much more seldom in a plain program."""
        return self.chance(one_in * (15 if self.plain else 1))

    def some(self, most: int, least: int = 0) -> range:
        """Draw how many."""
        return range(self.draw(st.integers(least, most)))

    def new_name(self, prefix: str) -> str:
        """Return a name that no other class of the program has."""
        return f"{prefix}{len(self.statements)}"

    def field_names(self, pool: list[str], taken: list[str]) -> list[str]:
        """Draw names of fields, none of which is taken."""
        free = [name for name in pool if name not in taken]
        names: list[str] = self.draw(st.lists(st.sampled_from(free), max_size=4, unique=True))
        self.names.update(names)
        return names

    def declare(self, statement: str, shape: Shape) -> Shape:
        """Add a statement, and what it declares."""
        self.statements.append(statement)
        self.declared.append(shape)
        return shape

    def value(self, shape: Shape, depth: int) -> str:
        """Return a value's expression: one that fits, or now and then one that does not."""
        if self.chance(40 if self.honest else 6):
            return anything(self, depth)
        return shape.value(self, depth)


def ints(b: Builder, _: int) -> str:
    """An int, near a limit or anywhere."""
    return repr(b.draw(st.sampled_from(tables.INTS) | st.integers(-300, 300) | st.integers()))


def floats(b: Builder, _: int) -> str:
    """A float, an odd one or any."""
    return str(
        b.draw(st.sampled_from(tables.FLOATS) | st.floats(allow_nan=False, allow_infinity=False).map(repr))
    )


def texts(b: Builder, _: int) -> str:
    """A str, with all that JSON escapes."""
    odd = st.text(st.sampled_from('a"\\/\x00\x1f\x7f é😀\ud800\u2028'), max_size=5)
    return ascii(b.draw(st.sampled_from(tables.TEXTS) | odd))


def moments(b: Builder, _: int) -> str:
    """A datetime, with a zone or without."""
    zone = b.pick(
        [
            "None", "timezone.utc", "timezone(timedelta(hours=5, minutes=30))",
            "timezone(timedelta(seconds=3723))", "Zone()",
            "timezone(-timedelta(microseconds=1))", "zoneinfo.ZoneInfo('Europe/Berlin')",
            "timezone(timedelta(0), 'zero')",
        ]
    )  # fmt: skip
    moment = b.pick(
        ["2024, 2, 29, 23, 59, 59", "1, 1, 1", "9999, 12, 31, 23, 59, 59", "2024, 10, 27, 2, 30, fold=1"]
    )
    if "fold" not in moment:
        moment += f", microsecond={b.pick([0, 1, 100, 999999])}"
    return f"datetime.datetime({moment}, tzinfo={zone})"


def dates(b: Builder, _: int) -> str:
    return str(b.pick(["date(2024, 2, 29)", "date(1, 1, 1)"]))


def uuids(b: Builder, _: int) -> str:
    return f"UUID(int={b.pick([0, 1, 2**128 - 1, 2**64 * 7 + 3])})"


def binaries(b: Builder, _: int) -> str:
    return repr(b.pick([b"", b"a", b"\x00\xff", b"abc" * 3]))


def constant(*expressions: str) -> Callable[[Builder, int], str]:
    return lambda b, _: str(b.pick(expressions))


def sequence(form: str, item: Shape, least: int = 0, most: int = 3) -> Callable[[Builder, int], str]:
    """Items in brackets of some form."""

    def value(b: Builder, depth: int) -> str:
        items = [b.value(item, depth - 1) for _ in b.some(most if depth > 0 else 0, least)]
        return form.format(", ".join([*items, ""]) if items else "")

    return value


def mapping(form: str, key: Shape, item: Shape) -> Callable[[Builder, int], str]:
    """Keys and values in braces of some form."""

    def value(b: Builder, depth: int) -> str:
        pairs = [f"{b.value(key, 0)}: {b.value(item, depth - 1)}" for _ in b.some(3 if depth > 0 else 0)]
        return form.format("{" + ", ".join(pairs) + "}")

    return value


INT = Shape("int", ints, hashable=True)
FLOAT = Shape("float", floats, hashable=True)
STR = Shape("str", texts, hashable=True)
BOOL = Shape("bool", constant("False", "True"), hashable=True)
NONE = Shape("None", constant("None"), hashable=True)
MOMENT = Shape("datetime.datetime", moments, hashable=True)
ID = Shape("UUID", uuids, hashable=True)
COMMON = [INT, STR, FLOAT, BOOL, NONE, MOMENT, ID]

DECIMALS = constant("Decimal('1.10')", "Decimal('NaN')", "Decimal('1E+5')", "Decimal(0)")
SPANS = constant("timedelta(0)", "timedelta(days=1, microseconds=1)", "timedelta(-1)")
TIMES = constant("time(1, 2, 3)", "time(1, 2, 3, 4, tzinfo=timezone.utc)")


def anything(b: Builder, depth: int) -> str:
    """The expression of a value of any type at all."""
    if b.declared and b.chance(4):
        return str(b.pick(b.declared).value(b, depth))
    if depth > 0 and b.chance(3):
        inner = Shape("Any", anything)
        form = b.pick(
            [
                "[{}]",
                "({})",
                "deque([{}])",
                "Items([{}])",
                "ReversedItems([{}])",
                "Pair([{}])",
                "iter([{}])",
                "Walk({})",
                "{{}}",
            ]
        )
        if form == "{{}}":
            holder = b.pick(
                ["{}", "Mapped({})", "Shouting({})", "OrderedDict({})", "defaultdict(list, {})",
                    "types.MappingProxyType({})",
                 "collections.UserDict({})", "ChainMap({})"]
            )  # fmt: skip
            return mapping(holder, Shape("Any", keys), inner)(b, depth)
        return sequence(form, inner)(b, depth)
    return str((ODD if b.chance(3) else b.pick([*COMMON, *LEAVES])).value(b, depth))


def keys(b: Builder, _: int) -> str:
    """The expression of a dict's key, mostly str."""
    if b.chance(4):
        return str(
            b.pick(
                ["1", "1.0", "1.5", "True", "False", "None", "nan", "inf", "-0.0", "2**70", "10", "9",
                    "(1, 2)", "Text('t')", "LoudText('t')",
                 "Number(3)", "Real(1.25)", "b'b'", "http.HTTPStatus.OK", "UUID(int=1)", "date(2024, 1, 1)",
                 "1e16"]
            )
        )  # fmt: skip
    return (
        repr(b.pick([*sorted(b.names), "1", "1.0", "true", "null", "é", "z"])) if b.chance(2) else texts(b, 0)
    )


ODD = Shape("Any", constant(*tables.ODD_VALUES))

PLAIN_LEAVES = [
    Shape("Any", anything),
    Shape("Literal['a', 'b']", constant("'a'", "'b'"), hashable=True),
    Shape("Literal[1, 2]", constant("1", "2", "True"), hashable=True),
    Shape("dict", constant("{}", "{'a': 1}", "{'a': {'b': [1, nan]}}")),
    Shape("list", constant("[]", "[1, 'a', None]", "(1, 2.0)")),
    Shape("Union[str, int]", constant("1", "'a'", "True", "1.0"), hashable=True),
    Shape("Union[int, str, None]", constant("1", "'a'", "None", "nan"), hashable=True),
]
LEAVES = [
    Shape("Any", anything),
    Shape("object", anything),
    Shape("bytes", binaries, hashable=True),
    Shape("Decimal", DECIMALS, hashable=True),
    Shape("date", dates, hashable=True),
    Shape("time", TIMES, hashable=True),
    Shape("timedelta", SPANS, hashable=True),
    Shape("bytearray", constant("bytearray(b'ab')")),
    Shape("memoryview", constant("memoryview(b'ab')")),
    Shape("complex", constant("1j"), hashable=True),
    Shape("type(None)", constant("None"), hashable=True),
    Shape("Text", constant("Text('a')"), hashable=True),
    Shape("Number", constant("Number(1)"), hashable=True),
    Shape("Struct", constant("Struct()")),
    Shape("Attrs", constant("Attrs()")),
    Shape("Model", constant("Model()", "Model(x=2)")),
    Shape("V1Model", constant("V1Model()", "V1Model('a')")),
    Shape("HasDict", constant("HasDict()")),
    Shape("Plain", constant("Plain()")),
    Shape("http.HTTPStatus", constant("http.HTTPStatus.OK"), hashable=True),
    Shape("re.RegexFlag", constant("re.IGNORECASE", "re.DOTALL | re.ASCII"), hashable=True),
    Shape("Literal[1, 'a', None]", constant("1", "'a'", "None", "True", "1.0"), hashable=True),
    Shape("Literal[True]", constant("True", "1", "1.0"), hashable=True),
    Shape("Literal[0, 1.5, b'b']", constant("0", "False", "1.5", "-0.0")),
    Shape("typing_extensions.Literal['a', 'b']", constant("'a'", "'b'", "'c'"), hashable=True),
    *(
        Shape(hint, constant("[]", "[1, 'a', None]", "(1, 2.0)", "{1}", "'text'", "{'a': 1}"))
        for hint in tables.ITERABLE_HINTS
    ),
    *(
        Shape(hint, constant("{}", "{'a': 1}", "{1: 'a', 2: None}", "{'true': 1}", "{'a': {'b': [1]}}", "[]"))
        for hint in tables.MAPPING_HINTS
    ),
    *(
        Shape(hint, anything)
        for hint in tables.OTHER_HINTS
    ),
]  # fmt: skip
"""Hints that hold no other."""
