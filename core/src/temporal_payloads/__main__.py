"""`python -m temporal_payloads`, for where the command's directory is not on the path."""

import sys

from temporal_payloads._cli import main

sys.exit(main())
