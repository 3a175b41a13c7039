"""Real servers on 127.0.0.1, for the example, the tests and the benchmarks.

Each `start_...` function is a context manager: the server answers when the block begins, and no process of
it is left when the block ends, however this program ends (see `local_servers.process`).
"""

from local_servers.azurite import AzuriteServer, start_azurite
from local_servers.gcs import GCSServer, start_gcs
from local_servers.moto import start_moto
from local_servers.parts import MissingPartError
from local_servers.postgres import PostgresServer, start_pgbouncer, start_postgres
from local_servers.process import ServerStartError
from local_servers.redis import RedisServer, start_redis
from local_servers.s3 import S3Server, start_s3
from local_servers.temporal import TemporalServer, start_temporal

__all__ = [
    "AzuriteServer",
    "GCSServer",
    "MissingPartError",
    "PostgresServer",
    "RedisServer",
    "S3Server",
    "ServerStartError",
    "TemporalServer",
    "start_azurite",
    "start_gcs",
    "start_moto",
    "start_pgbouncer",
    "start_postgres",
    "start_redis",
    "start_s3",
    "start_temporal",
]
