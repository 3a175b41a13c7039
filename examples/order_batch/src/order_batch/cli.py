"""The command line."""

import argparse
import asyncio
import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from local_servers import MissingPartError, ServerStartError
from temporal_payloads import PayloadsError
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError

from order_batch.connection import NoServerError, connect
from order_batch.demo import WorkerEndedError, run_demo
from order_batch.models import OrderBatchRequest
from order_batch.report import complain, say, show, step
from order_batch.services import STORAGES, ConfiguredElsewhereError, run_services
from order_batch.starter import Batch, run_batch
from order_batch.worker import run_worker

CONFIG_FILE = Path(__file__).parents[2] / "temporal-payloads.toml"

_DESCRIPTION = f"""\
A batch of shipping orders: its order list, several hundred kilobytes, is kept out of the workflow's history.

  python -m order_batch demo                    everything in one go, on servers of its own
  python -m order_batch demo --storage redis    the same with Redis

Or step by step, each in a terminal of its own:

  python -m order_batch services                Temporal, the storage and the codec server
  python -m order_batch worker
  python -m order_batch starter --orders 200    run a batch, as often as you like

The configuration is {CONFIG_FILE.name}, another one with TEMPORAL_PAYLOADS_CONFIG_FILE; --storage chooses its
profile. TEMPORAL_ADDRESS chooses another Temporal server.
"""
_EXIT_STATUS = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 130 stopped by Ctrl-C."
_FAILED = 1
_MISUSED = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit status."""
    options = _parser().parse_args(arguments)
    # Through the environment a worker that is started as a process of its own finds the same configuration.
    os.environ.setdefault("TEMPORAL_PAYLOADS_CONFIG_FILE", str(CONFIG_FILE))
    os.environ["TEMPORAL_PAYLOADS_PROFILE"] = options.storage
    # Whoever ends us politely gets the same tidy end as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.run(options)
    except KeyboardInterrupt:
        complain("Interrupted; everything that was started is stopped.")
        return _INTERRUPTED
    except (PayloadsError, MissingPartError, ConfiguredElsewhereError) as error:
        complain(str(error))
        return _MISUSED
    except WorkflowFailureError as error:
        complain(f"The batch failed: {error.cause}")
        return _FAILED
    except (ServerStartError, WorkerEndedError, NoServerError, WorkflowAlreadyStartedError) as error:
        complain(str(error))
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m order_batch",
        description=_DESCRIPTION,
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="start everything, run a batch, show it, stop everything")
    _add_storage(demo)
    _add_batch(demo)
    demo.add_argument(
        "--keep", action="store_true", help="keep it running afterwards, with Temporal's Web UI, until Ctrl-C"
    )
    demo.set_defaults(run=_demo)

    services = commands.add_parser(
        "services", help="start the servers that the configuration names, and wait for Ctrl-C"
    )
    _add_storage(services)
    services.set_defaults(run=_services)

    worker = commands.add_parser("worker", help="run a worker until Ctrl-C")
    _add_storage(worker)
    worker.set_defaults(run=lambda _: asyncio.run(run_worker()))

    starter = commands.add_parser("starter", help="run a batch on servers and a worker that are up")
    _add_storage(starter)
    _add_batch(starter)
    starter.set_defaults(run=_starter)
    return parser


def _add_storage(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--storage", choices=list(STORAGES), default="s3", help="the configuration's profile (default: s3)"
    )


def _add_batch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--orders", type=_order_count, default=200, metavar="N", help="how many orders (default: 200)"
    )
    command.add_argument(
        "--batch-id",
        default=f"BATCH-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        metavar="ID",
        help="the same id gives the same orders (default: from the time)",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _order_count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of orders")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    request = OrderBatchRequest(options.batch_id, options.orders)
    run_demo(request, storage=options.storage, keep=options.keep, as_json=options.json)


def _services(_: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="order-batch-") as directory,
        contextlib.suppress(KeyboardInterrupt),
        run_services(Path(directory), ui=True) as services,
    ):
        say(f"Temporal:     {services.temporal}\nWeb UI:       {services.ui_url}")
        say(f"Storage:      {services.storage}\nCodec server: {services.codec_server_url}")
        say("Ctrl-C stops them.")
        threading.Event().wait()


def _starter(options: argparse.Namespace) -> None:
    async def run() -> Batch:
        return await run_batch(await connect(), OrderBatchRequest(options.batch_id, options.orders))

    with step(f"Running batch {options.batch_id} of {options.orders} orders"):
        batch = asyncio.run(run())
    show(batch, as_json=options.json)
