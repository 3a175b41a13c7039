"""`python -m order_batch`."""

import os
import sys

from order_batch.cli import main

status = main()
if status:
    # The core of temporalio 1.35 can crash a process that ends just after it failed to connect; the status
    # would be the crash's.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
