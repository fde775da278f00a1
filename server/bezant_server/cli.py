"""The console commands: `bezant serve`, `up`, `paper` and `keys`; `bezant-server` is `bezant serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Container, Sequence
from functools import partial
from importlib.metadata import version

from pydantic.fields import FieldInfo

from bezant_server import config, logs

_log = logging.getLogger(__name__)

_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a `bezant` command and return the exit status."""
    parsed = command_line().parse_args(arguments)
    return int(parsed.run(parsed))


def serve_main() -> int:
    """`bezant-server`, which is `bezant serve`."""
    return main(["serve", *sys.argv[1:]])


def command_line() -> argparse.ArgumentParser:
    """The command line of `bezant`."""
    # The paper gateway and the supervisor are programs of their own: what they need is loaded when they run.
    from bezant_server.keys import cli as keys  # noqa: PLC0415
    from bezant_server.local import cli as local  # noqa: PLC0415
    from bezant_server.paper import cli as paper  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="bezant",
        description="One Interactive Brokers session, served to every program that needs it.",
        epilog=_variables(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bezant-grpc {version('bezant-grpc')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the gRPC server alone")
    add_settings_flags(serve)
    serve.add_argument("--paper", action="store_true", help="the gateway is the paper gateway; allows BEZANT_FAILPOINT")
    serve.set_defaults(run=_serve)

    up = commands.add_parser("up", help="run the server and Envoy, and with --paper the paper gateway")
    add_settings_flags(up)
    local.add_arguments(up)
    up.set_defaults(run=lambda parsed: local.run(parsed, settings_from_flags))

    simulator = commands.add_parser("paper", help="run the paper gateway: a simulated Client Portal Gateway")
    paper.add_arguments(simulator)
    simulator.set_defaults(run=paper.run)

    keyring = commands.add_parser("keys", help="add, list and remove the API keys of callers")
    keys.add_commands(keyring, partial(add_settings_flags, names={"BEZANT_API_KEYS_PATH"}))
    keyring.set_defaults(run=lambda parsed: keys.run(parsed, settings_from_flags))
    return parser


def add_settings_flags(parser: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    """A flag for every variable of the configuration, or for those of `names` alone."""
    group = parser.add_argument_group("configuration", "each is also a variable of the environment; see bezant --help")
    for field in config.Settings.model_fields.values():
        name = config.variable_name(field)
        if names is None or name in names:
            group.add_argument(flag_name(name), dest=name, metavar=_metavar(field), help=_help(field))


def settings_from_flags(parsed: argparse.Namespace) -> config.Settings:
    """The configuration, with the flags that were given winning over the environment.

    Raises:
        ConfigError: a value cannot be used.
    """
    names = (config.variable_name(field) for field in config.Settings.model_fields.values())
    return config.load({name: value for name in names if (value := getattr(parsed, name, None)) is not None})


def flag_name(variable: str) -> str:
    """BEZANT_KEEPALIVE_SECS is --keepalive-secs, IBKR_GATEWAY_URL is --gateway-url."""
    return "--" + variable.removeprefix("BEZANT_").removeprefix("IBKR_").lower().replace("_", "-")


def _serve(parsed: argparse.Namespace) -> int:
    import uvloop  # noqa: PLC0415  the other commands do without all of this

    from bezant_server.app import serve  # noqa: PLC0415
    from bezant_server.keys import exposure  # noqa: PLC0415
    from bezant_server.rpc.server import PortTakenError, SocketUnusableError  # noqa: PLC0415

    try:
        settings = settings_from_flags(parsed)
        if not parsed.paper:
            config.refuse_failpoint(settings)
        settings = exposure.guarded(settings)
        logs.configure(settings.log_level, form=settings.log_format)
        for warning in (*config.without_effect(settings), *exposure.warnings(settings)):
            _log.warning(warning)
        uvloop.run(serve(settings))
    except config.ConfigError as error:
        return _refuse(str(error))
    except PortTakenError as error:
        return _refuse(f"{error}: choose another with --grpc-bind (BEZANT_GRPC_BIND)")
    except SocketUnusableError as error:
        return _refuse(f"BEZANT_ENVOY_SOCKET: {error}")
    except OSError as error:
        return _refuse(str(error))
    return 0


def _refuse(message: str) -> int:
    sys.stderr.write(f"bezant: {message}\n")
    return _USAGE_ERROR


def _variables() -> str:
    lines = ["variables (each is also a flag of serve and up; a .env file is read; secrets also as NAME_FILE):"]
    lines.extend(
        f"  {config.variable_name(field):<40} {field.description} ({default_text(field)})"
        for field in config.Settings.model_fields.values()
    )
    return "\n".join(lines)


def _help(field: FieldInfo) -> str:
    if config.is_secret(field):
        # A command line is there for every user of the machine to read.
        return f"{field.description}; better by {config.variable_name(field)} or {config.variable_name(field)}_FILE"
    return f"{field.description} ({default_text(field)})"


def default_text(field: FieldInfo) -> str:
    """A default as an operator reads it."""
    default = field.default
    if default is None or default == ():
        return "unset"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(str(each) for each in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def _metavar(field: FieldInfo) -> str:
    if field.annotation is bool:
        return "true|false"
    return "VALUE"


if __name__ == "__main__":
    sys.exit(main())
