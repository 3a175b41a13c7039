"""S3 from moto: in this process, up at once, for tests that inject errors."""

import contextlib
import logging
from collections.abc import Iterator

from local_servers.parts import MissingPartError
from local_servers.s3 import S3Server


@contextlib.contextmanager
def start_moto() -> Iterator[S3Server]:
    """Run moto's server in a thread of this process; it accepts any credentials.

    Raises:
        MissingPartError: moto's server is not installed.
    """
    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a second to import
    except ImportError as error:
        raise MissingPartError("moto's server", "'moto[server,s3]'") from error
    # Its threads would tell of each request on what standard error was when the first came.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        yield S3Server(endpoint_url=f"http://{host}:{port}")
    finally:
        moto.stop()
