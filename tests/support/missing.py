"""Tools that a machine may lack: their tests are skipped with one loud line, and fail under CI=true."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def tool(*names: str) -> Path:
    """The first of these programs that is installed; without any, the test ends here."""
    for name in names:
        if (path := shutil.which(name)) is not None:
            return Path(path)
    message = f"{names[0]} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{message}: CI runs every test", pytrace=False)
    pytest.skip(f"{message}: THIS PART IS NOT TESTED HERE")
