"""What is read for a hint, named case by named case: the SDK's value, or its refusal."""

import datetime as dt
import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from support.differential.describe import describe
from temporalio.converter import PayloadConverter

REFUSED = object()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", float("nan")), ("[Infinity, -Infinity]", [float("inf"), float("-inf")]),
        ("1E400", float("inf")), ("-1E400", float("-inf")), ("-0", 0),
        ("-0.0", -0.0), ("1.0", 1.0), ("1e2", 100.0), ("9007199254740993", 2**53 + 1),
        ("18446744073709551616", 2**64), (str(-(2**200)), -(2**200)),
        ("5e-324", 5e-324), ("1e-400", 0.0), ("0.1000000000000000055511151231257827", 0.1),
        ("1" * 400, int("1" * 400)), ("9007199254740993.0", 2.0**53),
        ('"\\ud800"', "\ud800"), ('"\\ud83d\\ude00"', "😀"), ('"\\u0000"', "\x00"), ('"é"', "é"),
        ('"\x7f"', "\x7f"), (" \t\r\n[ 1 , 2 ] ", [1, 2]),
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}), ('{"b": 1, "a": 2}', {"b": 1, "a": 2}),
        ('{"": null}', {"": None}), ("[]", []), ("null", None),
        ("\ufeff1", 1), ("1\x00", 1), ("", REFUSED), (" ", REFUSED), ("01", REFUSED), ("1.", REFUSED),
        ("+1", REFUSED), ("nan", REFUSED), ("[1,]", REFUSED),
        ("[1] x", REFUSED), ("1 2", REFUSED), ("'a'", REFUSED), ('"\n"', REFUSED), ('"\\x"', REFUSED),
        ("{1: 2}", REFUSED), ("1" * 5000, REFUSED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hint", ["None", "Any"])
def test_json_without_a_hint_is_what_the_standard_library_reads(alike, text, value, hint):
    found = alike.decode(text, hint)
    assert found.error is not None if value is REFUSED else describe(found.unwrap()) == describe(value)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"1\x00", b"\x001", b"\xef\xbb\xbf1",
        "1".encode("utf-16"), '"é"'.encode("utf-32"), b'{"\xff": 1}',
     b'["\xed\xa0\xbd\xed\xb8\x80"]'],
)  # fmt: skip
@pytest.mark.parametrize("hint", ["None", "Any", "int", "str", "list[str]", "dict[str, int]", "C"])
def test_bytes_in_other_encodings_and_in_none(alike, data, hint):
    alike.decode(data, hint, "@dataclass\nclass C:\n    x: int = 1")


NUMBERS = [
    "0",
    "1",
    "-1",
    "1.0",
    "1.9",
    "-1.9",
    "1e3",
    "NaN",
    "Infinity",
    "1E400",
    "true",
    "false",
    "null",
    '"1"',
    "[]",
    "9007199254740993",
    "1" * 400,
    "0.0",
    "-0.0",
]


@pytest.mark.parametrize("hint", ["int", "float", "bool", "str", "type(None)", "complex", "Decimal",
    "Number", "object", "Union[int, float]", "Union[float, int]",
                                  "Union[bool, int]", "Union[int, bool]", "Union[str, int]",
                                  "Optional[int]", "Union[None, float]", "Union[int, str, None]",
                                  "Union[list[int], int]", "int | float", "float | int",
                                  "None | bool"])  # fmt: skip
@pytest.mark.parametrize("place", ["{}", "[{}]", '{{"x": {}}}'])
def test_numbers_for_every_simple_hint_and_union(alike, hint, place):
    holder = {"{}": hint, "[{}]": f"list[{hint}]"}.get(place, "C")
    alike.decode_each(map(place.format, NUMBERS), holder, f"@dataclass\nclass C:\n    x: {hint}")


def test_the_order_of_a_union_counts_though_typing_says_that_both_are_equal(alike):
    for _ in range(2):
        for holder in ("{}", "list[{}]", "dict[str, {}]", "tuple[{}, ...]"):
            text = {"l": "[1.5]", "d": '{"a": 1.5}', "t": "[1.5]"}.get(holder[0], "1.5")
            found = [
                describe(alike.read(text, holder.format(union))) for union in ("int | float", "float | int")
            ]
            assert found[0] != found[1]


