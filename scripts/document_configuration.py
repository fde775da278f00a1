"""Makes docs/configuration.md from the configuration's own declaration.

python -m scripts.document_configuration           write it
python -m scripts.document_configuration --check   fail if what is committed differs from what would be written
"""

from __future__ import annotations

import sys

from pydantic.fields import FieldInfo

from bezant_server import config
from bezant_server.cli import default_text, flag_name
from scripts.committed import ROOT, write_or_check

TARGET = ROOT / "docs" / "configuration.md"
PREAMBLE = """\
<!-- Made by scripts/document_configuration.py from server/bezant_server/config.py. -->

# Configuration

Each variable may stand in the environment, in a file `.env` of the working directory, or on the command line of
`bezant serve` and `bezant up` as the flag beside it. A flag wins over the environment, the environment over `.env`.

A secret may also stand in a file that `NAME_FILE` names (`BEZANT_DEBUG_TOKEN_FILE=/run/secrets/debug-token`); it is
never printed. Lists are separated by commas, durations are seconds, sizes bytes. A value that cannot be used stops the
start with exit status 2 and a message that names the variable.

| Variable | Flag | Default | Meaning |
|---|---|---|---|
"""


def main() -> int:
    return write_or_check(TARGET, render())


def render() -> str:
    """The page."""
    return PREAMBLE + "".join(_row(field) for field in config.Settings.model_fields.values())


def _row(field: FieldInfo) -> str:
    name = config.variable_name(field)
    default = default_text(field)
    meaning = (field.description or "") + (f"; a secret, also as `{name}_FILE`" if config.is_secret(field) else "")
    return f"| `{name}` | `{flag_name(name)}` | {default if default == 'unset' else f'`{default}`'} | {meaning} |\n"


if __name__ == "__main__":
    sys.exit(main())
