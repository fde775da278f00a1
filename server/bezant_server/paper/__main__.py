"""`python -m bezant_server.paper`."""

from __future__ import annotations

import sys

from bezant_server.paper.cli import main

if __name__ == "__main__":
    sys.exit(main())
