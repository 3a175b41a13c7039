"""`python -m order_batch`."""

import sys

from order_batch.cli import main

sys.exit(main())
