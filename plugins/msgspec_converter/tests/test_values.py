"""What is written for a value, named case by named case: the SDK's JSON, and the SDK's refusals."""

from typing import Any

import pytest
from temporalio.converter import PayloadConverter


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[nan, inf, -inf]", "[NaN,Infinity,-Infinity]"),
        ("nan", "NaN"),
        ("{'a': {'b': (nan,)}}", '{"a":{"b":[NaN]}}'),
        ("[-0.0, 1e16, 1e15, 1e-5, 5e-324]", "[-0.0,1e+16,1000000000000000.0,1e-05,5e-324]"),
        ("[1.7976931348623157e308, 1e22, 1e23, 100000.0]", "[1.7976931348623157e+308,1e+22,1e+23,100000.0]"),
    ],
)
def test_nan_stays_nan_and_floats_are_what_they_were(alike, value, text):
    assert alike.written(value) == text


@pytest.mark.parametrize("exponent", [31, 32, 53, 63, 64, 65, 200, 4000])
def test_large_integers_keep_every_digit(alike, exponent):
    for number in (2**exponent - 1, 2**exponent, 2**exponent + 1, -(2**exponent), -(2**exponent) - 1):
        assert alike.written(f"[{number}]") == f"[{number}]"
        assert alike.back(f"[{number}]", "list[int]") == [number]


def test_an_integer_of_too_many_digits_is_refused(alike):
    with pytest.raises(ValueError, match="Exceeds the limit"):
        alike.written("[10**5000]")


@pytest.mark.parametrize(
    "text", ["\ud800", "a\udfffz", "\x00", "\x1f\x7f\x80", "\u2028", "😀", "日本", '"\\/', "\b\f\n\r\t", ""]
)
def test_text_comes_back_as_it_was(alike, text):
    assert alike.back(ascii(text), "str") == text
    assert alike.back(f"{{{text!a}: [{text!a}]}}", "dict[str, list[str]]") == {text: [text]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[b'ab']", "[[97,98]]"),
        ("{'a': (b'',)}", '{"a":[[]]}'),
        ("bytearray(b'ab')", "[97,98]"),
        ("memoryview(b'ab')", "[97,98]"),
        ("array.array('i', [1, 2])", "[1,2]"),
    ],
)
def test_nested_bytes_are_lists_of_numbers_and_never_base64(alike, value, text):
    assert alike.written(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "Decimal('1.10')", "date(2024, 1, 1)", "time(1)", "timedelta(1)", "1j", "object()", "int",
        "fractions.Fraction(1, 3)", "ipaddress.ip_address('127.0.0.1')", "Struct()", "Attrs()",
        "msgspec.UNSET", "zoneinfo.ZoneInfo('UTC')",
        "msgspec.Raw(b'1')", "lambda: 1", "Indexed()", "Plain()", "types.SimpleNamespace(a=1)",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["{}", "[{}]", "{{'a': {}}}", "Holder({})", "[Holder([{}])]"])
def test_what_the_sdk_does_not_write_is_not_written(alike, value, place):
    with pytest.raises(TypeError, match=r"is not JSON serializable|not an iterator"):
        alike.written(place.format(value), "@dataclass\nclass Holder:\n    held: Any")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("datetime.datetime(2024, 1, 2, 3, 4, 5)", '"2024-01-02T03:04:05"'),
        ("datetime.datetime(2024, 1, 2, 3, 4, 5, 60)", '"2024-01-02T03:04:05.000060"'),
        ("datetime.datetime(2024, 1, 2, tzinfo=timezone.utc)", '"2024-01-02T00:00:00+00:00"'),
        (
            "datetime.datetime(2024, 1, 2, tzinfo=timezone(timedelta(seconds=3723)))",
            '"2024-01-02T00:00:00+01:02:03"',
        ),
        (
            "datetime.datetime(2024, 1, 2, tzinfo=timezone(timedelta(microseconds=-1)))",
            '"2024-01-02T00:00:00-00:00:00.000001"',
        ),
        ("datetime.datetime(1, 1, 1, tzinfo=Zone())", '"0001-01-01T00:00:00+01:02:03"'),
        ("Moment(2024, 1, 2)", '"once"'),
    ],
)
def test_datetimes_have_the_sdks_text(alike, value, text):
    assert alike.written(value) == text
    assert alike.written(f"{{'at': [{value}]}}") == f'{{"at":[{text}]}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{1: 'a', 2.5: 'b', -3: 'c'}", '{"-3":"c","1":"a","2.5":"b"}'),
        ("{10: 1, 9: 2}", '{"9":2,"10":1}'),
        ("{True: 1, False: 2}", '{"false":2,"true":1}'),
        ("{None: 1}", '{"null":1}'),
        ("{nan: 1, inf: 2}", '{"NaN":1,"Infinity":2}'),
        ("{1e16: 1}", '{"1e+16":1}'),
        ("{2**70: 1}", '{"1180591620717411303424":1}'),
        ("{http.HTTPStatus.OK: 1}", '{"200":1}'),
        ("{Text('t'): 1}", '{"t":1}'),
        ("{LoudText('t'): 1}", '{"t":1}'),
        ("{Number(3): 1, Number(2): 2}", '{"2":2,"3":1}'),
        ("{Real(1.25): 1}", '{"1.25":1}'),
        ("{'b': 1, 'a': {'d': 1, 'c': 2}}", '{"a":{"c":2,"d":1},"b":1}'),
        ("{'é': 1, 'z': 2, '😀': 3, '\\uffff': 4}", '{"z":2,"\\u00e9":1,"\\uffff":4,"\\ud83d\\ude00":3}'),
        ("{'\\ud800': 1}", '{"\\ud800":1}'),
    ],
)
def test_keys_are_written_and_sorted_as_the_sdk_does(alike, value, text):
    assert alike.written(value) == text


