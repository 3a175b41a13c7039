"""Class statements: dataclasses above all, with everything that may be odd about them."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from support.differential.hints import hint
from support.differential.programs import sections
from support.differential.shapes import COMMON, Builder, Field, Model, Shape, anything, constant

if TYPE_CHECKING:
    from collections.abc import Callable

FIELD_NAMES = [
    "x", "y", "count", "name", "_private", "class_", "type", "id", "größe", "名", "A", "items", "value",
    "x1", "format",
    "dict", "to_json", "parse_obj", "keys", "cls", "field", "hint", "mro",
]  # fmt: skip


BODIES, METACLASSES, ENUM_BODIES = (
    statements.split("\n\n")
    for statements, *_ in sections(Path(__file__).with_name("odd_bodies.txt")).values()
)
"""What classes may hold beside their fields; `{0}` is the class's name, `{1}` its first field."""


def dataclass_(b: Builder, depth: int) -> Shape:
    """Declare a dataclass."""
    name = b.new_name("C")
    base = b.pick(sorted(b.models)) if b.models and b.chance(3) else None
    frozen = b.models[base].frozen if base else b.chance(4)
    slots = b.chance(4)
    keyword = b.chance(6)
    options = {
        "frozen": frozen, "slots": slots, "weakref_slot": slots and b.chance(3), "kw_only": keyword,
        "order": b.chance(10),
        "unsafe_hash": b.chance(10),
    }  # fmt: skip
    decorator = [f"{option}=True" for option, on in options.items() if on] + ["eq=False"] * (
        not options["order"] and b.chance(8)
    )
    inherited = b.models[base].fields if base else []
    itself = Shape(f"Optional['{name}']" if b.chance(2) else f"list['{name}']", lambda b, _: "None")
    if itself.hint.startswith("list"):
        itself = Shape(itself.hint, constant("[]"))
    fields = _fields(b, depth, inherited, itself, keyword=keyword)
    generic = base is None and not slots and b.odd(8)
    parents = [base] if base else []
    head = ""
    if b.odd(12) and not base:
        head = b.pick(METACLASSES).format(name)
        parents.append(f"metaclass=Meta{name}")
    if generic:
        parents = ["Generic[T]", *parents]
    lines = [f.line for f in fields]
    if keyword is False and b.chance(12):
        lines.append("_: KW_ONLY")
        late = _fields(b, 0, [*inherited, *fields], itself, keyword=True)
        lines += [f.line for f in late]
        fields += late
    if generic:
        lines.insert(0, "generic: T")
        fields.insert(0, Field("generic", Shape("T", anything), "", "required"))
    everything = [*inherited, *fields]
    for _ in b.some(2) if b.odd(2) else ():
        first = everything[0].name if everything else "x"
        lines.append(b.pick(BODIES).format(name, first))
    undecorated = base is not None and b.odd(8)
    body = indent("\n".join(lines) or "pass", "    ")
    statement = f"{head}\n\n" if head else ""
    if not undecorated:
        statement += f"@dataclass({', '.join(decorator)})\n"
    statement += f"class {name}{'(' + ', '.join(parents) + ')' if parents else ''}:\n{body}"
    taken = inherited if undecorated else everything
    b.models[name] = Model(taken, frozen)
    shape = Shape(name, _instances(name, taken), hashable=frozen)
    b.declare(statement, shape)
    if generic:
        item = b.pick(COMMON)
        b.declared.append(Shape(f"{name}[{item.hint}]", shape.value))
    return shape


def _fields(b: Builder, depth: int, inherited: list[Field], itself: Shape, *, keyword: bool) -> list[Field]:
    """Draw fields: those without a default first, where Python asks for that."""
    names = b.field_names(FIELD_NAMES, [f.name for f in inherited])
    fields = [
        _field(b, name, itself if b.chance(10) else hint(b, depth - 1), keyword=keyword) for name in names
    ]
    if not keyword:
        late = any(f.given == "optional" and not f.keyword for f in inherited)
        fields = [f for f in fields if not (late and f.given == "required")]
        fields.sort(key=lambda f: f.given != "required")
    return fields


