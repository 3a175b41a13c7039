"""`docs/conformance.md` has all promises of the kit. Run as a program, this module writes the page."""

from pathlib import Path

from temporal_payloads.testing import (
    CodecConformance,
    DriverConformance,
    KeyProviderConformance,
    PayloadConverterConformance,
)
from temporal_payloads.testing._driver_collecting import DriverCollecting
from temporal_payloads.testing._plugin import PluginConformance

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"
KITS = {
    "Every plugin": PluginConformance,
    "Storage drivers": DriverConformance,
    "Drivers that can be listed and cleaned up": DriverCollecting,
    "Codecs": CodecConformance,
    "Payload converters": PayloadConverterConformance,
    "Key providers": KeyProviderConformance,
}
FOR_WHOM: dict[type, str] = {
    DriverCollecting: """\
These bind a driver that is a `CollectableDriver` too; for others they are skipped. Where `why_not_collected`
says why nothing is to be put aside, only those bind that say what `claim_for`, `shards` and `list_payloads`
return.

""",
}
INTRODUCTION = """\
# What a plugin promises

The conformance kit, `temporal_payloads.testing`, holds a plugin to these promises. A class of yours derives
from one of `DriverConformance`, `CodecConformance`, `PayloadConverterConformance` and
`KeyProviderConformance`, gives the fixtures `plugin` and `settings`, and pytest does the rest
([plugins.md](plugins.md)). A test that fails says which promise was broken, what happened, and what usually
causes it:

    Promised: Claims and payloads are in order. `store` returns the claim of each payload in its place, ...
    Happened: claim 2 is that of payload 5
    Usually:  results taken in the order in which requests end (`as_completed`), or kept in a set.

No failure prints a payload: payloads are named by index, size, encoding and the beginning of their SHA-256.

The fixture `unusable_settings` of drivers and key providers is optional: settings that are well-formed, and
under which the store or the keys cannot be had (a port where nobody listens, a wrong password). With them the
kit sees that errors are told in a plugin's own words, and that no secret is in them. A secret of fewer than
six characters is not looked for.

A promise that a plugin cannot keep is left out by name, with the reason beside it:
`test_equal_payloads_have_equal_claims = None`.
"""


def promises(kit):
    """Return the tests of a kit by their names, in the order in which they are written."""
    names = [name for base in reversed(kit.__mro__) for name in vars(base) if name.startswith("test_")]
    return {name: getattr(kit, name) for name in dict.fromkeys(names)}


def page():
    """Return the whole page."""
    parts = [INTRODUCTION]
    for title, kit in KITS.items():
        parts.append(f"\n## {title}\n\n{FOR_WHOM.get(kit, '')}")
        bases = [base for base in KITS.values() if base is not kit and issubclass(kit, base)]
        elsewhere = {test for base in bases for test in promises(base).values()}
        parts += [
            f"- `{name}`. {test.promise}\n  Usually broken by {test.usually}\n"
            for name, test in promises(kit).items()
            if test not in elsewhere
        ]
    return "".join(parts)


def test_the_page_has_every_promise_of_the_kit():
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it anew: python {Path(__file__).name}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
