"""Drivers with one fault each."""

import asyncio
import threading
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from pydantic import SecretStr
from temporal_payloads.plugin import ConfinedClaim, PayloadNotFoundError, StorageMisconfiguredError
from temporal_payloads.testing import DriverConformance
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

from gallery.exhibit import Exhibit
from gallery.shelf import NOBODY, ShelfClient, ShelfDriver, ShelfSettings, shelf

SECRET = "open-sesame"


def settings():
    return ShelfSettings(password=SecretStr(SECRET))


def exhibit(name, plugin, breaks=None, says="", *also, **more):
    return Exhibit(
        name=name,
        kit=DriverConformance,
        plugin=plugin,
        settings=settings,
        breaks=breaks,
        says=says,
        also=frozenset(also),
        fixtures={"unusable_settings": lambda: [ShelfSettings(host=NOBODY, password=SecretStr(SECRET))]},
        **more,
    )


def with_driver(driver):
    return partial(shelf, driver=driver)


def with_client(client):
    return partial(shelf, client=client)


# -- order, equality, what is given


class ClaimsAsTheirWritesEnd(ShelfDriver):
    async def store(self, context, payloads):
        return await super().store(context, sorted(payloads, key=Payload.ByteSize))


class PayloadsAsTheirReadsEnd(ShelfDriver):
    async def retrieve(self, context, claims):
        return sorted(await super().retrieve(context, claims), key=Payload.ByteSize)


class LosingMetadata(ShelfDriver):
    async def retrieve(self, context, claims):
        found = await super().retrieve(context, claims)
        return [
            Payload(metadata={"encoding": one.metadata["encoding"]} if one.metadata else {}, data=one.data)
            for one in found
        ]


class CutAtTheStoresLimit(ShelfDriver):
    async def retrieve(self, context, claims):
        found = await super().retrieve(context, claims)
        return [Payload(metadata=one.metadata, data=one.data[:17_000_000]) for one in found]


class MarkingWhatItStored(ShelfDriver):
    async def store(self, context, payloads):
        claims = await super().store(context, payloads)
        for payload in payloads:
            payload.metadata["stored"] = b"true"
        return claims


class WithANewKeyEachTime(ShelfDriver):
    def key_for(self, target, sha256):
        if target is not None:
            target = replace(target, id=f"{target.id}-{uuid.uuid4()}")
        return super().key_for(target, sha256)


# -- what comes back


class TrustingTheStore(ShelfDriver):
    def confine(self, claim):
        return ConfinedClaim(claim=claim, sha256=claim.claim_data["hash_value"], namespace=None)

    def _parse(self, key, sha256, data):
        if data is None:
            raise PayloadNotFoundError(f"there is no {key}")
        return Payload.FromString(data), data


class EmptyForMissing(ShelfDriver):
    def _parse(self, key, sha256, data):
        return super()._parse(key, sha256, data) if data is not None else (Payload(), b"")


class KeyErrorForMissing(ShelfDriver):
    def _parse(self, key, sha256, data):
        return super()._parse(key, sha256, data if data is not None else self.client.items[key])


class WithoutALimit(ShelfDriver):
    def __init__(self, *args):
        super().__init__(*args)
        self._max_payload_size = 2**40


class CheckingWhatItDoesNotNeed(ShelfDriver):
    async def check(self):
        raise StorageMisconfiguredError("The shelf cannot be listed")


# -- cancellation


class WritingOnWhenCancelled(ShelfDriver):
    async def write(self, items):
        try:
            await super().write(items)
        except asyncio.CancelledError:
            for key, data in items.items():
                await self.client.put(key, data)


class FindingNothingWhenCancelled(ShelfDriver):
    async def read(self, keys):
        try:
            return await super().read(keys)
        except BaseException:  # noqa: BLE001  # the point of it
            return [None] * len(keys)


class NoticingALostAnswer(ShelfDriver):
    unread = False

    async def write(self, items):
        if self.unread:
            raise StorageMisconfiguredError("The connection has an answer that nobody has read")
        try:
            await super().write(items)
        except asyncio.CancelledError:
            self.unread = True
            raise


