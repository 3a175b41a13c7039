"""The application: which request goes where, and what stands around each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from temporal_payloads._errors import ConfigurationError
from temporal_payloads._observe.belonging import Belonging, belonging_to
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings
from temporal_payloads.codec_server._auth import Authenticator, Caller, read_tokens
from temporal_payloads.codec_server._body import read_body
from temporal_payloads.codec_server._connections import require_room
from temporal_payloads.codec_server._cors import Cors
from temporal_payloads.codec_server._errors import Code, RequestError, error_response
from temporal_payloads.codec_server._fields import PayloadFields
from temporal_payloads.codec_server._health import Health
from temporal_payloads.codec_server._jwt import JwtVerifier
from temporal_payloads.codec_server._limits import Allowance, Limits
from temporal_payloads.codec_server._logs import access_log, audit_log, log_fields
from temporal_payloads.codec_server._metrics import ROUTE as METRICS
from temporal_payloads.codec_server._metrics import ServerMetrics
from temporal_payloads.codec_server._operations import Work
from temporal_payloads.codec_server._page import Page
from temporal_payloads.codec_server._profiles import Profile, Profiles, build_profiles
from temporal_payloads.codec_server._protobuf_json import PayloadsReader, parsing_size, write_payloads
from temporal_payloads.codec_server._request import check_headers, read_namespace
from temporal_payloads.codec_server._storage import Access

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._settings.codec_server import CodecServerSettings, Operation

logger = logging.getLogger("temporal_payloads.codec_server")

QUIET = ("/healthz", "/readyz", "/metrics")
"""What is asked so often that the log tells only of what went wrong."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PREFIX = "/{prefix:(?:.*/)?}"
"""Before `encode`, `decode` and `download` stands the namespace or a proxy's prefix: see `read_namespace`."""


def create_app(
    settings: PayloadSettings | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    profiles: Mapping[str, PayloadSettings] | None = None,
    registry: PluginRegistry | None = None,
) -> web.Application:
    """Make the codec server as an aiohttp application, to run (`serve`) or to mount (`add_subapp`).

    Everything is validated here, for every namespace; the storage drivers are opened when it starts.
    Where it listens (`host`, `port`, `tls`) is for `serve`.

    Args:
        settings: What the server runs with. By default `PayloadSettings.load(file, profile)`.
        file: The settings file, also for the profiles in `codec_server.namespaces`.
        profile: The profile that the server itself runs with.
        profiles: Settings made in code for profiles in `codec_server.namespaces`.
        registry: Where plugins are found; for plugins and observers that are registered in code.

    Raises:
        ConfigurationError: With every problem of every profile.
    """
    settings = settings or read_settings(PayloadSettings, file, profile)
    server = settings.codec_server
    tokens, problems = read_tokens(server.auth)
    try:
        built = build_profiles(
            settings, file=file, given=profiles or {}, registry=registry or PluginRegistry()
        )
    except ConfigurationError as error:
        if not problems:
            raise
        raise ConfigurationError([*problems, *error.problems]) from error
    if problems:
        raise ConfigurationError(problems)

    verifier = JwtVerifier(server.auth.jwt, server.limits.request_time) if server.auth.jwt else None
    authenticator = Authenticator(tokens, verifier)
    cors = Cors(server)
    codec_server = CodecServer(server, built, authenticator)
    health = Health(built)
    metrics = ServerMetrics(built, authenticator)
    app = web.Application(
        middlewares=[AccessLog(metrics).middleware, _answer_errors, check_headers, cors.middleware]
    )
    app.on_response_prepare.append(cors.add_headers)
    app.add_routes(
        [
            web.post(f"{PREFIX}encode", codec_server.encode),
            web.post(f"{PREFIX}decode", codec_server.decode),
            web.post(f"{PREFIX}download", codec_server.download),
            web.get("/healthz", health.alive),
            web.get("/readyz", health.ready),
            web.get("/metrics", metrics.show, name=METRICS),
            web.get("/", Page(server, built, protected=authenticator.required).show),
        ]
    )

    async def drivers_open(app: web.Application) -> AsyncIterator[None]:
        del app
        async with built.drivers_open():
            yield

    async def close_verifier(app: web.Application) -> None:
        del app
        if verifier is not None:
            await verifier.close()

    app.cleanup_ctx.append(drivers_open)
    app.on_cleanup.append(close_verifier)
    return app


@dataclass
class _Story:
    """What the access log tells of a request."""

    fields: dict[str, object] = field(default_factory=dict)


STORY: web.RequestKey[_Story] = web.RequestKey("story", _Story)


