"""Everything that is looked at, in the order in which one thing needs another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from temporal_payloads._operate.doctor.codec_samples import CodecSample, try_codecs
from temporal_payloads._operate.doctor.codec_server import CodecServerCheck
from temporal_payloads._operate.doctor.stores import look_at_stores
from temporal_payloads._operate.doctor.temporal import NamespaceFacts, compare_expiry, look_at_namespaces
from temporal_payloads._operate.doctor.trial import try_all
from temporal_payloads._operate.namespaces import namespaces_of_settings
from temporal_payloads._storage.diagnosing import DiagnosisContext, Finding, Use

if TYPE_CHECKING:
    from temporalio.client import Client

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._storage.managed_driver import ManagedDriver

TEMPORAL_SECONDS = 10.0
"""How long the server may take to answer all that it is asked."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be looked at."""

    use: Use = "worker"
    """What this process is to do, whose rights in the stores are looked at."""
    use_named: bool = True
    """Whether somebody has said so; if not, it may be one that only reads."""
    write: bool = False
    """Whether payloads are stored, read back and removed again."""
    namespaces: Sequence[str] = ("default",)
    namespaces_named: bool = True
    """Whether somebody has named them. If not, those that the settings name are looked at in the stores."""
    codec_server: str | None = None
    """Its address."""
    codec_authorization: str = field(default="", repr=False)
    ui_origin: str | None = None
    """Of the Web UI that shall use that server; by default the first in `codec_server.allowed_origins`."""


@dataclass
class Examination:
    """What was found."""

    findings: list[Finding] = field(default_factory=list)
    codec_samples: list[CodecSample] = field(default_factory=list)


async def examine(
    assembly: Assembly,
    usable: Mapping[str, ManagedDriver],
    wanted: Wanted,
    *,
    clients: Sequence[Client] = (),
    no_temporal: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Examination:
    """Look at stores, codecs, Temporal, and a codec server if one is named.

    Args:
        assembly: The converter, built without a cache. Its drivers are opened if they are not.
        usable: The drivers whose stores answer, by their tables' keys; those that are off are not looked at.
        wanted: What is to be looked at.
        clients: Of the Temporal server, one for each namespace; none if it could not be reached.
        no_temporal: Why there are none.
        now: Tells the local time.
    """
    usable = {key: driver for key, driver in usable.items() if not driver.off}
    found = Examination()
    facts = await _ask_temporal(found, assembly, clients, no_temporal)
    found.findings += facts.findings
    chain = assembly.codecs.chain
    if chain.codecs:
        found.codec_samples, told = await try_codecs(chain)
        found.findings += told
    of_settings = () if wanted.namespaces_named else namespaces_of_settings(assembly.settings)
    namespaces = of_settings or wanted.namespaces
    namespace = _namespace_of_trials(assembly, namespaces)
    trials = await try_all(assembly, usable, namespace) if wanted.write else None
    if trials is not None:
        found.findings += trials.findings
    if wanted.codec_server is not None:
        check = CodecServerCheck(
            wanted.codec_server,
            namespace,
            assembly,
            trials,
            origin=wanted.ui_origin or assembly.settings.codec_server.allowed_origins[0],
            authorization=wanted.codec_authorization,
        )
        found.findings += await check.run()
    context = DiagnosisContext(
        place="storage",
        use=wanted.use,
        use_named=wanted.use_named,
        namespaces=tuple(namespaces),
        namespaces_named=wanted.namespaces_named or bool(of_settings),
        retention=facts.longest_retention,
        now=now,
    )
    tables = assembly.settings.storage.drivers
    found.findings += await look_at_stores(
        usable,
        context,
        trials.written if trials is not None else {},
        [key for key in usable if key in tables and not tables[key].takes_new_payloads],
    )
    found.findings += await compare_expiry(clients, usable, facts)
    return found


async def _ask_temporal(
    found: Examination, assembly: Assembly, clients: Sequence[Client], no_temporal: str | None
) -> NamespaceFacts:
    if not clients:
        why = no_temporal or "it was not asked"
        found.findings.append(
            Finding(
                level="skipped",
                check="Temporal",
                message=f"the namespaces' retention and limits are not known: {why}",
            )
        )
        return NamespaceFacts()
    try:
        async with asyncio.timeout(TEMPORAL_SECONDS):
            return await look_at_namespaces(clients, assembly.settings.storage)
    except (RPCError, TimeoutError) as error:
        told = error.message if isinstance(error, RPCError) else f"no answer in {TEMPORAL_SECONDS:g} seconds"
        found.findings.append(
            Finding(
                level="problem",
                check="Temporal",
                message=f"The server does not tell of the namespaces: {told}",
                advice="Grant the role to describe namespaces, or correct --address",
            )
        )
        return NamespaceFacts()


def _namespace_of_trials(assembly: Assembly, namespaces: Sequence[str]) -> str:
    """Return a namespace in which this process may store."""
    allowed = assembly.settings.storage.namespaces
    return next(
        (name for name in namespaces if allowed is None or name in allowed), (allowed or namespaces)[0]
    )
