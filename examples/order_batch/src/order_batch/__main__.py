"""`python -m order_batch`."""

import os
import sys

from order_batch.cli import main

status = main()
# The core of temporalio 1.35 can crash a process that used it while Python shuts down, and the status would
# be the crash's. Nothing is left to do by then: what was opened is closed.
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)