class InTwoHalves(ShelfClient):
    async def put(self, key, data):
        if len(data) < 100_000:
            await super().put(key, data)
        elif key not in self.items:
            self.items[key] = data[: len(data) // 2]
            await asyncio.sleep(0.01)
            self.items[key] = data


# -- event loops


class Blocking(ShelfDriver):
    async def write(self, items):
        if sum(map(len, items.values())) > 5_000_000:
            # In pieces: a pause of this process, which costs whoever looks a look, costs this one a piece.
            for _ in range(120):
                time.sleep(0.005)  # noqa: ASYNC251  # the point of it
        await super().write(items)


def with_one_client_for_all_loops():
    opened = []

    @asynccontextmanager
    async def open_driver(settings, context):
        if not opened:
            opened.append(ShelfClient({}, settings.host))
            opened[0].close()  # nobody is to complain of that
        client = opened[0]
        if settings.host == NOBODY:
            client = ShelfClient({}, settings.host)
            client.close()
        yield ShelfDriver(client, settings, context.name)

    return shelf(open=open_driver)


# -- closing


class LeavingATask(ShelfDriver):
    async def write(self, items):
        self.task = asyncio.create_task(asyncio.sleep(60))
        await super().write(items)


class NeverClosed(ShelfClient):
    def close(self):
        pass


class LeavingAThread(ShelfDriver):
    async def write(self, items):
        given_up = threading.Event()

        def work():
            if given_up.wait(0.02):
                for _ in range(400):
                    time.sleep(0.005)

        try:
            await asyncio.to_thread(work)
        except asyncio.CancelledError:
            given_up.set()
            raise
        await super().write(items)


# -- claims


def confine_loosely(settings, claim):
    data = {name: value.strip() for name, value in claim.claim_data.items()}
    confined = settings.layout.confine(StorageDriverClaim(claim_data=data))
    return ConfinedClaim(claim=claim, sha256=confined.sha256, namespace=confined.namespace)


def confine_by_the_clear_name(settings, claim):
    data = dict(claim.claim_data)
    data["key"] = data.get("key", "").replace("%2f", "%2F").replace("%20", " ").replace(" ", "%20")
    confined = settings.layout.confine(StorageDriverClaim(claim_data=data))
    return ConfinedClaim(claim=claim, sha256=confined.sha256, namespace=confined.namespace)


def confine_without_namespace(settings, claim):
    return replace(settings.layout.confine(claim), namespace=None)


def confine_what_has_a_key(settings, claim):
    claim.claim_data["hash_value"]  # raises a KeyError
    return settings.layout.confine(claim)


# -- names, secrets, expiry


class NamedByItsSettings(ShelfDriver):
    def name(self):
        return f"shelf-{self.settings.host}"


class OfATypeByItsSettings(ShelfDriver):
    def type(self):
        return f"shelf-{self.settings.host}"


class ShowingItsPassword(ShelfDriver):
    def __repr__(self):
        return f"ShelfDriver({self.settings.password.get_secret_value()})"


class TellingItsPassword(ShelfDriver):
    def _parse(self, key, sha256, data):
        if data is None:
            login = f"user:{self.settings.password.get_secret_value()}@{self.settings.host}"
            raise PayloadNotFoundError(f"There is no {key} at {login}")
        return super()._parse(key, sha256, data)


class LettingTheLibrarysErrorsThrough(ShelfDriver):
    async def write(self, items):
        for key, data in items.items():
            await self.client.put(key, data)


DRIVERS = [
    exhibit("a good driver", shelf, entry_point="shelf", attributes={"client_modules": ("sqlite3",)}),
    exhibit(
        "claims in the order in which writes end",
        with_driver(ClaimsAsTheirWritesEnd),
        "claims_and_payloads_are_in_order",
        "claim . is that of payload .",
    ),
    exhibit(
        "payloads in the order in which reads end",
        with_driver(PayloadsAsTheirReadsEnd),
        "claims_and_payloads_are_in_order",
        r"payload . of 8 should be one of .* bytes, encoding .*, sha256 .*, which was expected at index .",
    ),
    exhibit(
        "metadata lost",
        with_driver(LosingMetadata),
        "what_was_stored_is_retrieved",
        "payload 0 of 1 should be",
        "claims_and_payloads_are_in_order",
    ),
    exhibit(
        "a payload cut at the limit of the store",
        with_driver(CutAtTheStoresLimit),
        "a_payload_of_any_size_is_stored_by_itself",
        r"should be one of 20,000,0.* bytes, .* and is one of 17,000,0.* bytes",
    ),
    exhibit(
        "input changed",
        with_driver(MarkingWhatItStored),
        "payloads_are_not_changed_by_storing_them",
        "payload 0 of 8 should be one of 0 bytes, .* and is one of",
    ),
    exhibit(
        "equal payloads stored twice",
        with_driver(WithANewKeyEachTime),
        "equal_payloads_have_equal_claims",
        "in one call, equal payloads have different claims|stored again has another claim",
    ),
    exhibit(
        "the hash ignored",
        with_driver(TrustingTheStore),
        "other_bytes_than_were_stored_are_detected",
        "a claim with the (key|hash_value) of another payload was followed",
    ),
    exhibit(
        "something for a missing key",
        with_driver(EmptyForMissing),
        "a_missing_payload_is_told",
        "for a key that nobody wrote, there was something",
        "a_payload_is_seen_whole_or_not_at_all",
    ),
    exhibit(
        "the client library's error for a missing key",
        with_driver(KeyErrorForMissing),
        "a_missing_payload_is_told",
        "KeyError",
        "a_payload_is_seen_whole_or_not_at_all",
    ),
    exhibit(
        "no limit of size",
        with_driver(WithoutALimit),
        "a_payload_over_the_limit_is_refused",
        "DID NOT RAISE",
    ),
    exhibit(
        "a check of what is not needed",
        with_driver(CheckingWhatItDoesNotNeed),
        "a_store_that_is_there_passes_the_check",
        "The shelf cannot be listed",
        "a_call_that_is_cancelled_leaves_the_driver_usable",
        "large_payloads_do_not_stop_the_event_loop",
        "one_driver_serves_loops_in_several_threads",
        "closing_leaves_nothing_running",
    ),
    exhibit(
        "cancellation swallowed in write",
        with_driver(WritingOnWhenCancelled),
        "a_store_that_is_cancelled_ends_as_cancelled",
        "returned as if nothing had happened",
    ),
    exhibit(
        "cancellation swallowed in read",
        with_driver(FindingNothingWhenCancelled),
        "a_retrieve_that_is_cancelled_ends_as_cancelled",
        "a call that was cancelled raised PayloadNotFoundError",
    ),
    exhibit(
        "a connection with an answer that nobody has read",
        with_driver(NoticingALostAnswer),
        "a_call_that_is_cancelled_leaves_the_driver_usable",
        "an answer that nobody has read",
        "a_store_that_is_cancelled_ends_as_cancelled",
        "closing_leaves_nothing_open",
    ),
    exhibit(
        "a partial write visible",
        with_client(InTwoHalves),
        "a_payload_is_seen_whole_or_not_at_all",
        "a part of a payload was to be read while it was written",
    ),
    exhibit(
        "the event loop blocked",
        with_driver(Blocking),
        "large_payloads_do_not_stop_the_event_loop",
        r"no other task of the event loop had a turn for \d+ ms, \d+ ms, \d+ ms",
    ),
    exhibit(
        "a second loop forgotten",
        with_one_client_for_all_loops,
        "one_driver_serves_consecutive_loops",
        "used in another event loop than it was made in",
        "one_driver_serves_loops_in_several_threads",
    ),
    exhibit(
        "a task left running",
        with_driver(LeavingATask),
        "closing_leaves_nothing_running",
        "still running: Task-",
    ),
    exhibit(
        "a session left open",
        with_client(NeverClosed),
        "closing_leaves_nothing_open",
        "left open: unclosed shelf client",
    ),
    exhibit(
        "a thread still at work when open has exited",
        with_driver(LeavingAThread),
        "closing_leaves_no_thread_at_work",
        "still at work: thread 'asyncio_0' in",
    ),
    exhibit(
        "forged claims let through",
        partial(shelf, confine=confine_loosely),
        "forged_claims_are_rejected",
        "let through: .* ",
    ),
    exhibit(
        "names with two spellings",
        partial(shelf, confine=confine_by_the_clear_name),
        "a_name_in_a_key_has_one_spelling",
        "let through: ",
    ),
    exhibit(
        "claims without their namespace",
        partial(shelf, confine=confine_without_namespace),
        "its_own_claims_are_confined",
        "namespace",
    ),
    exhibit(
        "a KeyError for a claim that is none",
        partial(shelf, confine=confine_what_has_a_key),
        "claims_that_are_no_claims_are_rejected",
        "KeyError: 'hash_value'",
        "forged_claims_are_rejected",
    ),
    exhibit(
        "a name that depends on the settings",
        with_driver(NamedByItsSettings),
        "the_driver_has_the_name_it_is_given",
        r"name\(\) is 'shelf-localhost', not 'a name of my own'",
    ),
    exhibit(
        "a type that depends on the settings",
        with_driver(OfATypeByItsSettings),
        "the_driver_has_the_name_it_is_given",
        r"type\(\) is 'shelf-localhost', not 'shelf'",
    ),
    exhibit("no name", partial(shelf, driver_name=""), "its_names_are_given", "driver_name is empty"),
    exhibit(
        "expiry not told",
        partial(shelf, expiry=lambda _settings: None),
        "expiry_is_told",
        "with ttl of one hour, expiry is None",
    ),
    exhibit(
        "expiry told in seconds",
        partial(shelf, expiry=lambda _settings: 3600),
        "expiry_is_told",
        "expiry is a int",
    ),
    exhibit(
        "a secret in repr",
        with_driver(ShowingItsPassword),
        "the_driver_shows_no_secret",
        r"a secret is shown by repr\(driver\)",
    ),
    exhibit(
        "a secret in errors",
        with_driver(TellingItsPassword),
        "errors_and_logs_show_no_secret",
        "a secret is shown by the error of retrieve",
    ),
    exhibit(
        "the client library's error for a store that is down",
        with_driver(LettingTheLibrarysErrorsThrough),
        "a_store_that_cannot_be_used_is_told",
        "storing raised gallery.shelf.ShelfDownError, in which there is no StorageError",
    ),
    exhibit(
        "a client library imported at registration",
        shelf,
        "registration_imports_no_client_library",
        "registration imported sqlite3",
        entry_point="eager",
        attributes={"client_modules": ("sqlite3",)},
    ),
    exhibit(
        "an older plugin API",
        partial(shelf, api_version=0),
        "it_is_written_for_this_plugin_api",
        "api_version is 0",
    ),
    exhibit(
        "an entry point that leads to another plugin",
        partial(shelf, settings=type("OtherSettings", (ShelfSettings,), {})),
        "the_entry_point_leads_to_this_plugin",
        "OtherSettings",
        entry_point="shelf",
        attributes={"client_modules": ("sqlite3",)},
    ),
]
