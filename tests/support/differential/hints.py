"""Hints, the ones that hold no other and those that do."""

from __future__ import annotations

from support.differential.shapes import (
    COMMON,
    INT,
    LEAVES,
    PLAIN_LEAVES,
    STR,
    Builder,
    Shape,
    keys,
    mapping,
    sequence,
)


def hint(b: Builder, depth: int) -> Shape:
    """Draw a hint."""
    if b.declared and b.chance(3):
        return b.pick(b.declared)  # type: ignore[no-any-return]  # st.sampled_from says Any
    if depth <= 0 or b.chance(3):
        leaves = LEAVES if b.odd(2) else [*COMMON, *PLAIN_LEAVES]
        return b.pick(leaves)  # type: ignore[no-any-return]  # likewise
    return compound(b, depth)


def compound(b: Builder, depth: int) -> Shape:  # noqa: PLR0911  # a table
    """Draw a hint that holds others."""
    kinds = [
        "list",
        "dict",
        "optional",
        "union",
        "tuple",
        "tuple...",
        "set",
        "sequence",
        "mapping",
        "annotated",
    ]
    kind = b.pick(kinds if b.odd(1) else ["list", "list", "dict", "optional", "optional", "tuple...", "set"])
    item = hint(b, depth - 1)
    match kind:
        case "list":
            return Shape(f"{b.pick(['list', 'typing.List'])}[{item.hint}]", sequence("[{}]", item))
        case "set":
            form, holder = b.pick(
                [("{{{}}}", "set"), ("frozenset([{}])", "frozenset"), ("deque([{}])", "deque"),
                    ("{{{}}}", "typing.Set"),
                 ("frozenset([{}])", "collections.abc.Set"), ("frozenset([{}])", "typing.FrozenSet"),
                 ("deque([{}])", "typing.Deque")]
            )  # fmt: skip
            item = item if item.hashable or "deque" in form else b.pick(COMMON)
            least = 1 if form == "{{{}}}" else 0
            # The order of a set's items is nobody's, so there is one.
            most = 3 if "deque" in form else 1
            value = sequence(form, item, least, most)
            return Shape(f"{holder}[{item.hint}]", lambda b, depth: value(b, max(depth, least)))
        case "sequence":
            holder = b.pick(["typing.Sequence", "collections.abc.Sequence", "typing.Iterable",
                "collections.abc.Collection",
                             "collections.abc.MutableSequence", "typing.AbstractSet",
                             "typing.Iterator"])  # fmt: skip
            return Shape(f"{holder}[{item.hint}]", sequence(b.pick(["[{}]", "({})", "deque([{}])"]), item))
        case "tuple":
            items = [item, *(hint(b, depth - 1) for _ in b.some(2))]
            holder = b.pick(["tuple", "typing.Tuple"])

            def fixed(b: Builder, depth: int) -> str:
                given = items[: b.pick([len(items)] * 8 + [0, 1])] + [INT] * b.chance(10)
                return f"({' '.join(b.value(each, depth - 1) + ',' for each in given)})"

            return Shape(
                f"{holder}[{', '.join(each.hint for each in items)}]",
                fixed,
                all(each.hashable for each in items),
            )
        case "tuple...":
            return Shape(f"tuple[{item.hint}, ...]", sequence("({})", item), item.hashable)
        case "dict" | "mapping":
            key = key_hint(b)
            holder, form = b.pick(
                [("dict", "{}")] * 3 + [("typing.Dict", "{}"), ("typing.Mapping", "{}"),
                    ("collections.abc.MutableMapping", "{}"),
                 ("OrderedDict", "OrderedDict({})"), ("defaultdict", "defaultdict(int, {})"),
                 ("collections.abc.Mapping", "Mapped({})")]
            )  # fmt: skip
            return Shape(f"{holder}[{key.hint}, {item.hint}]", mapping(form, key, item))
        case "optional":
            form = b.pick(["Optional[{}]", "Union[None, {}]", "Union[{}, None]"])
            return Shape(
                form.format(item.hint),
                lambda b, depth: "None" if b.chance(3) else b.value(item, depth),
                item.hashable,
            )
        case "annotated":
            note = b.pick(
                [
                    "'note'",
                    "msgspec.Meta(gt=1000)",
                    "msgspec.Meta(max_length=0)",
                    "msgspec.Meta(pattern='^z$')",
                    "field()",
                    "[]",
                    "{}",
                ]
            )
            return Shape(f"Annotated[{item.hint}, {note}]", item.value, item.hashable)
    members = [item, *(hint(b, depth - 1) for _ in b.some(3, 1))]
    return Shape(
        f"Union[{', '.join(each.hint for each in members)}]",
        lambda b, depth: b.value(b.pick(members), depth),
        all(each.hashable for each in members),
    )


def key_hint(b: Builder) -> Shape:
    """Draw the hint of a mapping's keys."""
    if b.plain and not b.odd(2):
        return b.pick([STR, STR, STR, INT])  # type: ignore[no-any-return]  # st.sampled_from says Any
    hashable = [shape for shape in b.declared if shape.hashable]
    if hashable and b.chance(4):
        return b.pick(hashable)  # type: ignore[no-any-return]  # st.sampled_from says Any
    if b.chance(6):
        return Shape(
            b.pick(["Any", "object", "T", "Optional[int]", "Union[int, str]", "Union[str, int]",
                "Literal['a', 'b']", "tuple[int, int]", "Text",
                    "Annotated[int, 1]", "Union[bool, int]", "Optional[bool]", "bytes", "Decimal",
                    "re.RegexFlag", "http.HTTPStatus"]),
            keys, hashable=True,
        )  # fmt: skip
    return STR if b.chance(2) else b.pick(COMMON)
