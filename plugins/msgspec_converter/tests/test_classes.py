"""What is made of classes, case by case: dataclasses, typed dicts, named tuples, and what is like them."""

from pathlib import Path

import pytest
from support.differential.outcomes import json_payload
from support.differential.prelude import Stop
from support.differential.programs import Program, Run, sections
from temporalio.exceptions import ApplicationError

ORDER = """
@dataclass
class Item:
    sku: str
    quantity: int = 1

@dataclass
class Order:
    id: str
    items: list[Item] = field(default_factory=list)
    total: float = 0.0
    placed: Optional[datetime.datetime] = None
"""


def test_an_order_is_written_and_read(alike):
    order = "Order('o', [Item('a', 2), Item('b')], 1.5, datetime.datetime(2024, 1, 2, tzinfo=timezone.utc))"
    assert alike.written(order, ORDER) == (
        '{"id":"o","items":[{"quantity":2,"sku":"a"},{"quantity":1,"sku":"b"}],"placed":"2024-01-02T00:00:00+00:00","total":1.5}'
    )
    read = alike.back(order, "Order", ORDER)
    assert [item.quantity for item in read.items] == [2, 1]


def test_numbers_become_what_the_hints_say(alike):
    read = alike.read('{"id": "o", "items": [{"sku": "a", "quantity": 2.9}], "total": 3}', "Order", ORDER)
    assert (read.items[0].quantity, read.total) == (2, 3.0)
    assert isinstance(read.items[0].quantity, int)
    assert isinstance(read.total, float)


def test_unknown_fields_are_ignored_and_missing_ones_have_their_defaults(alike):
    read = alike.read('{"id": "o", "unknown": {"deep": [1]}}', "Order", ORDER)
    assert (read.items, read.total, read.placed) == ([], 0.0, None)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"id": 1}',
        '{"id": "o", "items": [1]}',
        '{"id": "o", "items": [{}]}',
        "[]",
        "1",
        '"o"',
        "null",
        '{"id": null}',
    ],
)
def test_what_does_not_fit_is_refused(alike, text):
    with pytest.raises(TypeError):
        alike.read(text, "Order", ORDER)


def test_the_last_of_doubled_keys_counts(alike):
    assert alike.read('{"id": 1, "id": "o", "id": "p"}', "Order", ORDER).id == "p"
    assert alike.read('{"id": "a", "items": 5, "items": []}', "Order", ORDER).items == []


ODD_DATACLASSES = sections(Path(__file__).with_name("odd_dataclasses.txt"))
"""What is odd about a dataclass: the class, and an object of it."""
TEXTS = [
    '{"x": 1}',
    '{"x": 1, "y": 2}',
    '{"y": 2, "x": 1.5, "z": 3}',
    '{"x": null}',
    "{}",
    '{"x": {"x": 1}, "dict": {}}',
    "[]",
    "1",
    '{"x": 1, "seed": 9}',
]


@pytest.mark.parametrize("case", ODD_DATACLASSES)
@pytest.mark.parametrize("place", ["{}", "[{}]", "{{'a': ({},)}}"])
def test_odd_dataclasses_are_written_alike(alike, case, place):
    source, value = ODD_DATACLASSES[case]
    alike.encode(place.format(value), source)


@pytest.mark.parametrize("case", ODD_DATACLASSES)
@pytest.mark.parametrize(
    "hint", ["C", "list[C]", "Optional[C]", "dict[str, C]", "Union[int, C]", "tuple[C, ...]"]
)
def test_odd_dataclasses_are_read_alike(alike, case, hint):
    source, _ = ODD_DATACLASSES[case]
    place = {"l": "[{}, {}]", "d": '{{"k": {}}}', "t": "[{}]"}.get(hint[0], "{}")
    alike.decode_each([place.format(text, text) for text in TEXTS], hint, source)


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        ("ValueError('no')", ValueError),
        ("TypeError('no')", TypeError),
        ("ApplicationError('no')", ApplicationError),
        ("Stop('no')", Stop),
    ],
)
def test_an_error_of_post_init_comes_out_as_it_is(alike, raised, kept):
    """A workflow that names this type among its failure types fails with it; a wrapped one would block it."""
    source = (
        f"@dataclass\nclass C:\n    x: int\n    def __post_init__(self):\n        if self.x: raise {raised}"
    )
    with pytest.raises(kept):
        alike.read('{"x": 1}', "C", source)
    assert alike.read('{"x": 0}', "C", source).x == 0
    with pytest.raises(Stop if kept is Stop else TypeError):
        alike.read('{"c": {"x": 1}}', "D", f"{source}\n@dataclass\nclass D:\n    c: C")


