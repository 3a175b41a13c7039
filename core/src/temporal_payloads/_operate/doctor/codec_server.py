"""Whether a codec server reads what is written here, and the other way round."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from temporal_payloads._errors import reason_of
from temporal_payloads._operate.doctor.trial import TRIAL, converter_for, receive
from temporal_payloads._storage.diagnosing import Finding, Level
from temporal_payloads._storage.references import is_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._operate.doctor.trial import Trials

SECONDS = 10.0
"""How long an answer may take."""
ERROR_KEY = "temporal-payloads-error"
"""Metadata in which our codec server says why it gave a payload back as it was."""
_QUOTED = 300
"""Characters of an answer that a finding quotes."""
_HEADERS = "content-type,x-namespace,authorization"
"""What the Web UI's preflights ask for, with "pass access token"."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> str:
        """What the server says is wrong."""
        text = self.body.decode(errors="replace")
        with contextlib.suppress(ValueError, AttributeError):
            text = json.loads(text).get("message") or text
        return f"HTTP {self.status}: {text.strip()[:_QUOTED]}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token must not follow to where a server points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.OpenerDirector()
# Not `build_opener`, which also opens files.
for _handler in (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    _NoRedirects,
):
    _opener.add_handler(_handler())


@dataclass
class CodecServerCheck:
    """Asks a codec server as the Web UI and the CLI do.

    Args:
        url: Where it is; `{namespace}` in it stands for the namespace, as for Temporal's CLI.
        namespace: What is sent as `X-Namespace`.
        authorization: What is sent as `Authorization`, whole (`Bearer ...`); empty for nothing.
        origin: The Web UI's origin, for which CORS is looked at.
        assembly: The settings here.
        trials: What was stored for this check; None if nothing may be.
    """

    url: str
    namespace: str
    assembly: Assembly
    trials: Trials | None = None
    origin: str = "http://localhost:8233"
    authorization: str = field(default="", repr=False)
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> list[Finding]:
        """Return what is found."""
        if not await self._health():
            return self.findings
        await self._cors()
        sample = Payload(
            metadata={"encoding": b"json/plain"},
            # So long that it is worth compressing: else that codec would not be tried.
            data=json.dumps({TRIAL: secrets.token_hex(16) + " temporal-payloads" * 32}).encode(),
        )
        if await self._decodes(sample):
            if self.trials is None:
                for check in ("encode", "references"):
                    self._found("skipped", check, "not tried, for that may store payloads; it takes --write")
            else:
                may_encode = await self._encodes(self.trials, sample)
                await self._follows_references(self.trials, may_encode=may_encode)
        return self.findings

    # -- the parts

    async def _health(self) -> bool:
        for path, what in (("/healthz", "answers"), ("/readyz", "says that it reaches its stores and keys")):
            try:
                answer = await self._send("GET", path)
            except OSError as error:
                reason = getattr(error, "reason", None) or error
                self._found(
                    "problem",
                    "codec server",
                    f"It cannot be reached: {reason}",
                    "Correct the address given to --codec-server, or start the server",
                )
                return False
            if answer.status == HTTPStatus.OK:
                self._found("ok", path, what)
            elif answer.status == HTTPStatus.NOT_FOUND:
                self._found(
                    "skipped", path, "the server has no such page: another implementation, or a proxy"
                )
            else:
                self._found(
                    "problem",
                    path,
                    f"The server is not fit to work: {answer.said}",
                    "Look into the server's log",
                )
        return True

    async def _cors(self) -> None:
        answer = await self._send(
            "OPTIONS",
            "/decode",
            headers={
                "Origin": self.origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": _HEADERS,
            },
        )
        allowed = answer.headers.get("access-control-allow-origin", "")
        headers = {
            name.strip() for name in answer.headers.get("access-control-allow-headers", "").lower().split(",")
        }
        lacking = sorted(set(_HEADERS.split(",")) - headers) if "*" not in headers else []
        if allowed not in (self.origin, "*") or answer.status >= HTTPStatus.BAD_REQUEST:
            self._found(
                "problem",
                "CORS",
                f"A Web UI at {self.origin} may not call it: browsers will show no decoded payload",
                "Add that origin to codec_server.allowed_origins there, or name the UI's with --ui-origin",
            )
        elif lacking:
            self._found(
                "problem",
                "CORS",
                f"It does not let the Web UI send the headers {', '.join(lacking)}",
                "Allow them in Access-Control-Allow-Headers",
            )
        else:
            self._found("ok", "CORS", f"a Web UI at {self.origin} may call it")

    async def _decodes(self, sample: Payload) -> bool:
        """Look whether it decodes what is encoded here; tell whether it takes what we ask."""
        check = "decode"
        [encoded] = await self._codec.encode([sample])
        answer, [got] = await self._ask("decode", [encoded])
        if got == sample:
            self._found("ok", check, "it decodes what is encoded here")
            return True
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._found(
                "problem",
                "authorization",
                f"It refuses us: {answer.said}",
                "Give what it asks for in TEMPORAL_CODEC_AUTH or --codec-auth, for instance 'Bearer ...', "
                "and let that open the namespace there",
            )
            return False
        why = answer.said if answer.status != HTTPStatus.OK else _why(got)
        self._found(
            "problem",
            check,
            f"It does not decode what is encoded here: {why}",
            "Give it the same codecs and keys: compare with temporal-payloads check --json from there "
            "(--peer)",
        )
        return True

    async def _encodes(self, trials: Trials, sample: Payload) -> bool:
        """Look whether what it encodes can be decoded here; tell whether it encodes for us at all."""
        answer, [encoded] = await self._ask("encode", [sample])
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            self._found("skipped", "encode", f"it does not encode for us: {answer.said}")
            return False
        why = answer.said if encoded is None else await self._unlike(trials, encoded, sample)
        if not why:
            self._found("ok", "encode", "what it encodes is decoded here")
        else:
            self._found(
                "problem",
                "encode",
                f"What it encodes is not decoded here: {why}",
                "Give both the same codecs and keys: temporal-payloads check --peer compares them",
            )
        return True

    async def _follows_references(self, trials: Trials, *, may_encode: bool) -> None:
        """Look whether it finds what is stored here, and whether we find what it stores."""
        if trials.referred is None:
            self._found("skipped", "references", "nothing was stored here by which that could be seen")
            return
        reference, plain = trials.referred
        advice = "Give it the same [storage] settings, and the right to read there"
        answer, [got] = await self._ask("decode", [reference])
        if got != plain:
            why = answer.said if answer.status != HTTPStatus.OK else _why(got)
            self._found(
                "problem", "references", f"It does not find a payload that was stored here: {why}", advice
            )
            return
        if not may_encode:
            self._found("ok", "references", "it finds what is stored here")
            return
        answer, [theirs] = await self._ask("encode", [plain])
        if theirs is None:
            self._found("problem", "references", f"It does not store a large payload: {answer.said}", advice)
            return
        why = await self._unlike(trials, theirs, plain)
        if why:
            self._found("problem", "references", f"What it stores is not found here: {why}", advice)
        elif is_reference(theirs) != is_reference(reference):
            self._found(
                "warning",
                "references",
                "Of a payload that is stored here it leaves the bytes inline, or the reverse",
                "Give both the same storage.threshold and routes",
            )
        else:
            self._found("ok", "references", "each finds what the other has stored")

    async def _unlike(self, trials: Trials, theirs: Payload, plain: Payload) -> str:
        """Return why what the server has made is not decoded to this here; empty if it is."""
        try:
            back = await receive(converter_for(self.assembly, self.namespace), theirs)
            if back != plain:
                return "it is not the same afterwards"
            # Not before: what is noted is deleted, and a reference may lead to somebody's payload.
            await trials.note(self.assembly, self.namespace, theirs)
        except Exception as error:  # noqa: BLE001  # a codec or driver may raise anything
            return reason_of(error)
        return ""

    # -- asking

    @property
    def _codec(self) -> Any:
        context = WorkflowSerializationContext(namespace=self.namespace, workflow_id=TRIAL)
        return self.assembly.codecs.chain.with_context(context)

    async def _ask(self, operation: str, payloads: Sequence[Payload]) -> tuple[_Answer, list[Payload | None]]:
        """Return the answer, and its payloads; None for each if they cannot be read."""
        body = json.dumps(MessageToDict(Payloads(payloads=payloads))).encode()
        answer = await self._send("POST", f"/{operation}", body)
        nothing: list[Payload | None] = [None for _ in payloads]
        if answer.status != HTTPStatus.OK:
            return answer, nothing
        try:
            got = ParseDict(json.loads(answer.body), Payloads(), ignore_unknown_fields=True).payloads
        except (ValueError, ParseError):
            return answer, nothing
        return answer, list(got) if len(got) == len(payloads) else nothing

    async def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> _Answer:
        url = self.url.rstrip("/").replace("{namespace}", self.namespace)
        if method == "GET":
            parts = urlsplit(url)
            url = f"{parts.scheme}://{parts.netloc}"
        sent = {"Content-Type": "application/json", "X-Namespace": self.namespace, **(headers or {})}
        if self.authorization and method == "POST":
            sent["Authorization"] = self.authorization
        request = urllib.request.Request(url + path, body, sent, method=method)  # noqa: S310  # http(s): see below
        return await asyncio.to_thread(_open, request)

    def _found(self, level: Level, check: str, message: str, advice: str = "") -> None:
        self.findings.append(
            Finding(
                level=level, check=check, place=f"codec server {self.url}", message=message, advice=advice
            )
        )


def _why(got: Payload | None) -> str:
    if got is None:
        return "its answer is none of a codec server's"
    told = got.metadata.get(ERROR_KEY, b"").decode(errors="replace")
    return told[:_QUOTED] or "it is not the same afterwards"


def _open(request: urllib.request.Request) -> _Answer:
    try:
        with _opener.open(request, timeout=SECONDS) as response:
            return _Answer(response.status, _lower(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, _lower(error.headers), error.read())


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
