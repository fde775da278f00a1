"""The configuration as the environment of a child process."""

from __future__ import annotations

import os

from pydantic import SecretStr

from bezant_server.config import Settings, variable_name

_PREFIXES = ("BEZANT_", "IBKR_", "IB_")


def without_settings() -> dict[str, str]:
    """This process's environment for a program that needs nothing of the configuration, its secrets least of all."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}


def with_settings(settings: Settings) -> dict[str, str]:
    """The environment in which a program reads exactly `settings`, whatever a `.env` file or our own variables say.

    Secrets travel here and not on the command line, which every user of the machine can read.
    """
    fields = type(settings).model_fields
    return without_settings() | {
        variable_name(field): _spelled(getattr(settings, name)) for name, field in fields.items()
    }


def _spelled(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case SecretStr():
            return value.get_secret_value()
        case _:
            return str(value)
