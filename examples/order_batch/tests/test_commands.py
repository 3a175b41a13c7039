"""The commands as a person runs them: what they print, their exit status, and nothing left behind."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from local_servers.process import free_ports

pytestmark = pytest.mark.server

BATCH = ["--batch-id", "BATCH-20260501-120000"]
SUMMARY = """
Batch BATCH-20260501-120000: 200 orders processed
  Total shipping cost: $28,378.70
  Total weight:        21,440.7 kg
  Avg delivery:        4.5 days
"""
WORKER = ["-m", "order_batch", "worker"]
MARK = "ORDER_BATCH_TEST"
WAIT_SECONDS = 300
"""For what happens in seconds; the tests are only not to hang."""
ENDLESS = """
import sys
import time
from pathlib import Path

def make_orders(batch_id, count):
    Path(__file__).with_name("under way").touch()
    while True:
        time.sleep(0.01)

if sys.orig_argv[1:4] == ["-m", "order_batch", "worker"]:
    import order_batch.orders
    order_batch.orders.make_orders = make_orders
"""
"""A `sitecustomize`, with which a worker never has the orders of a batch together."""
_numbers = itertools.count(1)


class Command:
    """`python -m order_batch ...` in a process group of its own, as a terminal runs it."""

    def __init__(self, directory: Path, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
        self._mark = f"{os.getpid()}-{next(_numbers)}"
        # What the developer has set for Temporal must not reach the command.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "order_batch", *arguments],
            cwd=directory,
            env={**inherited, "TMPDIR": str(directory), MARK: self._mark, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """All that came of the command and still run, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, PermissionError):
                if process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def worker(self) -> psutil.Process:
        """The worker's process, which is up."""
        return next(process for process in self.processes() if process.cmdline()[1:4] == WORKER)

    def wait_for_line(self, beginning: str) -> str:
        """The next line on standard error that begins like this."""
        assert self.process.stderr
        lines = []
        for line in self.process.stderr:
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
            lines.append(line)
        raise AssertionError(f"it ended without {beginning!r}: {lines}")

    def end(self) -> tuple[int, str, str]:
        """Exit status, standard output and standard error, once it has ended by itself."""
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, out, err

    def interrupt(self) -> None:
        """Ctrl-C: the signal goes to the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)


def as_the_ui_asks(url: str, origin: str, payload: Mapping[str, object]) -> urllib.request.Request:
    headers = {"Content-Type": "application/json", "X-Namespace": "default", "Origin": origin}
    return urllib.request.Request(url, json.dumps({"payloads": [payload]}).encode(), headers)


Run = Callable[..., Command]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    commands = []

    def start(*arguments: str, **variables: str) -> Command:
        commands.append(Command(tmp_path, arguments, variables))
        return commands[-1]

    yield start
    for command in commands:
        command.process.kill()
        command.process.communicate()


@pytest.fixture
def demo_in_the_middle(run: Run, tmp_path_factory) -> Command:
    """A demo in the middle of a batch that does not end."""
    directory = tmp_path_factory.mktemp("endless")
    (directory / "sitecustomize.py").write_text(ENDLESS)
    path = os.pathsep.join([str(directory), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = run("demo", "--storage", "redis", *BATCH, PYTHONPATH=path)
    command.wait_for_line("Running batch")
    deadline = time.monotonic() + WAIT_SECONDS
    while not (directory / "under way").exists():
        assert command.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return command


@pytest.mark.parametrize(
    ("storage", "driver"),
    [
        ("s3", "aws.s3driver"),
        ("redis", "redis"),
        ("filesystem", "filesystem"),
        ("azure_blob", "azure_blob"),
        ("gcs", "gcp.gcsdriver"),
        ("postgres", "postgres"),
    ],
)
def test_the_demo_shows_the_summary_and_the_order_list_offloaded(run: Run, tmp_path, storage, driver):
    command = run("demo", "--storage", storage, *BATCH)
    status, out, _ = command.end()
    assert status == 0
    assert out.startswith(SUMMARY)
    table = [re.sub(r" {2,}([\d,]+ {2,})?", " ", line.strip()) for line in out.splitlines()]
    list_elsewhere = f"{driver} [1]"
    assert table[8:15] == [
        "1 Workflow execution started input of workflow inline",
        "5 Activity task scheduled input of fetch_orders inline",
        f"7 Activity task completed result of fetch_orders {list_elsewhere}",
        "11 Activity task scheduled input 1 of process_orders inline",
        f"11 Activity task scheduled input 2 of process_orders {list_elsewhere}",
        "13 Activity task completed result of process_orders inline",
        "17 Workflow execution completed result of workflow inline",
    ]
    assert f"[1] {driver}:" in out
    assert command.processes() == []
    assert list(tmp_path.iterdir()) == []


def test_the_demo_prints_json_that_tells_each_payload_s_place(run: Run):
    status, out, _ = run("demo", "--storage", "redis", "--json", *BATCH).end()
    assert status == 0
    batch = json.loads(out)
    assert batch["summary"]["order_count"] == 200
    places = {(row["what"], row["driver"]) for row in batch["payloads"]}
    assert places == {
        ("input of workflow", None),
        ("input of fetch_orders", None),
        ("result of fetch_orders", "redis"),
        ("input 1 of process_orders", None),
        ("input 2 of process_orders", "redis"),
        ("result of process_orders", None),
        ("result of workflow", None),
    }
    # Equal bytes are stored once.
    offloaded = [row for row in batch["payloads"] if row["driver"]]
    assert len({row["key"] for row in offloaded}) == 1
    assert all(row["size"] > 256 * 1024 for row in offloaded)
    assert all(row["size_in_history"] < 1024 for row in batch["payloads"])


def test_ctrl_c_in_the_middle_stops_everything(demo_in_the_middle: Command, tmp_path):
    demo_in_the_middle.interrupt()
    status, out, _ = demo_in_the_middle.end()
    assert status == 130
    assert out == ""
    assert demo_in_the_middle.processes() == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_servers_start_stops_everything(run: Run):
    command = run("demo", "--storage", "redis", *BATCH)
    command.wait_for_line("Starting Temporal")
    command.interrupt()
    status, _, _ = command.end()
    assert status == 130
    # Ctrl-C may come before the demo holds a process that it started: that one ends just after the demo.
    assert psutil.wait_procs(command.processes(), timeout=WAIT_SECONDS)[1] == []


def test_a_term_in_the_middle_stops_everything(demo_in_the_middle: Command):
    demo_in_the_middle.process.terminate()
    assert demo_in_the_middle.end()[0] == 130
    assert demo_in_the_middle.processes() == []


def test_a_worker_that_dies_in_the_middle_ends_the_demo(demo_in_the_middle: Command):
    demo_in_the_middle.worker().kill()
    status, _, err = demo_in_the_middle.end()
    assert status == 1
    assert "The worker ended before the batch did" in err
    assert demo_in_the_middle.processes() == []


def test_a_demo_killed_by_sigkill_leaves_no_process(demo_in_the_middle: Command):
    processes = demo_in_the_middle.processes()
    demo_in_the_middle.process.kill()
    demo_in_the_middle.process.wait()
    assert psutil.wait_procs(processes, timeout=WAIT_SECONDS)[1] == []


def test_a_wrong_configuration_is_told_at_once(run: Run, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text(
        "codecs = ['gzip']\n[profile.redis.storage.drivers.redis]\nurll = 'redis://127.0.0.1:1'\n"
    )
    status, _, err = run("starter", "--storage", "redis", TEMPORAL_PAYLOADS_CONFIG_FILE=str(file)).end()
    assert status == 2
    assert "storage.drivers.redis.urll" in err
    assert "Traceback" not in err


def test_a_starter_without_a_server_says_how_to_start_one(run: Run):
    port = free_ports(1)[0]
    status, _, err = run("starter", TEMPORAL_ADDRESS=f"127.0.0.1:{port}").end()
    assert status == 1
    assert f"127.0.0.1:{port}" in err
    assert "python -m order_batch services" in err
    assert "Traceback" not in err


def test_services_worker_and_starter_work_in_terminals_of_their_own(run: Run):
    temporal_port, s3_port, codec_server_port = free_ports(3)
    addresses = {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}",
        "TEMPORAL_PAYLOADS_CODEC_SERVER__PORT": str(codec_server_port),
        "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
    }
    services = run("services", **addresses)
    assert services.wait_for_line("Temporal:") == addresses["TEMPORAL_ADDRESS"]
    ui_url = services.wait_for_line("Web UI:")
    with urllib.request.urlopen(ui_url) as page:
        assert page.status == 200
    worker = run("worker", **addresses)
    status, out, _ = run("starter", *BATCH, **addresses).end()
    assert status == 0
    assert out.startswith(SUMMARY)
    for command in (worker, services):
        command.interrupt()
        assert command.end()[0] == 0
        assert command.processes() == []


def test_services_say_which_port_is_taken(run: Run, redis_server):
    address = f"redis://127.0.0.1:{redis_server.port}/0"
    command = run("services", "--storage", "redis", TEMPORAL_PAYLOADS_STORAGE__DRIVERS__REDIS__URL=address)
    status, _, err = command.end()
    assert status == 1
    assert f"127.0.0.1:{redis_server.port}, because another program does" in err


def test_keep_leaves_everything_running_with_readable_payloads_until_ctrl_c(run: Run):
    command = run("demo", "--storage", "redis", "--keep", "--json", "--orders", "5", *BATCH)
    page = urlsplit(command.wait_for_line("Web UI:"))
    codec_server = command.wait_for_line("Codec server, through which the Web UI reads the payloads:")
    ui = f"{page.scheme}://{page.netloc}"
    with urllib.request.urlopen(f"{ui}/api/v1/settings") as answer:
        assert json.load(answer)["Codec"]["Endpoint"] == codec_server
    plain = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "IngiCg=="}
    with urllib.request.urlopen(as_the_ui_asks(f"{codec_server}/encode", ui, plain)) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == ui
        [encoded] = json.load(answer)["payloads"]
    with urllib.request.urlopen(as_the_ui_asks(f"{codec_server}/decode", ui, encoded)) as answer:
        assert json.load(answer)["payloads"] == [plain]
    command.wait_for_line("Everything is kept running")
    assert command.processes()
    command.interrupt()
    status, out, _ = command.end()
    assert status == 0
    assert command.processes() == []
    # Five orders are below the threshold: nothing is offloaded.
    assert {row["driver"] for row in json.loads(out)["payloads"]} == {None}