def test_keys_that_become_the_same_are_all_written(alike):
    assert alike.written("[{1.0: 'a'}, {'x': {True: 1}}]") == '[{"1.0":"a"},{"x":{"true":1}}]'
    assert alike.written("{Text('a'): 1, LoudText('b'): 2}") == '{"a":1,"b":2}'


@pytest.mark.parametrize("value", ["{1: 'a', '1': 'b'}", "{None: 1, 'a': 2}", "{None: 1, 2: 3}"])
def test_keys_that_cannot_be_sorted_are_refused(alike, value):
    with pytest.raises(TypeError, match="not supported between"):
        alike.written(value)


@pytest.mark.parametrize(
    "key",
    [
        "(1, 2)",
        "b'b'",
        "UUID(int=1)",
        "date(2024, 1, 1)",
        "datetime.datetime(2024, 1, 1)",
        "Decimal(1)",
        "frozenset()",
    ],
)
def test_keys_that_the_sdk_refuses_are_refused(alike, key):
    with pytest.raises(TypeError, match="keys must be str, int, float, bool or None"):
        alike.written(f"{{{key}: 1}}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("LoudText('sub')", '"sub"'),
        ("Text('sub')", '"sub"'),
        ("Number(7)", "7"),
        ("Real(2.25)", "2.25"),
        ("[Items([1]), Pair((2,)), Mapped(a=3)]", '[[1],[2],{"a":3}]'),
        ("ReversedItems([1, 2])", None),
        ("Shouting(a=1)", None),
        ("[True, 1, 1.0]", "[true,1,1.0]"),
        ("OrderedDict(b=1, a=2)", '{"a":2,"b":1}'),
        ("Counter('aab')", '{"a":2,"b":1}'),
        ("defaultdict(list, a=[1])", '{"a":[1]}'),
        ("types.MappingProxyType({'a': 1})", '["a"]'),
        ("collections.UserDict(a=1)", '["a"]'),
        ("KeyedMapping(a=1)", '["a"]'),
        ("collections.UserString('ab')", None),
    ],
)
def test_subclasses_of_built_in_types(alike, value, text):
    for place, expected in (("{}", "{}"), ("[{}]", "[{}]"), ("{{'a': {}}}", '{{"a":{}}}')):
        found = alike.encode(place.format(value))
        assert text is None or found.unwrap().decode() == expected.format(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{1}", "[1]"),
        ("frozenset(['a'])", '["a"]'),
        ("deque([1, (2,)])", "[1,[2]]"),
        ("range(3)", "[0,1,2]"),
        ("{'k': 1}.items()", '[["k",1]]'),
        ("Walk(1, nan)", "[1,NaN]"),
        ("iter([1, 2])", "[1,2]"),
        ("(n * 2 for n in range(3))", "[0,2,4]"),
        ("[iter([1]), nan, iter([2]), object]", None),
        ("[iter([1, 2]), Decimal(1)]", None),
        ("[iter([1, 2]), nan, Text('a'), {1: map(str, [1])}]", '[[1,2],NaN,"a",{"1":["1"]}]'),
        ("{'a': (n for n in [b'x', LoudText('y')])}", '{"a":[[120],"y"]}'),
    ],
)
def test_iterables_are_read_once_and_to_their_end(alike, value, text):
    if text is None:
        with pytest.raises(TypeError):
            alike.written(value)
    else:
        assert alike.written(value) == text