def _field(  # noqa: C901, PLR0911  # a table
    b: Builder, name: str, shape: Shape, *, keyword: bool
) -> Field:
    default = b.pick(["None", "1", "'default'", "(1,)", "nan"])
    if b.chance(3):
        default = shape.value(b, 0) if shape in COMMON else default
    factories = ["lambda: [1]", "number", "lambda: note('made')", "str", "Items"]
    factory = b.pick(factories if b.odd(2) else ["list", "dict", "set"])
    annotated = f"{name}: {shape.hint}"
    forms = ["plain"] * 6 + ["default"] * 2 + ["factory"] * 2
    if b.odd(2):
        forms = ["init=False", "init=False default", "init=False factory", "silent", "keyword", "InitVar"]
    form = b.pick(forms)
    match form:
        case "default":
            return Field(name, shape, f"{annotated} = {default}", "optional", keyword)
        case "factory":
            return Field(name, shape, f"{annotated} = field(default_factory={factory})", "optional", keyword)
        case "init=False":
            return Field(name, shape, f"{annotated} = field(init=False)", "", keyword)
        case "init=False default":
            return Field(name, shape, f"{annotated} = field(init=False, default={default})", "", keyword)
        case "init=False factory":
            return Field(
                name, shape, f"{annotated} = field(init=False, default_factory={factory})", "", keyword
            )
        case "silent":
            options = "repr=False, compare=False, hash=False, metadata={'name': 'other', 'rename': 'z'}"
            return Field(name, shape, f"{annotated} = field({options})", "required", keyword)
        case "keyword":
            return Field(
                name, shape, f"{annotated} = field(kw_only=True)", "optional" if keyword else "keyword", True
            )
        case "InitVar":
            return Field(name, shape, f"{name}: InitVar[{shape.hint}] = {default}", "optional", keyword)
    return Field(name, shape, annotated, "required", keyword)


def _instances(name: str, fields: list[Field]) -> Callable[[Builder, int], str]:
    def value(b: Builder, depth: int) -> str:
        given = {}
        for f in fields:
            if f.given in ("required", "keyword") or (f.given == "optional" and not b.chance(2)):
                given[f.name] = b.value(f.shape, depth - 1)
        made = f"{name}({', '.join(f'{key}={each}' for key, each in given.items())})"
        match b.pick(["changed", "added", "without", "touched"]) if b.odd(4) else "plain":
            case "changed" if fields:
                return f"changed({made}, {b.pick(fields).name}={anything(b, depth - 1)})"
            case "added":
                return f"changed({made}, extra={anything(b, depth - 1)})"
            case "without" if fields:
                return f"without({made}, '{b.pick(fields).name}')"
            case "touched":
                return f"touched({made}, 'computed')"
        return made

    return value


def made_dataclass(b: Builder, depth: int) -> Shape:
    """Declare a dataclass by `make_dataclass`."""
    name = b.new_name("D")
    names = b.field_names([each for each in FIELD_NAMES if not each.startswith("__")], [])
    fields = [Field(each, hint(b, depth - 1), "", "required") for each in names]
    listed = ", ".join(f"({f.name!r}, {f.shape.hint})" for f in fields)
    options = b.pick(["", ", frozen=True", ", slots=True", ", kw_only=True", ", namespace={'extra': 1}"])
    b.models[name] = Model(fields, "frozen" in options)
    return b.declare(
        f"{name} = make_dataclass({name!r}, [{listed}]{options})", Shape(name, _instances(name, fields))
    )


def named_tuple(b: Builder, depth: int) -> Shape:
    """Declare a NamedTuple."""
    name = b.new_name("N")
    names = [each for each in b.field_names(FIELD_NAMES, []) if not each.startswith("_")]
    shapes = [hint(b, depth - 1) for _ in names]
    if b.chance(4):
        statement = f"{name} = namedtuple({name!r}, {names!r})"
    else:
        body = (
            "\n".join(f"    {each}: {shape.hint}" for each, shape in zip(names, shapes, strict=True))
            or "    pass"
        )
        statement = f"class {name}(NamedTuple):\n{body}"

    def value(b: Builder, depth: int) -> str:
        return f"{name}({', '.join(b.value(shape, depth - 1) for shape in shapes)})"

    return b.declare(statement, Shape(name, value, all(shape.hashable for shape in shapes)))