def test_a_subclass_in_a_field_declared_as_the_base_is_written_whole_and_read_as_the_base(alike):
    source = """
    @dataclass
    class Base:
        x: int
    @dataclass
    class Sub(Base):
        y: int = 2
    @dataclass
    class Holder:
        held: Base
    """
    assert alike.written("Holder(Sub(1))", source) == '{"held":{"x":1,"y":2}}'
    assert type(alike.back("Holder(Sub(1))", "Holder", source).held).__name__ == "Base"


def test_generic_dataclasses_ignore_their_arguments_as_the_sdk_does(alike):
    source = "@dataclass\nclass Box(Generic[T]):\n    held: T"
    for hint in ("Box", "Box[int]", "Box[datetime.datetime]", "list[Box[int]]"):
        alike.decode('{"held": 1}' if hint[0] == "B" else '[{"held": "1"}]', hint, source)


def test_forward_references_are_found_once_their_class_exists(converter):
    """What could not be resolved once is not given up for good."""
    run = Run(Program(("@dataclass\nclass Early:\n    late: 'Late'",), "Early", postponed=True))
    payload = json_payload(b'{"late": {"x": 1}}')
    with run.current(), pytest.raises(NameError):
        converter.from_payload(payload, run.hint)
    run.execute("@dataclass\nclass Late:\n    x: int")
    with run.current():
        assert converter.from_payload(payload, run.hint).late.x == 1


TYPED = """
class Movie(TypedDict):
    title: str
    year: int
class Partial(Movie, total=False):
    rating: float
    tags: Required[list[str]]
class Loose(TypedDict, total=False):
    x: int
class Nested(TypedDict):
    movie: Movie
    more: NotRequired[dict[str, Movie]]
class Nothing(TypedDict):
    pass
"""


@pytest.mark.parametrize(
    "hint", ["Movie", "Partial", "Loose", "Nested", "Nothing", "list[Movie]", "Union[Movie, Loose]"]
)
@pytest.mark.parametrize(
    "text",
    [
        "{}", '{"title": "t", "year": 1}', '{"year": 1.9, "title": "t", "unknown": 3}', '{"title": "t"}',
        '{"title": 1, "year": 1}', '{"x": 1.5}',
        '{"title": "t", "year": 1, "rating": 1, "tags": ["a"]}', '{"movie": {"year": 1, "title": "t"}}',
        '{"movie": {}, "more": {"a": {"title": "t"}}}',
        "[]", '[{"title": "t", "year": 2}]', "null", '{"title": null, "year": true}',
    ],
)  # fmt: skip
def test_typed_dicts(alike, hint, text):
    alike.decode(text, hint, TYPED)


@pytest.mark.parametrize("hint", ["N", "M", "list[N]", "Optional[N]", "tuple[N, ...]"])
@pytest.mark.parametrize(
    "text", ["[1, [2]]", "[]", "[1]", '["a", 1, 2]', '{"a": 1, "b": 2}', '"ab"', "null", "[[1, 2]]"]
)
def test_named_tuples(alike, hint, text):
    source = "class N(NamedTuple):\n    a: int\n    b: list[float] = []\nM = namedtuple('M', 'a b')"
    alike.decode(text, hint, source)
    alike.encode("[N(1), M(1, nan), {'n': N(2, [inf])}]", source)


@pytest.mark.parametrize(
    "hint",
    [
        "Struct",
        "Attrs",
        "Model",
        "Plain",
        "V1Model",
        "HasDict",
        "list[Struct]",
        "Optional[Model]",
        "Union[Attrs, int]",
    ],
)
@pytest.mark.parametrize("text", ['{"x": 1}', "{}", '[{"x": 1}]', "1", '{"x": "no", "value": 3}'])
def test_classes_that_the_sdk_does_not_know(alike, hint, text):
    alike.decode(text, hint)