class CodecServer:
    """The three operations as request handlers."""

    def __init__(
        self, settings: CodecServerSettings, profiles: Profiles, authenticator: Authenticator
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._authenticator = authenticator
        self._limits = Limits(settings.limits)
        self._reader = PayloadsReader(settings.limits.payloads)

    async def encode(self, request: web.Request) -> web.StreamResponse:
        """`POST /encode`: codecs, then storage for what is large."""
        return await self._answer(request, "encode", lambda work, payloads: work.encode(payloads))

    async def decode(self, request: web.Request) -> web.StreamResponse:
        """`POST /decode`: references are followed, unless `preserveStorageRefs=true`; then codecs."""
        preserve = request.query.get("preserveStorageRefs", "").lower() == "true"
        return await self._answer(
            request, "decode", lambda work, payloads: work.decode(payloads, preserve_references=preserve)
        )

    async def download(self, request: web.Request) -> web.StreamResponse:
        """`POST /download`: what references refer to, decoded."""
        return await self._answer(request, "download", lambda work, payloads: work.download(payloads))

    async def _answer(
        self,
        request: web.Request,
        operation: Operation,
        do: Callable[[Work, Sequence[Payload]], Awaitable[list[PayloadFields]]],
    ) -> web.StreamResponse:
        story = request[STORY].fields
        story["operation"] = operation
        require_room(request)
        namespace = read_namespace(request, self._settings.path_prefix)
        story["namespace"] = namespace
        # Within the request's time: who asks may depend on keys that an identity provider has to send.
        async with self._limits.request() as allowance:
            caller = await self._authenticator.identify(request.headers.get(hdrs.AUTHORIZATION))
            story["who"] = caller.name
            access = Access(self._profile(caller, namespace, operation), namespace, self._settings)
            work = Work(access, allowance)
            try:
                # Nobody here keeps the request's payloads while the response is sent.
                with belonging_to(Belonging(namespace=namespace or None)):
                    results = await do(work, await self._read(request, allowance))
                return await _send(request, results, allowance)
            finally:
                story |= {"references": work.references, "failed": work.failed}
                _audit(access, caller, operation)

    def _profile(self, caller: Caller, namespace: str, operation: Operation) -> Profile:
        allowed = caller.among(self._profiles.listed)
        if not caller.may(namespace, operation):
            known = f"; it opens: {', '.join(allowed)}" if allowed else ""
            raise RequestError(
                403,
                Code.FORBIDDEN,
                f"the token does not allow to {operation} payloads of namespace {namespace!r}{known}",
            )
        profile = self._profiles.of(namespace)
        if profile is None:
            known = f"it serves: {', '.join(allowed)}" if allowed else "it serves none that you may ask for"
            wrong = f"does not serve namespace {namespace!r}" if namespace else "needs the header X-Namespace"
            raise RequestError(400, Code.UNKNOWN_NAMESPACE, f"this server {wrong}; {known}")
        if operation == "encode" and not (namespace or self._can_read_back(profile)):
            raise RequestError(
                400,
                Code.UNKNOWN_NAMESPACE,
                "encoding needs the header X-Namespace: what is stored without it is not served afterwards",
                detail="codec_server.keys_without_namespace = true can allow it",
            )
        return profile

    def _can_read_back(self, profile: Profile) -> bool:
        """Tell whether what is stored in no namespace is served."""
        return not profile.assembly.drivers or self._settings.keys_without_namespace

    async def _read(self, request: web.Request, allowance: Allowance) -> list[Payload]:
        body = await read_body(request, allowance)
        story = request[STORY].fields
        story["bytes_in"] = size = len(body)
        async with allowance.work(parsing_size(body)) as reservation:
            payloads = await self._reader.read(body)
            # What is not encoded is in the response as it is in the request.
            reservation.keep(size)
        story["payloads"] = len(payloads)
        return payloads


async def _send(
    request: web.Request, results: list[PayloadFields], allowance: Allowance
) -> web.StreamResponse:
    """Send payloads piece by piece, within the request's time and while its memory is accounted for."""
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "application/json; charset=utf-8", hdrs.CACHE_CONTROL: "no-store"}
    )
    await response.prepare(request)
    sent = 0
    try:
        for piece in write_payloads(results):
            async with allowance.client("took nothing more of the response"):
                await response.write(piece)
                # As long as a client takes all it gets, writing does not wait: others want a turn too.
                await asyncio.sleep(0)
            sent += len(piece)
        async with allowance.client("did not take the end of the response"):
            await response.write_eof()
    except BaseException:
        # Half an answer was sent already: only a broken connection can tell that it is not the whole.
        if request.transport is not None:
            request.transport.abort()
        raise
    finally:
        request[STORY].fields["bytes_out"] = sent
    return response


def _audit(access: Access, caller: Caller, operation: Operation) -> None:
    for read in access.reads:
        log_fields(
            audit_log,
            "stored payload",
            {
                "who": caller.name,
                "namespace": access.namespace,
                "operation": operation,
                "driver": read.driver,
                "sha256": read.sha256,
                "bytes": read.size,
                "outcome": read.outcome,
            },
        )


class AccessLog:
    """Logs and measures each request when it has ended."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Have the request answered, and tell of it."""
        request[STORY] = _Story()
        start = time.monotonic()
        status: int | None = None
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            seconds = time.monotonic() - start
            self._metrics.add(request[STORY].fields, status, seconds)
            if not (request.path.endswith(QUIET) and status == 200):  # noqa: PLR2004  # OK
                fields = {
                    "method": request.method,
                    "path": request.path,
                    "status": status or "aborted",
                    "remote": request.remote,
                    "origin": request.headers.get(hdrs.ORIGIN),
                    **request[STORY].fields,
                    "duration_ms": round(seconds * 1000, 1),
                }
                log_fields(access_log, "request", fields)


_STATUS_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.LIMIT_EXCEEDED}


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    story = request[STORY].fields
    try:
        return await handler(request)
    except RequestError as error:
        response = error.to_response()
        story |= {"code": error.code, "reason": str(error)}
    except web.HTTPException as error:
        code = _STATUS_CODES.get(error.status, Code.BAD_REQUEST)
        headers = {str(hdrs.ALLOW): error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
        response = error_response(
            error.status, code, f"{request.method} {request.path[:200]}: {error.reason}", headers
        )
        story["code"] = code
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("The server failed on %s %s", request.method, request.path)
        response = error_response(
            500, Code.INTERNAL_ERROR, "the server failed; its log says why", {"Connection": "close"}
        )
        story["code"] = Code.INTERNAL_ERROR
    return response