def typed_dict(b: Builder, depth: int) -> Shape:
    """Declare a TypedDict."""
    name = b.new_name("TD")
    names = [each for each in b.field_names(FIELD_NAMES, []) if not each.startswith("__")]
    shapes = {each: hint(b, depth - 1) for each in names}
    marks = {each: b.pick(["{}", "{}", "NotRequired[{}]", "Required[{}]"]) for each in names}
    total = b.pick(["", ", total=False"])
    parents = [shape.hint for shape in b.declared if shape.hint.startswith("TD")]
    parent = (
        b.pick(parents) if parents and b.chance(3) else b.pick(["TypedDict", "TypedDict", "typing.TypedDict"])
    )
    if parent.startswith("typing."):
        marks = dict.fromkeys(names, "{}")
    body = (
        "\n".join(f"    {each}: {marks[each].format(shape.hint)}" for each, shape in shapes.items())
        or "    pass"
    )

    def value(b: Builder, depth: int) -> str:
        pairs = [
            f"{each!r}: {b.value(shape, depth - 1)}" for each, shape in shapes.items() if not b.chance(5)
        ]
        if b.chance(8):
            pairs.append(f"'unknown': {anything(b, 0)}")
        return "{" + ", ".join(pairs) + "}"

    return b.declare(f"class {name}({parent}{total}):\n{body}", Shape(name, value))


def new_type(b: Builder, depth: int) -> Shape:
    """Declare a NewType."""
    name = b.new_name("New")
    base = b.pick(COMMON) if b.chance(2) else hint(b, depth - 1)
    return b.declare(f"{name} = NewType({name!r}, {base.hint})", Shape(name, base.value, base.hashable))


ENUMS = {
    "Enum": ["1", "'a'", "1.5", "None", "(1, 'a')", "[1]", "True", "2**70", "nan", "1"],
    "IntEnum": ["0", "1", "-5", "2**63", "2**70", "True", "1"],
    "StrEnum": ["'a'", "''", "'é'", "'\\ud800'", "'1'", "'a'"],
    "Flag": ["1", "2", "4", "3"],
    "IntFlag": ["1", "2", "8", "3"],
    "str, Enum": ["'a'", "'b c'", "''", "'a'"],
    "int, Enum": ["1", "2", "True", "-7", "1"],
    "float, Enum": ["1.5", "2.0", "nan", "1.5"],
    "Text, Enum": ["'a'", "'b'"],
    "bytes, Enum": ["b'a'", "b''"],
    "tuple, Enum": ["(1, 2)", "()"],
}


def enum(b: Builder, _: int) -> Shape:
    """Declare an enum, with odd values and aliases."""
    name = b.new_name("E")
    base = b.pick(sorted(ENUMS))
    values = [b.pick(ENUMS[base]) for _ in b.some(4, 1)]
    lines = [f"m{i} = {value}" for i, value in enumerate(values)]
    if b.chance(4):
        lines.append(b.pick(ENUM_BODIES))
    members = [f"{name}.m{i}" for i in range(len(values))]
    if "Flag" in base:
        members += [f"{name}.m0 | {name}.m{len(values) - 1}", f"{name}(0)"]
    statement = f"class {name}({base}):\n" + indent("\n".join(lines), "    ")
    return b.declare(statement, Shape(name, constant(*members, *values[:1]), hashable=True))


DECLARATIONS = [dataclass_] * 8 + [made_dataclass, named_tuple, typed_dict, typed_dict, new_type, enum, enum]


def declarations(b: Builder, most: int, least: int = 0) -> None:
    """Draw the statements of a program."""
    for _ in b.some(most, least):
        declaration = dataclass_ if b.plain and not b.odd(2) else b.pick(DECLARATIONS)
        declaration(b, 2)