@pytest.mark.parametrize("hint", ["Literal[1]", "Literal[True]", "Literal[1.0]", "Literal[0, 'a', None]",
    "Literal[False, 'b']", "Optional[Literal[1, 'a']]", "Literal[None]",
                                  "typing_extensions.Literal[1, 'b']", "Union[Literal['a'], int]",
                                  "Literal[nan]", "Literal[Literal[1], 2]"])  # fmt: skip
def test_literals_are_compared_as_python_compares(alike, hint):
    texts = ["1", "1.0", "true", "0", "false", "0.0", '"a"', '"b"', "null", "[]", "{}", "1.5", "NaN"]
    alike.decode_each(texts, hint)
    alike.decode_each(map("[{}]".format, texts), f"list[{hint}]")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-02T03:04:05", dt.datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001  # it has no zone
        ("2024-01-02T03:04:05Z", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ("2024-01-02T03:04:05.1234567+00:00", dt.datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=dt.UTC)),
        ("2024-01-02T03:04:05.999999999", dt.datetime(2024, 1, 2, 3, 4, 5, 999999)),  # noqa: DTZ001
        ("2024-01-02", dt.datetime(2024, 1, 2)),  # noqa: DTZ001
        ("2024-01-02T03:04:05+01:02:03", dt.datetime(2024, 1, 2, 3, 4, 5,
            tzinfo=timezone(timedelta(seconds=3723)))),
        ("2024-13-02", REFUSED), ("2024-01-02T03:04:60", REFUSED), ("soon", REFUSED), ("", REFUSED),
    ],
)  # fmt: skip
def test_datetimes_are_read_to_what_python_reads(alike, text, value):
    found = alike.decode(json.dumps(text), "datetime.datetime")
    assert found.error is not None if value is REFUSED else describe(found.unwrap()) == describe(value)


ODD_MOMENTS = ["2024-01-02t03:04:05z", "2024-01-02 03:04:05", "20240102T030405", "2024-W01-2",
    "2024-01-02T03", "2024-01-02T03:04", "2024-01-02T03:04:05,5", "2024-01-02T24:00:00",
     "2024-01-02T03:04:05-00:00", "0000-01-01T00:00:00", "2024-02-30T00:00:00", "2024-01-02T03:04:05+24:00",
     "2024-01-02T03:04:05+23:59:59.999999", "2024-01-02T03:04:05+05",
     "2024-01-02T03:04:05 +00:00", " 2024-01-02T03:04:05", "2024-01-02T03:04:05.1",
     "2024-01-02T03:04:05.12345678901234567890Z", "2024-01-02T03:04:05+0530", "10000-01-01T00:00:00",
     "2024-01-02T03:04:05.", "2024-01-02é03:04:05", "2024-01-02T03:04:05+00:00Z",
     "9999-12-31T23:59:59.9999999", "2024-01-02T03:04:05.9999995Z", "\ud800"]  # fmt: skip


@pytest.mark.parametrize(
    "hint",
    [
        "datetime.datetime",
        "Optional[datetime.datetime]",
        "Union[datetime.datetime, str]",
        "list[datetime.datetime]",
        "C",
        "date",
        "Union[int, datetime.datetime]",
    ],
)
def test_odd_datetimes(alike, hint):
    place = {"l": "[{}]", "C": '{{"at": {}}}'}.get(hint[0], "{}")
    alike.decode_each(
        [place.format(json.dumps(text)) for text in ODD_MOMENTS],
        hint,
        "@dataclass\nclass C:\n    at: datetime.datetime",
    )


@pytest.mark.parametrize("hint", ["date", "time", "timedelta", "Decimal", "bytearray", "memoryview",
    "object", "complex", "msgspec.Raw", "pathlib.Path", "ipaddress.IPv4Address",
                                  "typing.Callable", "typing.NoReturn", "Struct", "Attrs", "E"])  # fmt: skip
def test_types_that_the_engine_reads_and_the_sdk_does_not(alike, hint):
    texts = [
        '"2024-01-02"',
        '"01:02:03"',
        '"P1D"',
        "1.5",
        '"1.5"',
        '"YQ=="',
        "[97]",
        "{}",
        '{"x": 1}',
        '"127.0.0.1"',
        "1",
        "null",
    ]
    alike.decode_each(texts, hint, "class E(Enum):\n    ONE = 1")
    alike.decode_each(map("[{}]".format, texts), f"list[{hint}]", "class E(Enum):\n    ONE = 1")


