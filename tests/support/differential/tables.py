"""Values and hints, as expressions: those at which one way to convert and another may part."""

INTS = [
    0, 1, -1, 2, 255, 256, -128, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63,
    -(2**63), -(2**63) - 1,
    2**64 - 1, 2**64, 2**64 + 1, 2**200, -(2**200),
]  # fmt: skip
FLOATS = [
    "0.0", "-0.0", "1.0", "0.1", "-1.5", "1e16", "1e15", "123456789012345680.0", "1e-5", "1e-4", "1e22",
    "1e23", "5e-324",
    "2.2250738585072014e-308", "1.7976931348623157e308", "9007199254740993.0", "nan", "inf", "-inf",
    "100000.0",
]  # fmt: skip
TEXTS = [
    "", "a", "text", "1", "true", "null", "1.5", "é", "日本", "😀", "\ud800", "a\udfffb", "\x00", "\x1f",
    "\x7f", "\x80", "\u2028", '"', "\\",
    "/", "\b\f\n\r\t", "2024-01-02T03:04:05", "2024-01-02", "c056ad1e-0000-4000-8000-000000000001", "NaN",
    " ", "\ufeff",
]  # fmt: skip


ODD_VALUES = [
            "set()", "{1}", "{'a'}", "frozenset({2.5})", "bytearray(b'ab')", "memoryview(b'ab')",
            "array.array('i', [1, 2])", "range(3)",
            "iter([1, 2])", "(n for n in range(2))", "{'k': 1}.keys()", "{'k': 1}.items()", "map(str, [1])",
            "Text('sub')",
            "LoudText('sub')", "Number(7)", "Real(2.25)", "Mirror()", "FullMirror()", "HasDict()",
            "HasDict(nan)", "V1Model()",
            "Walk(1, 'a')", "Indexed()", "KeyedMapping(a=1)", "Struct()", "Attrs()", "Model()", "Plain()",
            "Moment(2024, 1, 1)",
            "http.HTTPStatus.OK", "re.IGNORECASE", "re.IGNORECASE | re.DOTALL", "object()", "int", "len",
            "lambda: 1", "...", "1j",
            "Decimal('1.5')", "fractions.Fraction(1, 3)", "date(2024, 1, 1)", "time(1)", "timedelta(1)",
            "pathlib.PurePosixPath('a/b')",
            "ipaddress.ip_address('127.0.0.1')", "b'bytes'", "[b'bytes']", "looped()", "looped_dict()",
            "twice([1])", "nested(20)",
            "msgspec.Raw(b'1')", "msgspec.UNSET", "ApplicationError('a')", "Counter('aab')",
            "type('Dynamic', (), {'dict': 3})()",
            "re.compile('a')", "[nan, inf, -inf]", "{'nan': nan}", "(1, (2, [3]))", "Ellipsis",
            "NotImplemented", "collections.UserList([1])",
            "collections.UserString('u')", "{1: 'a', '1': 'b'}", "{True: 1, 'true': 2}", "{10: 1, 9: 2}",
            "{None: 1}", "{'a': {2: 1}}",
            "{1: 1, 'a': 2}", "types.SimpleNamespace(a=1)", "weakref.ref(Plain)",
            "msgspec.msgpack.Ext(1, b'a')", "KW_ONLY", "zoneinfo.ZoneInfo('UTC')",
]  # fmt: skip
"""Values for which no hint is right."""

ITERABLE_HINTS = [
            "list", "tuple", "set", "frozenset", "deque", "typing.List", "typing.Tuple", "typing.Sequence",
            "typing.Iterable", "typing.Set",
            "collections.abc.Sequence", "collections.abc.Iterable", "collections.abc.Collection",
            "typing.Deque", "T", "BoundT",
            "list[T]", "set[T]", "tuple[T, ...]", "tuple[T]", "typing.List[T]", "list[Any]", "set[object]",
            "tuple[()]", "tuple[Any, ...]", "Items", "Pair",
            "array.array", "range", "typing.Iterator[int]", "typing.Generator[int, None, None]",
            "collections.UserList",
]  # fmt: skip
"""Hints of what is made of a list."""

MAPPING_HINTS = [
            "dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping",
            "collections.abc.MutableMapping", "OrderedDict", "defaultdict",
            "Counter", "ChainMap", "Mapped", "dict[T, U]", "dict[str, Any]", "dict[Any, Any]",
            "dict[str, object]", "typing.Dict[str, T]",
            "types.MappingProxyType", "collections.UserDict", "KeyedMapping", "typing.Counter[str]",
            "Counter[int]",
]  # fmt: skip
"""Hints of what is made of an object."""

OTHER_HINTS = [
            "typing.Hashable", "typing.Callable", "typing.Callable[[int], str]", "typing.NoReturn",
            "typing.LiteralString", "typing.Type[int]",
            "type", "Enum", "IntEnum", "Optional", "Union", "Literal", "Generic", "typing.Protocol",
            "typing.NamedTuple", "msgspec.Raw",
            "msgspec.Struct", "'int'", "'Unknown'", "1", "pathlib.Path", "ipaddress.IPv4Address",
            "typing.Text", "typing.AnyStr", "typing.Awaitable[int]",
            "typing.Sized", "typing.Container[int]", "typing.SupportsInt", "uuid.SafeUUID",
            "fractions.Fraction", "zoneinfo.ZoneInfo",
            "ApplicationError", "typing.Final[int]", "ClassVar[int]", "InitVar[int]", "Required[int]",
            "msgspec.UnsetType", "typing.ForwardRef('int')",
]  # fmt: skip
"""Hints that the SDK refuses, or does not look at."""
