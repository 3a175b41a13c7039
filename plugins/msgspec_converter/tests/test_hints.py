"""What is read for a hint, case by case: the SDK's value, or its refusal."""

import pytest


@pytest.mark.parametrize("hint", ["Literal[1]", "Literal[True]", "Literal[1.0]", "Literal[0, 'a', None]",
    "Literal[False, 'b']", "Optional[Literal[1, 'a']]", "Literal[None]",
                                  "typing_extensions.Literal[1, 'b']", "Union[Literal['a'], int]",
                                  "Literal[nan]", "Literal[Literal[1], 2]"])  # fmt: skip
def test_literals_are_compared_as_python_compares(alike, hint):
    texts = ["1", "1.0", "true", "0", "false", "0.0", '"a"', '"b"', "null", "[]", "{}", "1.5", "NaN"]
    alike.decode_each(texts, hint)
    alike.decode_each(map("[{}]".format, texts), f"list[{hint}]")


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
