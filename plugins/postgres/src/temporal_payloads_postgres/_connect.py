"""From settings to open connections."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from temporal_payloads_postgres._connections import Connections
from temporal_payloads_postgres._errors import Origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporal_payloads_postgres._settings import PostgresSettings


@asynccontextmanager
async def open_connections(settings: PostgresSettings, place: str) -> AsyncIterator[Connections]:
    """Make the connections of a driver, and close them at exit. Each is opened when it is needed.

    Args:
        settings: The driver's.
        place: Where they stand.
    """
    parameters = _parameters(settings)
    connecting = settings.connect_timeout.total_seconds()
    if len(settings.hosts) > 1:
        # So that one that does not answer leaves the next its time. psycopg counts in seconds, and from 2 on.
        parameters["connect_timeout"] = max(2, math.ceil(connecting))
        connecting = len(settings.hosts) * parameters["connect_timeout"] + 1.0
    connections = Connections(
        parameters,
        size=settings.pool_size,
        timeouts=(connecting, settings.timeout.total_seconds()),
        origin=_origin(settings, place),
    )
    async with connections.open():
        yield connections


def _parameters(settings: PostgresSettings) -> dict[str, Any]:
    user, password = settings.login
    parameters = {
        "host": ",".join(host for host, _ in settings.hosts),
        "port": ",".join(str(port) for _, port in settings.hosts),
        "dbname": settings.database_name,
        "user": user,
        "password": password,
        "sslmode": settings.effective_sslmode,
        "sslrootcert": _path(settings.ssl_root_cert),
        "sslcert": _path(settings.ssl_cert),
        "sslkey": _path(settings.ssl_key),
        # Not a replica: it may lack what was just stored. Of several hosts, this finds the primary.
        "target_session_attrs": "read-write",
        "application_name": "temporal-payloads",
        # An attempt of its own, with each connection, for something that nobody asked for.
        "gssencmode": "disable",
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _path(path: Any) -> str | None:
    return None if path is None else str(path)


def _origin(settings: PostgresSettings, place: str) -> Origin:
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in settings.hosts)
    return Origin(
        server=f"postgresql://{hosts}/{settings.database_name}",
        place=place,
        table=settings.table,
        by_url=settings.url is not None,
    )