@pytest.mark.parametrize(
    "hint",
    [
        "E",
        "I",
        "S",
        "F",
        "IF",
        "SE",
        "IE",
        "FE",
        "Missing",
        "http.HTTPStatus",
        "Optional[I]",
        "Union[S, I]",
        "list[IF]",
        "dict[I, SE]",
        "Raising",
    ],
)
def test_enums_of_all_kinds(alike, hint):
    source = """
    class E(Enum): ONE = 1; A = 'a'
    class I(IntEnum): ONE = 1; BIG = 2**70; ALIAS = 1
    class S(StrEnum): A = 'a'; ONE = '1'
    class F(Flag): A = 1; B = 2
    class IF(IntFlag): A = 1; B = 8
    class SE(str, Enum): A = 'a'
    class IE(int, Enum): T = True; TWO = 2
    class FE(float, Enum): X = 1.5
    class Missing(IntEnum):
        ONE = 1
        @classmethod
        def _missing_(cls, value):
            note(value)
            return cls.ONE
    class Raising(StrEnum):
        A = 'a'
        @classmethod
        def _missing_(cls, value): raise ApplicationError('refused')
    """
    texts = [
        "1",
        "2",
        "true",
        "1.0",
        '"a"',
        '"b"',
        '"1"',
        "null",
        "3",
        str(2**70),
        "9",
        "[1, 2]",
        "0",
        "-5",
        "1.5",
    ]
    place = {"l": "[{}]", "d": '{{"1": {}}}'}.get(hint[0], "{}")
    alike.decode_each(map(place.format, texts), hint, source)


@pytest.mark.parametrize("text", ['"c056ad1e-0000-4000-8000-000000000001"',
    '"c056ad1e000040008000000000000001"', '"{c056ad1e-0000-4000-8000-000000000001}"',
    '"C056AD1E-0000-4000-8000-000000000001"',
                                  '"urn:uuid:c056ad1e-0000-4000-8000-000000000001"', '"c056ad1e"', "1",
                                  "null", "[1]"])  # fmt: skip
@pytest.mark.parametrize(
    "hint", ["UUID", "Optional[UUID]", "Union[UUID, str]", "Union[str, UUID]", "C", "Own"]
)
def test_uuids(alike, text, hint):
    source = "class Own(UUID): pass\n@dataclass\nclass C:\n    id: UUID"
    alike.decode(f'{{"id": {text}}}' if hint == "C" else text, hint, source)


ITERABLES = [
    "[]",
    "[1, 2, 1]",
    "[1.5, 2]",
    '["a"]',
    "[[1]]",
    "[null]",
    '"ab"',
    '{"a": 1}',
    "1",
    "null",
    '""',
    "[true, 1, 1.0]",
    '[{"a": 1}]',
    "[1, 2, 3, 4]",
]


@pytest.mark.parametrize(
    "hint",
    ["list", "list[int]", "list[float]", "list[str]", "list[Any]", "list[T]", "typing.List",
        "typing.List[int]", "set", "set[int]", "set[list[int]]", "frozenset", "frozenset[int]",
     "deque", "deque[int]", "tuple", "tuple[int]", "tuple[int, int]", "tuple[int, ...]",
     "tuple[int, str, None]", "tuple[()]", "tuple[Any, ...]", "tuple[T, ...]", "typing.Tuple",
     "typing.Tuple[int, ...]", "typing.Sequence[int]", "collections.abc.Sequence[float]",
     "typing.Iterable[str]", "collections.abc.Iterable", "typing.AbstractSet[int]",
     "collections.abc.MutableSequence[int]", "collections.abc.Collection[int]", "typing.Iterator[int]",
     "Items", "Pair", "range", "array.array", "collections.UserList",
     "list[list[int]]", "Optional[list[int]]", "Union[list[int], list[str]]",
     "Union[set[int], tuple[int, ...]]", "set[Any]", "typing.Set", "typing.FrozenSet[T]", "bytes",
     "tuple[int, 'int']"],
)  # fmt: skip
def test_iterables_of_all_forms(alike, hint):
    alike.decode_each(ITERABLES, hint)


