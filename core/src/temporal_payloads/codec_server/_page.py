"""The page at `/`: what this server does, and how to point the Web UI and the CLI at it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from aiohttp import web

from temporal_payloads.codec_server._request import Hosts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporal_payloads._settings.codec_server import CodecServerSettings
    from temporal_payloads.codec_server._profiles import Profile, Profiles

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
code { background: #8882; padding: .1em .3em; border-radius: .2em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .8rem .3rem 0;
vertical-align: top; border-bottom: 1px solid #8884; } :root { color-scheme: light dark; }
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page:
    """Shows the configuration where everybody may use it, and only how to log in where not.

    What a driver or codec is configured with stays untold: a bucket's name helps whoever looks for one.
    """

    def __init__(self, settings: CodecServerSettings, profiles: Profiles, *, protected: bool) -> None:
        self._settings = settings
        self._profiles = profiles
        self._protected = protected
        self._hosts = Hosts(settings)

    async def show(self, request: web.Request) -> web.Response:
        """Answer with the page.

        Raises:
            RequestError: It was not asked for under a name of this server.
        """
        host = self._hosts.require(request)
        endpoint = escape(f"{request.scheme}://{host}{request.path.rstrip('/')}")
        body = [
            "<!doctype html><html lang=en><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width'>",
            f"<title>Temporal codec server</title><style>{_STYLE}</style>",
            "<h1>Temporal codec server</h1>",
            "<p>It decodes payloads for Temporal's Web UI and CLI, from the settings of the workers.</p>",
            *self._web_ui(endpoint),
            *self._cli(endpoint),
        ]
        if self._protected:
            body.append("<p>What it is configured to do is shown only where nobody needs to log in.</p>")
        else:
            body += self._configuration()
        return web.Response(text="\n".join(body), content_type="text/html", headers=_HEADERS)

    def _web_ui(self, endpoint: str) -> Iterable[str]:
        yield "<h2>Web UI</h2><ol>"
        yield "<li>Open the codec server settings, with the glasses at the top right of every page.</li>"
        yield f"<li>Enter <code>{endpoint}</code>, without a slash at its end.</li>"
        if self._settings.auth.jwt:
            yield "<li>Switch on <em>Pass access token</em>; the address must begin with https.</li>"
        if self._settings.allow_credentials:
            yield "<li>Switch on <em>Include cross-origin credentials</em> if your proxy needs cookies.</li>"
        origins = ", ".join(f"<code>{escape(o)}</code>" for o in self._settings.allowed_origins) or "none"
        if not self._protected:
            yield f"<li>The Web UI must itself be one of: {origins} (<code>allowed_origins</code>).</li>"
        yield "</ol>"
        yield "<p>For everybody who uses a development server: "
        yield f"<code>temporal server start-dev --ui-codec-endpoint {endpoint}</code></p>"

    def _cli(self, endpoint: str) -> Iterable[str]:
        auth = " --codec-auth 'Bearer TOKEN'" if self._protected else ""
        yield "<h2>CLI</h2>"
        yield "<p><code>temporal workflow show --workflow-id ID --output json "
        yield f"--codec-endpoint {endpoint}{auth}</code></p>"

    def _configuration(self) -> Iterable[str]:
        yield "<h2>Namespaces</h2><table><tr><th>Namespace<th>Codecs<th>Storage"
        for namespace, profile in self._profiles.listed.items():
            yield _row(f"<code>{escape(namespace)}</code>", profile)
        if self._profiles.default:
            others = "every other" if self._profiles.listed else "every"
            yield _row(f"<em>{others}</em>", self._profiles.default)
        yield "</table>"


def _row(namespace: str, profile: Profile) -> str:
    settings = profile.assembly.settings
    codecs = ", ".join(map(escape, settings.codecs)) or "none"
    lines = [
        f"{escape(key)}: references named <code>{escape(driver.name())}</code>, type {escape(driver.type())}"
        for key, driver in profile.assembly.drivers.items()
    ]
    if lines:
        lines.append(f"from {int(settings.storage.threshold):,} bytes on")
    return f"<tr><td>{namespace}<td>{codecs}<td>{'<br>'.join(lines) or 'none'}"
