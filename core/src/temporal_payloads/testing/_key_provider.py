"""What every key provider plugin must do."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._plugins.keys import KeyProvider, KeyProviderContext, KeyProviderPlugin
from temporal_payloads._plugins.kinds import KindName
from temporal_payloads._storage.errors import KeyUnavailableError, PayloadIntegrityError
from temporal_payloads.testing._plugin import PluginConformance, secrets_in
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._running import complaints_of, run_loop
from temporal_payloads.testing._watching import (
    TURNS,
    all_that_is_said,
    cancelled,
    require_a_loop_that_goes_on,
    require_cancellation,
    require_no_thread_beside,
    threads_at_work,
)

PLACE = "key_providers.conformance"
KEY_SIZE = 32
AT_ONCE = 30
Plugin = KeyProviderPlugin[Any]


class KeyProviderConformance(PluginConformance):
    """Subclass it, name the entry point, and give four fixtures.

    `plugin` is the `KeyProviderPlugin`; `settings` an instance of its settings model with which it can be
    opened; `key` the URI of a key that it may use, and `missing_key` that of one that does not exist.
    """

    kind: ClassVar[KindName] = "key_provider"
    malformed_keys: ClassVar[Sequence[str]] = ()
    """URIs that no key of the provider can have. Empty if any can be one."""

    @pytest.fixture
    def unusable_settings(self) -> Sequence[BaseModel]:
        """Settings that are well-formed, and under which no key can be had: a port where nobody listens."""
        return ()

    # -- data keys

    @broken_by("a wrapped key that is cut, or text where bytes are meant.")
    def test_a_data_key_is_opened_again(self, plugin: Plugin, settings: BaseModel, key: str) -> None:
        """What was wrapped is the data key that was made, also for a provider that was opened later."""
        made = []

        async def make(provider: KeyProvider) -> None:
            made.append(await provider.make_data_key(key))
            await require_opened(provider, key, made[0].wrapped, made[0].plaintext)

        async def open_again(provider: KeyProvider) -> None:
            await require_opened(provider, key, made[0].wrapped, made[0].plaintext)

        run(plugin, settings, make)
        run(plugin, settings, open_again)

    @broken_by("the key in clear beside its wrapped form, or another size: the codec needs AES-256.")
    def test_a_data_key_has_256_bits_and_is_wrapped(
        self, plugin: Plugin, settings: BaseModel, key: str
    ) -> None:
        """What is written beside payloads does not hold the key."""

        async def story(provider: KeyProvider) -> None:
            made = await provider.make_data_key(key)
            assert len(made.plaintext) == KEY_SIZE, f"it has {8 * len(made.plaintext)} bits"
            assert made.plaintext not in made.wrapped, "the wrapped key holds the key in clear"

        run(plugin, settings, story)

    @broken_by("a data key that is kept: caching is the codec's, which also limits how long one is used.")
    def test_each_data_key_is_new(self, plugin: Plugin, settings: BaseModel, key: str) -> None:
        """Also of calls that are made at once."""

        async def story(provider: KeyProvider) -> None:
            made = await gather_bounded(provider.make_data_key, [key] * 5, 5)
            different = len({one.plaintext for one in made})
            assert different == len(made), f"of {len(made)} data keys, {different} are different"

        run(plugin, settings, story)

    @broken_by("encryption without a tag (CBC, CTR, XOR), or an error of the library's that is let through.")
    def test_a_damaged_data_key_is_told(self, plugin: Plugin, settings: BaseModel, key: str) -> None:
        """With `PayloadIntegrityError`, or `KeyUnavailableError` where who keeps the key tells no more.

        Never is another data key returned.
        """

        async def story(provider: KeyProvider) -> None:
            made = await provider.make_data_key(key)
            last = bytes([made.wrapped[-1] ^ 1])
            for how, damaged in (
                ("changed in its last bit", made.wrapped[:-1] + last),
                ("cut by half", made.wrapped[: len(made.wrapped) // 2]),
                ("empty", b""),
                ("garbage", b"garbage" * 20),
            ):
                try:
                    opened = await provider.unwrap_data_key(key, damaged)
                except (PayloadIntegrityError, KeyUnavailableError):
                    continue
                same = "the same" if opened == made.plaintext else "another"
                raise AssertionError(f"a wrapped key that is {how} was opened, to {same} data key")

        run(plugin, settings, story)

    # -- keys

    @broken_by("the client library's own error, let through, or one that does not say which key it was.")
    def test_a_key_that_cannot_be_had_is_told(
        self, plugin: Plugin, settings: BaseModel, key: str, missing_key: str
    ) -> None:
        """With `KeyUnavailableError`, which names the key: an operator can mend it while workflows wait."""
        name = missing_key.partition("://")[2].partition("?")[0].strip("/")

        async def story(provider: KeyProvider) -> None:
            wrapped = (await provider.make_data_key(key)).wrapped
            for what, call in (
                ("make_data_key", lambda: provider.make_data_key(missing_key)),
                ("unwrap_data_key", lambda: provider.unwrap_data_key(missing_key, wrapped)),
            ):
                await require_unavailable(what, call, name)

        run(plugin, settings, story)

    @broken_by("the client library's own exceptions, let through: raise `KeyUnavailableError` from them.")
    def test_a_provider_that_cannot_be_used_is_told(
        self, plugin: Plugin, unusable_settings: Sequence[BaseModel], key: str
    ) -> None:
        """With `KeyUnavailableError`, where it is opened or asked."""
        if not unusable_settings:
            pytest.skip("the fixture unusable_settings gives none")

        async def story(settings: BaseModel) -> None:
            async def ask() -> None:
                async with opened(plugin, settings) as provider:
                    await provider.make_data_key(key)

            await require_unavailable("make_data_key", ask, "")

        for each in unusable_settings:
            run_loop(lambda each=each: story(each))  # type: ignore[misc]  # mypy has no types for defaults of lambdas

    @broken_by("a `check_key` that raises what its parser raises, or is not given.")
    def test_a_malformed_key_is_told_before_anybody_is_asked(
        self, plugin: Plugin, settings: BaseModel, key: str
    ) -> None:
        """`check_key` raises a `ValueError` whose text says what is wrong, and lets a good one through."""
        plugin.check_key(settings, key)
        for malformed in self.malformed_keys:
            try:
                plugin.check_key(settings, malformed)
            except ValueError as error:
                if str(error):
                    continue
                raise AssertionError(f"of {malformed!r} it does not say what is wrong") from error
            raise AssertionError(f"{malformed!r} was let through")

    # -- secrets

    @broken_by(
        "a class of its own for data keys whose `repr` shows them, or a library that logs its answers."
    )
    def test_no_data_key_and_no_secret_is_shown(
        self,
        plugin: Plugin,
        settings: BaseModel,
        unusable_settings: Sequence[BaseModel],
        key: str,
        missing_key: str,
    ) -> None:
        """Neither `repr`, nor errors with their causes, nor logs at the level DEBUG show them."""
        keys: list[bytes] = []

        async def story(each: BaseModel) -> None:
            with said.errors("opening"):
                async with opened(plugin, each) as provider:
                    said.note("repr(provider)", repr(provider))
                    with said.errors("make_data_key"):
                        await provider.make_data_key(missing_key)
                    with said.errors("make_data_key"):
                        made = await provider.make_data_key(key)
                        keys.append(made.plaintext)
                        said.note("repr(data key)", repr(made))
                        await provider.unwrap_data_key(key, made.wrapped)
                        with said.errors("unwrap_data_key"):
                            await provider.unwrap_data_key(key, made.wrapped[:-1])

        with all_that_is_said() as said:
            for each in (settings, *unusable_settings):
                run_loop(lambda each=each: story(each))  # type: ignore[misc]  # likewise
        for each in (settings, *unusable_settings):
            said.require_none_of(secrets_in(each))
        for plaintext in keys:
            spellings = (repr(plaintext)[2:-1], plaintext.hex(), base64.b64encode(plaintext).decode())
            said.require_none_of(iter(spellings))

    # -- event loops

    @broken_by("`except BaseException` or a bare `except` around a request: catch `Exception`.")
    def test_a_call_that_is_cancelled_ends_as_cancelled(
        self, plugin: Plugin, settings: BaseModel, key: str
    ) -> None:
        """At whatever moment: else the deadline that core sets is none."""

        async def story(provider: KeyProvider) -> None:
            made = await provider.make_data_key(key)
            await require_cancellation(lambda _: provider.make_data_key(key))
            await require_cancellation(lambda _: provider.unwrap_data_key(key, made.wrapped))
            await require_opened(provider, key, made.wrapped, made.plaintext)

        run(plugin, settings, story)

    @broken_by("a client library without `async` on the event loop: use a thread, and wait for its end.")
    def test_calls_do_not_stop_the_event_loop(self, plugin: Plugin, settings: BaseModel, key: str) -> None:
        """While keys are made and opened, the other tasks of the loop have their turns.

        It is broken where in each of three attempts they had none for a quarter of a second, in which another
        thread of the process looked fifty times.
        """

        async def story(provider: KeyProvider) -> None:
            await provider.make_data_key(key)

            async def there_and_back(_: int) -> None:
                made = await gather_bounded(provider.make_data_key, [key] * AT_ONCE, AT_ONCE)
                await gather_bounded(lambda one: provider.unwrap_data_key(key, one.wrapped), made, AT_ONCE)

            await require_a_loop_that_goes_on(there_and_back)

        run(plugin, settings, story)

    @broken_by(
        "a session or a client that `open` makes and nobody closes, or `asyncio.to_thread` with "
        "nobody waiting."
    )
    def test_closing_leaves_nothing_open_or_at_work(
        self, plugin: Plugin, settings: BaseModel, key: str
    ) -> None:
        """No session, connection, or thread, also where calls were cancelled just before."""

        async def story() -> None:
            for turns in TURNS[::3]:
                before = threads_at_work()
                async with opened(plugin, settings) as provider:
                    await provider.make_data_key(key)
                    await cancelled(provider.make_data_key(key), turns)
                require_no_thread_beside(before)

        complaints = complaints_of(story)
        assert not complaints, f"left open: {'; '.join(complaints)}"


def opened(plugin: Plugin, settings: BaseModel) -> Any:
    """Open the provider as core does."""
    return plugin.open(settings, KeyProviderContext(place=PLACE))


def run(plugin: Plugin, settings: BaseModel, story: Callable[[KeyProvider], Awaitable[None]]) -> None:
    """Tell the story of one provider in an event loop of its own."""

    async def main() -> None:
        async with opened(plugin, settings) as provider:
            assert isinstance(provider, KeyProvider)
            await story(provider)

    run_loop(main)


async def require_opened(provider: KeyProvider, key: str, wrapped: bytes, plaintext: bytes) -> None:
    """Fail unless the wrapped key is that data key, which is not shown."""
    assert (await provider.unwrap_data_key(key, wrapped) == plaintext) is True, "another data key was opened"


async def require_unavailable(what: str, call: Callable[[], Awaitable[object]], name: str) -> None:
    """Fail unless the call raises `KeyUnavailableError`, with the key's name in it."""
    try:
        await call()
    except KeyUnavailableError as error:
        if name not in str(error):
            raise AssertionError(f"the error of {what} does not name {name!r}: {error}") from error
    except Exception as error:
        raise AssertionError(
            f"{what} raised {type(error).__module__}.{type(error).__qualname__}: {error}"
        ) from error
    else:
        raise AssertionError(f"{what} succeeded")
