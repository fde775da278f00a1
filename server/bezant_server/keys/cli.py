"""The command line of `bezant keys`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bezant_server.config import ConfigError, Settings
from bezant_server.keys.file import KeyFile, KeysError
from bezant_server.keys.scopes import BY_WORD, Scope

_USAGE_ERROR = 2


def add_commands(parser: argparse.ArgumentParser, add_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `add`, `list` and `remove`.

    Args:
        parser: of `bezant keys`.
        add_flags: adds the flag that names the file.
    """
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="make a key for a new client and print it, this once")
    add.add_argument("name", metavar="NAME", help="the client's: 1 to 64 letters, digits, '.', '_' and '-'")
    add.add_argument(
        "--scope",
        choices=BY_WORD,
        default=Scope.TRADE.word,
        help="what it is good for, each holding the one before: to read, to trade, to end the session (trade)",
    )
    add.set_defaults(do=_add)
    listing = commands.add_parser("list", help="print the clients and their scopes, one a line")
    listing.set_defaults(do=_list)
    remove = commands.add_parser("remove", help="take a client's key away; a running server notices at once")
    remove.add_argument("name", metavar="NAME", help="the client's")
    remove.set_defaults(do=_remove)
    for command in (add, listing, remove):
        add_flags(command)


def run(parsed: argparse.Namespace, load: Callable[[argparse.Namespace], Settings]) -> int:
    """Run one of the commands.

    Args:
        parsed: the command line.
        load: reads the configuration, the command line's flags included.

    Returns:
        The exit status: 0, or 2 when it cannot be done.
    """
    try:
        path = load(parsed).api_keys_path
        _say(f"the file of API keys is {path}")
        parsed.do(KeyFile(path), parsed)
    except (ConfigError, KeysError) as error:
        _say(str(error))
        return _USAGE_ERROR
    return 0


def _add(file: KeyFile, parsed: argparse.Namespace) -> None:
    key = file.add(parsed.name, BY_WORD[parsed.scope])
    _say(f"the key of {parsed.name} follows; it is not stored, and so not shown again. Send it as X-API-Key")
    sys.stdout.write(f"{key}\n")


def _list(file: KeyFile, parsed: argparse.Namespace) -> None:
    del parsed
    sys.stdout.writelines(f"{name}\t{scope.word}\n" for name, scope in file.scopes().items())


def _remove(file: KeyFile, parsed: argparse.Namespace) -> None:
    file.remove(parsed.name)
    _say(f"the key of {parsed.name} is no longer valid")


def _say(text: str) -> None:
    # Standard output is for a key, or for names, alone: both are made to be read by programs.
    sys.stderr.write(f"bezant: {text}\n")