ENUMS = """
class E(Enum): ONE = 1; TWO = 'two'; ALIAS = 1
class I(IntEnum): ONE = 1; BIG = 2**70
class S(StrEnum): A = 'a'; ODD = '\\ud800'
class F(Flag): A = 1; B = 2
class IF(IntFlag): A = 1; B = 8
class SE(str, Enum): A = 'a'
class IE(int, Enum): T = True
class FE(float, Enum): X = 1.5
class TE(tuple, Enum): P = (1, 2)
@dataclass
class Holder: held: Any
"""


@pytest.mark.parametrize(
    ("value", "text"),
    [("I.ONE", "1"), ("I.BIG", str(2**70)), ("S.A", '"a"'), ("S.ODD", '"\\ud800"'), ("IF.A | IF.B", "9"),
        ("IF(9)", "9"), ("SE.A", '"a"'), ("IE.T", "1"),
     ("FE.X", "1.5"), ("{SE.A: I.ONE}", '{"a":1}'), ("{I.BIG: SE.A, I.ONE: 1}", f'{{"1":1,"{2**70}":"a"}}'),
     ("{FE.X: 1}", '{"1.5":1}')],
)  # fmt: skip
@pytest.mark.parametrize("place", ["{}", "[{}]"])
def test_enums_that_are_text_or_numbers_are_written_as_such(alike, value, text, place):
    assert alike.written(place.format(value), ENUMS) == place.format(text)


@pytest.mark.parametrize("value", ["E.ONE", "E.TWO", "E.ALIAS", "{'a': E.ONE}", "{E.ONE: 1}", "{F.A: 1}"])
@pytest.mark.parametrize("place", ["{}", "[{}]", "Holder({})"])
def test_other_enums_are_refused_as_the_sdk_refuses_them(alike, value, place):
    with pytest.raises(TypeError, match=r"not JSON serializable|keys must be"):
        alike.written(place.format(value), ENUMS)


@pytest.mark.parametrize("value", ["F.A", "F.A | F.B", "F(0)", "TE.P", "E", "I", "[F.B, TE.P]"])
@pytest.mark.parametrize("place", ["{}", "[{}]", "Holder({})"])
def test_enums_that_can_be_iterated_are_what_the_sdk_makes_of_them(alike, value, place):
    alike.encode(place.format(value), ENUMS)


def test_uuids(alike):
    assert alike.written("[UUID(int=1)]") == '["00000000-0000-0000-0000-000000000001"]'


@pytest.mark.parametrize(
    "value",
    [
        "Mirror()",
        "FullMirror()",
        "HasDict()",
        "V1Model()",
        "Model()",
        "ApplicationError('a')",
        "type('D', (), {'dict': 3})()",
        "HasDict(object())",
    ],
)
@pytest.mark.parametrize("place", ["{}", "[{}]", "{{'a': {}}}", "Holder({})"])
def test_objects_with_a_dict_method_or_a_parse_obj(alike, value, place):
    alike.encode(place.format(value), "@dataclass\nclass Holder:\n    held: Any")


@pytest.mark.parametrize("value", ["looped()", "looped_dict()", "[looped()]", "{'a': looped_dict()}"])
def test_cycles_are_refused(alike, value):
    with pytest.raises(ValueError, match="Circular reference detected"):
        alike.written(value)


def test_one_object_twice_is_no_cycle(alike):
    assert alike.written("twice([nan])") == "[[NaN],[NaN]]"
    assert alike.written("twice(looped_dict)", "looped_dict = Mapped(a=1)") == '[{"a":1},{"a":1}]'


@pytest.mark.parametrize("depth", [1, 100, 400, 900, 5_000, 200_000])
def test_deep_nesting_is_written_where_the_sdk_writes_it_and_else_refused(converter, depth):
    value: Any = None
    for _ in range(depth):
        value = [value]
    try:
        text = PayloadConverter.default.to_payload(value).data
    except RecursionError:
        with pytest.raises(RecursionError):
            converter.to_payload(value)
    else:
        assert converter.to_payload(value).data == text
