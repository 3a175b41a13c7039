"""What `temporal-payloads check` says: the settings, what was found of codecs and drivers, and the peers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.codecs_found import FoundCodec
from temporal_payloads._cli.document import sources_as_json
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.findings import examination_as_json
from temporal_payloads._cli.output import bad, good, heading, say, table, warn
from temporal_payloads._operate.doctor.examination import Examination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._settings.models import Route
    from temporal_payloads._settings.settings import PayloadSettings

_NO_ANSWER = ("StorageUnavailableError", "StorageTimeoutError")


@dataclass(frozen=True)
class CheckedDriver:
    """What was found out about a driver."""

    key: str
    name: str
    type: str
    retrieve_only: bool
    fallback: str | None
    """The key of the driver that takes what this one cannot."""
    moved_to: str | None
    """That of the driver that its payloads are moved to."""
    off: bool
    """Whether its own store is not used any more, and was not asked."""
    trusts_claims: bool
    """Whether it follows each claim, wherever it leads."""
    seconds: float
    error: dict[str, str] | None
    """Its `type` and `message`."""
    warning: str | None
    """What is no error, and must be known of the store."""


@dataclass(frozen=True)
class Compared:
    """What was found out about a peer."""

    peer: str
    differences: list[str]


@dataclass
class Found:
    """What was found out."""

    codecs: Sequence[FoundCodec] = ()
    drivers: Sequence[CheckedDriver] = ()
    peers: list[Compared] = field(default_factory=list)
    examination: Examination = field(default_factory=Examination)
    error: dict[str, str] | None = None
    """Why Temporal could not be asked, if it was to be."""

    @property
    def status(self) -> ExitStatus:
        """What all of it comes to."""
        errors = [codec.error for codec in self.codecs if codec.error]
        errors += [driver.error for driver in self.drivers if driver.error]
        if self.error or any(error["type"] in _NO_ANSWER for error in errors):
            return ExitStatus.UNFINISHED
        wrong = any(finding.level == "problem" for finding in self.examination.findings)
        differ = any(compared.differences for compared in self.peers)
        return ExitStatus.FOUND if errors or differ or wrong else ExitStatus.FINE


def as_parts(settings: PayloadSettings, assembly: Assembly | None, found: Found) -> dict[str, Any]:
    """Return what the document says, beside what all documents do."""
    storage = settings.storage
    return {
        "settings": sources_as_json(settings),
        "payload_converter": {
            "name": settings.payload_converter,
            "class": _payload_converter_class(assembly) if assembly else None,
            "sandbox_passthrough": list(assembly.sandbox_passthrough) if assembly else [],
        },
        "codecs": [codec.as_json() for codec in found.codecs],
        "require_encrypted": settings.require_encrypted,
        "drivers": [asdict(driver) for driver in found.drivers],
        "routes": [route.model_dump(mode="json", exclude_defaults=True) for route in storage.routes],
        "threshold": int(storage.threshold),
        "peers": [asdict(compared) for compared in found.peers],
        **examination_as_json(found.examination),
    }


def print_settings(settings: PayloadSettings) -> None:
    """Print where the settings come from."""
    sources = settings.sources
    say(heading("Settings"))
    rows = [
        ("file", sources.described_file),
        ("profile", sources.described_profile),
        ("variables", sources.described_variables),
    ]
    table((), rows)
    for warning in sources.warnings():
        warn(warning)


def print_payload_converter(assembly: Assembly) -> None:
    """Print which payload converter values go through."""
    say(heading("Payload converter"))
    name, modules = assembly.settings.payload_converter, assembly.sandbox_passthrough
    say(f"  {name} ({_payload_converter_class(assembly)})" if name else "  the SDK's own")
    if modules:
        say(f"  passed through the workflow sandbox: {', '.join(modules)}")


def _payload_converter_class(assembly: Assembly) -> str:
    converter = assembly.converter.payload_converter_class
    return f"{converter.__module__}.{converter.__qualname__}"


def print_drivers(settings: PayloadSettings, drivers: Sequence[CheckedDriver]) -> None:
    """Print the drivers, whether their stores answer, and which payloads go to which."""
    storage = settings.storage
    rows: list[tuple[str | Text, ...]] = []
    for driver in drivers:
        use = "retrieve only" if driver.retrieve_only else "store and retrieve"
        if driver.fallback:
            use += f", else {driver.fallback}"
        if driver.moved_to:
            use = f"retrieve from {driver.moved_to}" + ("" if driver.off else ", else from here")
        if driver.trusts_claims:
            use += "; claims are trusted"
        answers = good(f"answers ({driver.seconds * 1000:.0f} ms)")
        state = bad(driver.error["message"]) if driver.error else "off" if driver.off else answers
        rows.append((driver.key, driver.name, driver.type, use, state))
    if drivers:
        table(("KEY", "RECORDED AS", "TYPE", "USE", "STORE"), rows)
    else:
        say("  none: every payload stays in the history")
    for driver in drivers:
        if driver.warning:
            warn(f"storage.drivers.{driver.key}: {driver.warning}")
    if drivers:
        say(heading(f"Routes, of payloads from {int(storage.threshold):,} bytes on"))
        for route in storage.routes:
            say(f"  {_conditions(route)} -> {route.driver}")
        say(f"  {'everything else' if storage.routes else 'everything'} -> {storage.default_driver}")


def _conditions(route: Route) -> str:
    conditions = route.model_dump(mode="json", exclude_defaults=True, exclude={"driver"})
    parts = [
        f"{name} {', '.join(value) if isinstance(value, list | tuple) else f'{value:,}'}"
        for name, value in conditions.items()
    ]
    return " and ".join(parts) or "everything"


def print_peers(peers: Sequence[Compared]) -> None:
    """Print what is unsafe between here and each peer."""
    for compared in peers:
        say(heading(f"Compared with {compared.peer}"))
        if not compared.differences:
            say("  ", good("each reads what the other writes"), ", as far as codecs and keys go")
        for difference in compared.differences:
            say("  ", bad("unsafe:"), f" {difference}")