MAPPINGS = ["{}", '{"1": "2"}', '{"a": 1}', '{"1": 1, "01": 2, "1.0": 3}', '{"true": 1, "false": 2}',
    '{"null": 1}', '{"NaN": 1, "Infinity": 2}', '{"b": 1, "a": 2}', "[]", "null", '{"1_0": 1}',
            '{" 1 ": 1}', '{"٣": 1}', '{"c056ad1e-0000-4000-8000-000000000001": 1}',
            '{"2024-01-02T00:00:00": 1}', '{"1e3": 1, "1000": 2}', '{"a": 1, "a": "x", "a": 2.5}',
            '{"9": [1]}']  # fmt: skip


@pytest.mark.parametrize(
    "hint",
    ["dict", "typing.Dict", "dict[Any, Any]", "dict[T, U]", "collections.abc.Mapping", "OrderedDict",
        "defaultdict", "Counter", "Counter[str]", "ChainMap", "Mapped",
     *(f"dict[{key}, int]" for key in ("str", "int", "float", "bool", "None", "Any", "object", "UUID",
         "datetime.datetime", "Optional[int]", "Union[int, str]", "Union[str, int]",
                                       "Literal['a', 'b']", "tuple[int, int]", "Text", "bytes", "I", "S",
                                       "SE", "E", "New", "Annotated[int, 1]", "T")),
     "dict[str, Any]", "dict[str, str]", "dict[str, float]", "dict[str, T]", "typing.Mapping[int, float]",
     "collections.abc.MutableMapping[str, int]", "OrderedDict[str, int]",
     "defaultdict[str, int]", "Optional[dict[int, int]]", "Union[dict[int, int], dict[str, int]]",
     "types.MappingProxyType[str, int]"],
)  # fmt: skip
def test_mappings_of_all_forms(alike, hint):
    source = """
    class I(IntEnum): ONE = 1; NINE = 9
    class S(StrEnum): A = 'a'; B = 'b'
    class SE(str, Enum): A = 'a'
    class E(Enum): A = 'a'
    New = NewType('New', int)
    """
    alike.decode_each(MAPPINGS, hint, source)


@pytest.mark.parametrize(
    "hint",
    [
        "A | B",
        "B | A",
        "None | A",
        "A | None",
        "A | dict[str, int]",
        "dict[str, Any] | A",
        "list[A | B]",
        "Strict | A",
        "A | Strict",
        "int | A | B | None",
        "Raises | A",
        "Optional[B]",
    ],
)
def test_unions_of_classes_take_the_first_that_fits(alike, hint):
    source = """
    @dataclass
    class A:
        a: int = 0
    @dataclass
    class B:
        b: int
        c: Optional[list[int]] = None
    @dataclass
    class Strict:
        a: int
        b: int
    @dataclass
    class Raises:
        a: int = 0
        def __post_init__(self):
            note('made')
            raise ValueError
    """
    texts = [
        '{"a": 1}',
        '{"b": 1}',
        '{"a": 1, "b": 1}',
        "{}",
        "null",
        "1",
        '{"a": "x"}',
        '{"b": "x", "c": [1]}',
        "[]",
        '[{"a": 1}, {"b": 2}]',
    ]
    alike.decode_each(texts, hint, source)


@pytest.mark.parametrize("hint", ["New", "Newer", "list[New]", "Annotated[int, msgspec.Meta(gt=100)]",
    "Annotated[str, msgspec.Meta(pattern='^z')]", "Annotated[list[int], msgspec.Meta(max_length=0)]",
                                  "Annotated[int, []]",
                                  "dict[Annotated[str, msgspec.Meta(min_length=9)], int]",
                                  "typing.Final[int]", "'int'", "typing.ForwardRef('int')", "T", "BoundT",
                                  "1"])  # fmt: skip
def test_new_types_annotations_and_what_is_no_type(alike, hint):
    alike.decode_each(
        ["1", '"a"', "[1, 2]", '{"a": 1}', "1.5", "null"],
        hint,
        "New = NewType('New', int)\nNewer = NewType('Newer', New)",
    )


@pytest.mark.parametrize("depth", [10, 200, 450, 900, 5_000, 200_000])
@pytest.mark.parametrize("hint", [None, Any, list, list[list[Any]]])
def test_deep_nesting_is_read_where_the_sdk_reads_it_and_else_refused(converter, depth, hint):
    payload = PayloadConverter.default.to_payload(1)
    payload.data = b"[" * depth + b"]" * depth
    try:
        value = PayloadConverter.default.from_payload(payload, hint)
    except RuntimeError as error:
        with pytest.raises(type(error)):
            converter.from_payload(payload, hint)
    else:
        assert converter.from_payload(payload, hint) == value
