"""Payloads that are written and read back to see whether that works."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
)

from temporal_payloads._errors import reason_of
from temporal_payloads._operate.contexts import ReadingContexts
from temporal_payloads._operate.histories import reference_in_clear
from temporal_payloads._storage.diagnosing import Finding
from temporal_payloads._storage.errors import StorageTimeoutError, StorageUnavailableError
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporalio.converter import DataConverter, StorageDriverClaim

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._storage.managed_driver import ManagedDriver

TRIAL = "temporal-payloads-check"
"""The workflow type and id that the keys of such payloads bear."""
SMALL = 1024
"""Bytes of the payload that is stored with each driver."""
LARGEST = 8 * 1024 * 1024
"""Bytes of the value that goes through the converter, at most: thresholds beyond it never take effect."""


@dataclass
class Trials:
    """What was written, and what was found by that."""

    findings: list[Finding] = field(default_factory=list)
    written: dict[str, list[StorageDriverClaim]] = field(default_factory=dict)
    """The claims of what is in the stores now, by the keys of the drivers' tables."""
    referred: tuple[Payload, Payload] | None = None
    """A reference that the converter has made, and the payload for which it stands."""

    async def note(self, assembly: Assembly, namespace: str, sent: Payload) -> str:
        """Note what was stored if this is a reference, and say where that is."""
        if not is_reference(sent) and not is_encoded_reference(sent):
            return "inline"
        contexts = ReadingContexts(assembly.codecs.chain, namespace, TRIAL)
        reference = read_reference(await contexts.first(lambda chain: reference_in_clear(sent, chain)))
        for key, driver in assembly.drivers.items():
            if driver.name() == reference.driver_name:
                self.written.setdefault(key, []).append(reference.claim)
                return f"into the store of {key}"
        return "into a store"

    def failed(self, check: str, place: str, error: Exception, *, writing: bool = False) -> None:
        """Tell why something cannot be done, and what that may have left."""
        told = reason_of(error)
        self.findings.append(Finding(level="problem", check=check, place=place, message=told))
        if writing and isinstance(error, StorageTimeoutError | StorageUnavailableError):
            self.findings.append(
                Finding(
                    level="warning",
                    check="clean-up",
                    place=place,
                    message="The store did not answer, and may have taken what was written for this check: "
                    f"its key bears the workflow type {TRIAL}",
                    advice="Delete it by hand, or leave it to gc: nothing refers to it",
                )
            )


async def try_all(assembly: Assembly, usable: Mapping[str, ManagedDriver], namespace: str) -> Trials:
    """Write a payload with each driver that takes new ones, a value through the converter; read them back.

    Args:
        assembly: The converter, built without a cache: what is read must come from the stores.
        usable: The drivers that can be used, by their tables' keys.
        namespace: The Temporal namespace of the payloads.
    """
    trials = Trials()
    writable = set(assembly.settings.storage.writable_drivers)
    for key, driver in usable.items():
        if key in writable:
            await _try_driver(trials, key, driver, namespace)
    await _try_converter(trials, assembly, namespace)
    return trials


async def _try_driver(trials: Trials, key: str, driver: ManagedDriver, namespace: str) -> None:
    place = f"storage.drivers.{key}"
    payload = Payload(
        metadata={"encoding": b"binary/plain"}, data=f"{TRIAL} {secrets.token_hex(SMALL // 2)}".encode()
    )
    writing = True
    try:
        start = time.perf_counter()
        [claim] = await driver.store(StorageDriverStoreContext(target=_target(namespace)), [payload])
        stored = time.perf_counter()
        writing = False
        trials.written.setdefault(key, []).append(claim)
        [found] = await driver.retrieve(StorageDriverRetrieveContext(), [claim])
        retrieved = time.perf_counter()
    except Exception as error:  # noqa: BLE001  # a driver may raise anything
        trials.failed("write", place, error, writing=writing)
        return
    if found != payload:
        trials.findings.append(_differs("write", place))
        return
    trials.findings.append(
        Finding(
            level="ok",
            check="write",
            place=place,
            message=f"a payload of {payload.ByteSize():,} bytes was stored ({_ms(stored - start)}) and read "
            f"back ({_ms(retrieved - stored)})",
        )
    )


async def _try_converter(trials: Trials, assembly: Assembly, namespace: str) -> None:
    storage = assembly.settings.storage
    size = min(2 * int(storage.threshold) + SMALL, LARGEST)
    value = {TRIAL: secrets.token_urlsafe(size)}
    converter = converter_for(assembly, namespace)
    writing = True
    try:
        start = time.perf_counter()
        [plain] = converter.payload_converter.to_payloads([value])
        sent = await send(converter, plain)
        encoded = time.perf_counter()
        writing = False
        where = await trials.note(assembly, namespace, sent)
        got = await receive(converter, sent)
        [found] = converter.payload_converter.from_payloads([got])
        decoded = time.perf_counter()
    except Exception as error:  # noqa: BLE001  # a converter, codec or driver may raise anything
        trials.failed("round trip", "storage", error, writing=writing)
        return
    if found != value:
        trials.findings.append(_differs("round trip", "storage"))
        return
    if is_reference(sent) or is_encoded_reference(sent):
        trials.referred = (sent, plain)
    trials.findings.append(
        Finding(
            level="ok",
            check="round trip",
            place="storage",
            message=f"a value of {size:,} bytes went through the converter ({_ms(encoded - start)}), "
            f"{where}, "
            f"and came back the same ({_ms(decoded - encoded)})",
        )
    )


def converter_for(assembly: Assembly, namespace: str) -> DataConverter:
    """Return the converter as a client has it that starts a workflow."""
    return assembly.converter._with_contexts(  # noqa: SLF001  # as the SDK's own client does
        WorkflowSerializationContext(namespace=namespace, workflow_id=TRIAL),
        StorageDriverStoreContext(target=_target(namespace)),
    )


async def send(converter: DataConverter, payload: Payload) -> Payload:
    """Return a converted payload as it goes to the server: through the codecs, and stored if it is large."""
    return await converter._transform_outbound_payload(payload)  # noqa: SLF001  # there is no public way


async def receive(converter: DataConverter, payload: Payload) -> Payload:
    """Return a payload that came from the server as it goes to the payload converter."""
    return await converter._transform_inbound_payload(payload)  # noqa: SLF001  # there is no public way


def _target(namespace: str) -> StorageDriverWorkflowInfo:
    return StorageDriverWorkflowInfo(namespace=namespace, type=TRIAL, id=TRIAL)


def _differs(check: str, place: str) -> Finding:
    return Finding(
        level="problem",
        check=check,
        place=place,
        message="What came back is not what was written",
        advice="Look at what stands between this process and the store (a proxy, another process that writes "
        "there), and at the codecs and the payload converter",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
