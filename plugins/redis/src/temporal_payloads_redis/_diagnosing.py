"""What `temporal-payloads check` finds of a server: rights, clock, settings by which payloads are lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from redis import exceptions as errors
from redis.asyncio import RedisCluster
from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis
    from temporal_payloads.plugin import Finding

    from temporal_payloads_redis._errors import Origin

COLLECTING_VERSION = 7
"""The Redis that has PEXPIRETIME, on which the collector's conditions rest. Valkey began with 7.2."""

_OF_A_NODE = {"SCAN", "INFO", "TIME"}
"""Commands that concern no single key: a cluster must be told who is to run them."""


@dataclass
class ServerDiagnosis(Diagnosis):
    """Looks at one server, or at each primary of a cluster.

    Args:
        redis: The client.
        origin: How findings call the server and its settings.
        never: A key that never exists, under the driver's prefix.
        written: The keys of what was stored for this check.
        ttl: After how long payloads expire; None: never.
        refresh_ttl: Whether storing them again makes that later.
    """

    redis: Redis | RedisCluster
    origin: Origin
    never: str
    written: Sequence[str]
    ttl: timedelta | None
    refresh_ttl: bool = False

    async def run(self) -> list[Finding]:
        """Return what is found."""
        for node in self._nodes():
            await self._clock(node)
            await self._server(node)
        await self._rights()
        await self._dangerous()
        if isinstance(self.redis, RedisCluster):
            await self._cluster()
        await self._clean_up()
        return list(dict.fromkeys(self.findings))  # most are the same on each primary

    def _nodes(self) -> list[Any]:
        """Return the primaries; one None for a single server."""
        return self.redis.get_primaries() if isinstance(self.redis, RedisCluster) else [None]

    # -- each server

    async def _clock(self, node: Any) -> None:
        asked = self.context.now()
        answer = await self._ask("TIME", node=node)
        answered = self.context.now()
        if isinstance(answer, Exception):
            self._skipped("clock", "TIME", answer)
            return
        seconds, microseconds = answer
        theirs = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))
        self.findings.append(self.context.clock(theirs, asked=asked, answered=answered, place=self.place))

    async def _server(self, node: Any) -> None:
        answer = await self._ask("INFO", node=node)
        if isinstance(answer, Exception):
            for check in ("version", "maxmemory-policy", "persistence"):
                self._skipped(check, "INFO", answer)
            return
        info: dict[str, Any] = answer
        if len(info) == 1 and isinstance(next(iter(info.values())), dict):
            (info,) = info.values()  # redis-py tells a cluster's nodes apart
        self._version(info)
        self._eviction(info)
        await self._persistence(info, node)

    def _version(self, info: dict[str, Any]) -> None:
        valkey = info.get("valkey_version")
        version = str(valkey or info.get("redis_version", ""))
        shown = f"{'Valkey' if valkey else 'Redis'} {version}"
        major = version.partition(".")[0]
        if major.isdecimal() and int(major) < COLLECTING_VERSION:
            self.found(
                "problem" if self.context.use == "collector" else "warning",
                "version",
                f"{shown} has no PEXPIRETIME: what nothing needs any more cannot be collected from it",
                "Update to Redis 7 or Valkey before gc is used",
            )
        else:
            self.found("ok", "version", shown)

    def _eviction(self, info: dict[str, Any]) -> None:
        policy = str(info.get("maxmemory_policy", "noeviction"))
        limit = int(info.get("maxmemory", 0))
        takes_any, takes_expiring = policy.startswith("allkeys"), policy.startswith("volatile")
        evicts_ours = takes_any or (takes_expiring and self.ttl is not None)
        what = "" if takes_any else " before their ttl is over"
        if evicts_ours and limit:
            self.found(
                "problem",
                "maxmemory-policy",
                f"{policy}: once the server holds {limit:,} bytes it deletes payloads{what} that "
                "workflows need",
                "Set maxmemory-policy noeviction: writing then fails, and is tried again, until there is "
                "room",
            )
        elif evicts_ours:
            self.found(
                "warning",
                "maxmemory-policy",
                f"{policy}: as soon as maxmemory is set, the server deletes payloads{what} that workflows "
                "need",
                "Set maxmemory-policy noeviction",
            )
        elif takes_expiring:
            self.found(
                "warning",
                "maxmemory-policy",
                f"{policy}: payloads have no expiry and are left alone, but those that gc has put aside "
                "have one, and may go before its grace is over",
                "Set maxmemory-policy noeviction before gc is used",
            )
        else:
            room = f", {limit:,} bytes at most" if limit else ""
            self.found("ok", "maxmemory-policy", f"{policy}{room}: a full server refuses new payloads")

    async def _persistence(self, info: dict[str, Any], node: Any) -> None:
        failed = [
            name
            for name in ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")
            if info.get(name, "ok") != "ok"
        ]
        if failed:
            self.found(
                "problem",
                "persistence",
                f"The server could not save to its disk ({', '.join(failed)}): a restart loses payloads",
                "Look at its log and its disk",
            )
            return
        if int(info.get("aof_enabled", 0)):
            self.found("ok", "persistence", "append-only file")
            return
        save = await self._ask("CONFIG", "GET", "save", node=node)
        snapshots = None if isinstance(save, Exception) else bool(_values(save))
        if snapshots is False:
            self.found(
                "warning",
                "persistence",
                "Nothing is saved to disk: a restart of the server loses all payloads, and every "
                "workflow that needs one waits for ever",
                "Set appendonly yes, unless replicas or a managed service keep what is stored",
            )
        else:
            known = "snapshots only" if snapshots else "no append-only file"
            self.found(
                "warning",
                "persistence",
                f"{known[0].upper()}{known[1:]}: a crash loses what was stored since the last snapshot",
                "Set appendonly yes, unless replicas or a managed service keep what is stored",
            )

    # -- rights of the user

    async def _rights(self) -> None:
        """Try each command on a key that never exists, so that none changes anything."""
        key = self.never
        needed_by = {"GET": READERS, "MGET": READERS, **dict.fromkeys(("SET", "PEXPIRE", "PTTL"), WRITERS)}
        tries: list[tuple[Any, ...]] = [
            ("GET", key),
            *([] if isinstance(self.redis, RedisCluster) else [("MGET", key)]),
            ("SET", key, b"", "XX"),
            *([("PEXPIRE", key, 1, "XX"), ("PTTL", key)] if self.refresh_ttl else []),
            ("SCAN", 0, "MATCH", key, "COUNT", 1),
            ("STRLEN", key),
            ("PEXPIRETIME", key),
            ("INFO", "memory"),
            ("TIME",),
            ("EVAL", "return 0", 1, key),
            ("PEXPIREAT", key, 1),
            ("PERSIST", key),
            ("UNLINK", key),
        ]
        for command in tries:
            name: str = command[0]
            node = self._nodes()[0] if name in _OF_A_NODE else None
            answer = await self._ask(*command, node=node)
            if isinstance(answer, errors.OutOfMemoryError):
                self.found(
                    "problem",
                    "memory",
                    "The server is full, and refuses new payloads",
                    "Raise maxmemory, or delete what nothing needs (gc)",
                )
                continue
            refused = isinstance(answer, Exception)
            self.permission(
                name, not refused, needed_by.get(name, COLLECTOR), _said(answer), place=self._user
            )

    def how_to_grant(self, permission: str) -> str:
        """Return how a user is given the right to a command."""
        prefix = self.never.rpartition("v0:")[0]
        return f"ACL SETUSER ... +{permission.lower()} ~{prefix}*, or use another user"

    async def _dangerous(self) -> None:
        who = await self._ask("ACL", "WHOAMI", node=self._nodes()[0])
        if isinstance(who, Exception):
            self._skipped("least privilege", "ACL WHOAMI", who)
            return
        name = who.decode(errors="replace") if isinstance(who, bytes) else str(who)
        dry = await self._ask("ACL", "DRYRUN", name, "FLUSHALL", node=self._nodes()[0])
        if isinstance(dry, errors.NoPermissionError):
            # Who may not ask about rights has been given some only.
            self.found(
                "ok", "least privilege", f"the user {name!r} may not administer the server", place=self._user
            )
        elif isinstance(dry, Exception):
            self._skipped("least privilege", "ACL DRYRUN", dry)
        elif dry in (b"OK", "OK", True):
            self.found(
                "warning",
                "least privilege",
                f"The user {name!r} may run FLUSHALL, which deletes all payloads at once",
                "Make a user that may do no more than it needs, on the keys of the prefix only (docs: Redis)",
                place=self._user,
            )
        else:
            self.found("ok", "least privilege", f"the user {name!r} may not run FLUSHALL", place=self._user)

    async def _cluster(self) -> None:
        answer = await self._ask("CLUSTER", "INFO", node=self._nodes()[0])
        if isinstance(answer, Exception):
            self._skipped("cluster", "CLUSTER INFO", answer)
            return
        info = _cluster_info(answer)
        state = info.get("cluster_state", "?")
        if state == "ok":
            self.found("ok", "cluster", f"{info.get('cluster_size')} primaries own all slots")
        else:
            self.found(
                "problem",
                "cluster",
                f"The cluster's state is {state!r}: payloads of some slots cannot be stored or read",
                "See CLUSTER INFO and CLUSTER NODES: a primary is down, or slots belong to nobody",
            )

    # -- what was written

    async def _clean_up(self) -> None:
        if not self.written:
            return
        left = [key for key in self.written if isinstance(await self._ask("UNLINK", key), Exception)]
        self.cleaned_up(left, "the store", "Delete it with another user, or leave it to gc")

    # -- asking

    async def _ask(self, *command: Any, node: Any = None) -> Any:
        """Return the server's answer: its refusal too, as an object."""
        where = {} if node is None else {"target_nodes": node}
        try:
            return await self.redis.execute_command(*command, **where)
        except errors.ResponseError as error:
            return error

    @property
    def _user(self) -> str:
        return self.origin.address if self.origin.address_setting == "url" else f"{self.origin.its}username"

    def _skipped(self, check: str, command: str, error: Exception) -> None:
        self.found("skipped", check, f"not looked at: the server refuses {command} ({_said(error)})")


def _values(answer: Any) -> bytes:
    """Return the one value of a CONFIG GET, in whatever form the protocol's version gives it."""
    values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1:]
    value = values[0] if values else b""
    return value if isinstance(value, bytes) else str(value).encode()


def _cluster_info(answer: Any) -> dict[str, str]:
    """Return what CLUSTER INFO says, in whatever form the client gives it."""
    if isinstance(answer, dict):
        return next((one for one in answer.values() if isinstance(one, dict)), answer)
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return dict(line.split(":", 1) for line in text.split() if ":" in line)


def _said(answer: Any) -> str:
    return (
        str(answer).partition(", with args beginning with")[0][:200] if isinstance(answer, Exception) else ""
    )
