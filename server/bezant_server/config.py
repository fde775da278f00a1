"""The configuration: every variable, its default and its meaning, in one class.

A variable may stand in the environment, in a `.env` file, or on the command line as a flag of the same name
(`BEZANT_KEEPALIVE_SECS` is `--keepalive-secs`). A secret may also be read from a file: `BEZANT_DEBUG_TOKEN_FILE`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bezant_server.addresses import BindAddress, GatewayUrl
from bezant_server.certificates import TlsFiles
from bezant_server.errors import InvalidBaseUrl
from bezant_server.inputs import is_account, is_message_id
from bezant_server.maintenance import Window, zone

MEBIBYTE = 1024 * 1024

_ORIGIN = re.compile(r"https?://[^/\s?#@]+")


class ConfigError(Exception):
    """A value that cannot be used; the message names each variable at fault."""


def _address(value: object) -> object:
    return BindAddress.parse(value) if isinstance(value, str) else value


def _gateway(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return GatewayUrl.parse(value)
    except InvalidBaseUrl as error:
        raise ValueError(error.message) from None


def _comma_separated(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part for part in (part.strip() for part in value.split(",")) if part)


def _windows(value: object) -> object:
    parts = _comma_separated(value)
    if not isinstance(value, str) or not isinstance(parts, tuple):
        return value
    return tuple(Window.parse(part) for part in parts)


def _zone(value: object) -> object:
    return zone(value) if isinstance(value, str) else value


def _origins(value: object) -> object:
    origins = _comma_separated(value)
    if isinstance(origins, tuple):
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"'{origin}' is not a web origin such as https://app.example.com")
    return origins


def _account(text: str) -> str:
    if not is_account(text):
        raise ValueError(f"'{text}' is no account id such as DU1234567")
    return text


def _accounts(value: object) -> object:
    accounts = _comma_separated(value)
    return tuple(map(_account, accounts)) if isinstance(accounts, tuple) else accounts


def _message_ids(value: object) -> object:
    ids = _comma_separated(value)
    if isinstance(ids, tuple):
        for each in ids:
            if not is_message_id(each):
                raise ValueError(f"'{each}' is no id of a warning such as o163")
    return ids


def _local(path: Path) -> Path:
    # An empty one would be the working directory.
    if path == Path():
        raise ValueError("it names no file")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _blank_is_unset(value: object) -> object:
    return None if value == "" else value


Address = Annotated[BindAddress, BeforeValidator(_address)]
Gateway = Annotated[GatewayUrl, BeforeValidator(_gateway)]
CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_comma_separated)]
Windows = Annotated[tuple[Window, ...], BeforeValidator(_windows)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
LocalPath = Annotated[Path, AfterValidator(_local)]
OptionalPath = Annotated[LocalPath | None, BeforeValidator(_blank_is_unset)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]
# The upper bounds keep a slip of the keyboard within what timers, SQLite, gRPC and Envoy can count.
Seconds = Annotated[float, Field(gt=0, le=31 * 24 * 3600, allow_inf_nan=False)]
Days = Annotated[int, Field(gt=0, le=36_500)]
Count = Annotated[int, Field(gt=0, le=1024 * MEBIBYTE)]
OptionalPort = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(_blank_is_unset)]
OptionalNumber = Annotated[Annotated[int, Field(ge=0, le=2**31 - 1)] | None, BeforeValidator(_blank_is_unset)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_unset)]
Accounts = Annotated[tuple[str, ...], BeforeValidator(_accounts)]
OptionalAccount = Annotated[Annotated[str, AfterValidator(_account)] | None, BeforeValidator(_blank_is_unset)]
MessageIds = Annotated[tuple[str, ...], BeforeValidator(_message_ids)]


def _variable(name: str, default: Any, description: str) -> Any:
    return Field(default=default, validation_alias=AliasChoices(name), description=description)


class Settings(BaseSettings):
    """What the operator decides. Durations are seconds."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        enable_decoding=False,
    )

    gateway_url: Gateway = _variable(
        "IBKR_GATEWAY_URL",
        GatewayUrl("https", "localhost:5000", "/v1/api"),
        "the Client Portal Gateway's API",
    )
    bind: Address = _variable(
        "BEZANT_BIND", BindAddress("127.0.0.1", 8080), "where Envoy serves REST, gRPC and gRPC-Web"
    )
    grpc_bind: Address = _variable(
        "BEZANT_GRPC_BIND", BindAddress("127.0.0.1", 50051), "where the server itself serves gRPC"
    )
    envoy_socket: OptionalPath = _variable(
        "BEZANT_ENVOY_SOCKET",
        None,
        "the private Unix socket between Envoy and the server; `bezant up` makes one",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _variable(
        "BEZANT_LOG_LEVEL", "INFO", "how much is logged"
    )
    log_format: Literal["auto", "json", "text"] = _variable(
        "BEZANT_LOG_FORMAT", "auto", "json lines, or text; auto is text on a terminal"
    )

    require_keys: bool = _variable(
        "BEZANT_REQUIRE_KEYS", False, "every call needs an API key; on by itself when listening beyond loopback"
    )
    insecure: bool = _variable(
        "BEZANT_INSECURE", False, "listen beyond loopback without keys, because something else guards the port"
    )
    tls_cert: OptionalPath = _variable("BEZANT_TLS_CERT", None, "certificate (PEM) of both ports, which then speak TLS")
    tls_key: OptionalPath = _variable("BEZANT_TLS_KEY", None, "its private key (PEM)")
    tls_client_ca: OptionalPath = _variable(
        "BEZANT_TLS_CLIENT_CA", None, "CA (PEM) that callers need a certificate of, for mutual TLS"
    )

    verify_tls: bool = _variable("BEZANT_VERIFY_TLS", False, "verify the gateway's certificate")
    ca_file: OptionalPath = _variable("BEZANT_CA_FILE", None, "the CA to verify it with, if not the system's")
    connect_timeout_secs: Seconds = _variable("BEZANT_CONNECT_TIMEOUT_SECS", 10.0, "longest wait for a connection")
    request_timeout_secs: Seconds = _variable("BEZANT_REQUEST_TIMEOUT_SECS", 30.0, "longest wait for a whole answer")
    keepalive_secs: Seconds = _variable("BEZANT_KEEPALIVE_SECS", 60.0, "how often the session is tickled")
    edge_cookie_prefixes: CommaSeparated = _variable(
        "BEZANT_EDGE_COOKIE_PREFIXES",
        (),
        "further cookies of an edge proxy that never enter the jar, comma-separated",
    )
    max_connections: Count = _variable("BEZANT_MAX_CONNECTIONS", 64, "connections to the gateway, per transport")
    max_request_body_bytes: Count = _variable(
        "BEZANT_MAX_REQUEST_BODY_BYTES", 10 * MEBIBYTE, "largest request body taken in"
    )
    max_response_body_bytes: Count = _variable(
        "BEZANT_MAX_RESPONSE_BODY_BYTES", 25 * MEBIBYTE, "largest answer of the gateway forwarded"
    )
    max_calls: Count = _variable("BEZANT_MAX_CALLS", 1000, "calls under way through Envoy, streams included")
    receive_timeout_secs: Seconds = _variable(
        "BEZANT_RECEIVE_TIMEOUT_SECS", 60.0, "longest that a request may take to arrive at Envoy"
    )
    shutdown_grace_secs: Seconds = _variable(
        "BEZANT_SHUTDOWN_GRACE_SECS", 30.0, "longest that calls in flight, an order among them, may take at shutdown"
    )

    pacing: bool = _variable("BEZANT_PACING", True, "keep IBKR's limits (on or off)")
    pacing_file: OptionalPath = _variable("BEZANT_PACING_FILE", None, "TOML file that changes or adds limits")
    pacing_margin_secs: Seconds = _variable("BEZANT_PACING_MARGIN_SECS", 0.05, "added to every window of a limit")
    pacing_transit_secs: Seconds = _variable(
        "BEZANT_PACING_TRANSIT_SECS", 0.5, "longest that a call is on its way to the gateway"
    )
    pacing_hold_secs: Seconds = _variable(
        "BEZANT_PACING_HOLD_SECS", 5.0, "how long an order's question holds the line for its reply"
    )
    pacing_queue_cap: Count = _variable("BEZANT_PACING_QUEUE_CAP", 2000, "calls that may wait, in each lane")
    pacing_backoff_min_secs: Seconds = _variable(
        "BEZANT_PACING_BACKOFF_MIN_SECS", 5.0, "first pause after a 429 of the gateway; it doubles"
    )
    pacing_backoff_max_secs: Seconds = _variable("BEZANT_PACING_BACKOFF_MAX_SECS", 900.0, "longest such pause")
    last_answers_cap: Count = _variable(
        "BEZANT_LAST_ANSWERS_CAP", 256, "last answers held, for max-age and closed windows"
    )
    last_answers_bytes: Count = _variable("BEZANT_LAST_ANSWERS_BYTES", 32 * MEBIBYTE, "their size together")

    session_upkeep: bool = _variable(
        "BEZANT_SESSION_UPKEEP",
        True,
        "open and prepare the brokerage session whenever it is gone (on or off: only keep it alive)",
    )
    compete: bool = _variable(
        "BEZANT_COMPETE", False, "take the session from another program that uses the login; once, without fighting"
    )
    session_check_secs: Seconds = _variable(
        "BEZANT_SESSION_CHECK_SECS", 10.0, "longest wait for the answer to a tickle"
    )
    session_spacing_secs: Seconds = _variable(
        "BEZANT_SESSION_SPACING_SECS", 1.0, "shortest time between two looks at the session"
    )
    session_login_secs: Seconds = _variable(
        "BEZANT_SESSION_LOGIN_SECS", 5.0, "how often a gateway without a login is looked at"
    )
    session_competing_secs: Seconds = _variable(
        "BEZANT_SESSION_COMPETING_SECS", 30.0, "how often it is looked at while another program has the session"
    )
    session_takeovers_apart_secs: Seconds = _variable(
        "BEZANT_SESSION_TAKEOVERS_APART_SECS", 300.0, "two takeovers so close to each other are the last"
    )
    session_connect_secs: Seconds = _variable(
        "BEZANT_SESSION_CONNECT_SECS", 20.0, "longest wait for a brokerage session to open"
    )
    session_backoff_min_secs: Seconds = _variable(
        "BEZANT_SESSION_BACKOFF_MIN_SECS", 1.0, "first wait before another try"
    )
    session_backoff_max_secs: Seconds = _variable("BEZANT_SESSION_BACKOFF_MAX_SECS", 30.0, "longest such wait")
    session_heartbeat_secs: Seconds = _variable(
        "BEZANT_SESSION_HEARTBEAT_SECS", 15.0, "how often a quiet WatchSession sends a heartbeat"
    )
    maintenance_windows: Windows = _variable(
        "BEZANT_MAINTENANCE_WINDOWS",
        (Window.parse("00:00-02:00"), Window.parse("Fri 23:00-03:00"), Window.parse("Sat 18:00-23:00")),
        "when IBKR maintains its systems, comma-separated; it names failures, and stops nothing",
    )
    maintenance_zone: Zone = _variable(
        "BEZANT_MAINTENANCE_ZONE", ZoneInfo("America/New_York"), "the time zone of those windows"
    )

    cors_origins: Origins = _variable(
        "BEZANT_CORS_ORIGINS", (), "web origins that may call from a browser, comma-separated"
    )
    allowed_hosts: CommaSeparated = _variable(
        "BEZANT_ALLOWED_HOSTS", (), "further Host names that are ours, comma-separated"
    )
    debug_token: OptionalSecret = _variable("BEZANT_DEBUG_TOKEN", None, "opens /debug/jar and /debug/probe")

    events_enabled: bool = _variable("BEZANT_EVENTS_ENABLED", False, "capture order, PnL and market-data events")
    events_db_path: OptionalPath = _variable("BEZANT_EVENTS_DB_PATH", None, "SQLite file of the events history")
    events_orders_cap: Count = _variable("BEZANT_EVENTS_ORDERS_CAP", 1000, "events held of orders")
    events_pnl_cap: Count = _variable("BEZANT_EVENTS_PNL_CAP", 5000, "events held of PnL")
    events_marketdata_cap: Count = _variable("BEZANT_EVENTS_MARKETDATA_CAP", 2000, "events held of each conid")
    events_gap_cap: Count = _variable("BEZANT_EVENTS_GAP_CAP", 1000, "events held of gaps")
    events_max_conids: Count = _variable("BEZANT_EVENTS_MAX_CONIDS", 100, "market-data lines subscribed at once")
    events_max_frame_bytes: Count = _variable("BEZANT_EVENTS_MAX_FRAME_BYTES", MEBIBYTE, "largest frame taken in")
    events_ready_timeout_secs: Seconds = _variable(
        "BEZANT_EVENTS_READY_TIMEOUT_SECS",
        5.0,
        "longest wait for the socket's ready frame before subscribing anyway",
    )
    events_heartbeat_secs: Seconds = _variable(
        "BEZANT_EVENTS_HEARTBEAT_SECS", 55.0, "how often the socket is sent `tic`"
    )
    events_silence_secs: Seconds = _variable(
        "BEZANT_EVENTS_SILENCE_SECS", 30.0, "a socket silent for so long is replaced"
    )
    events_backoff_min_secs: Seconds = _variable(
        "BEZANT_EVENTS_BACKOFF_MIN_SECS", 1.0, "first wait before reconnecting"
    )
    events_backoff_max_secs: Seconds = _variable("BEZANT_EVENTS_BACKOFF_MAX_SECS", 60.0, "longest such wait")
    events_healthy_secs: Seconds = _variable(
        "BEZANT_EVENTS_HEALTHY_SECS", 30.0, "a connection that lived so long resets the wait"
    )
    events_renew_secs: Seconds = _variable(
        "BEZANT_EVENTS_RENEW_SECS",
        600.0,
        "how often a market-data line is renewed (the gateway ends it after 15 minutes)",
    )
    events_release_secs: Seconds = _variable(
        "BEZANT_EVENTS_RELEASE_SECS", 300.0, "a market-data line without a reader for so long is released"
    )
    events_retention_orders_days: Days = _variable("BEZANT_EVENTS_RETENTION_ORDERS_DAYS", 90, "history kept of orders")
    events_retention_pnl_days: Days = _variable("BEZANT_EVENTS_RETENTION_PNL_DAYS", 90, "history kept of PnL")
    events_retention_marketdata_days: Days = _variable(
        "BEZANT_EVENTS_RETENTION_MARKETDATA_DAYS", 14, "history kept of market data"
    )
    events_retention_gap_days: Days = _variable("BEZANT_EVENTS_RETENTION_GAP_DAYS", 365, "history kept of gaps")
    events_retention_other_days: Days = _variable(
        "BEZANT_EVENTS_RETENTION_OTHER_DAYS", 30, "history kept of everything else"
    )
    events_prune_secs: Seconds = _variable("BEZANT_EVENTS_PRUNE_SECS", 3600.0, "how often old history is pruned")
    events_flush_secs: Seconds = _variable("BEZANT_EVENTS_FLUSH_SECS", 0.2, "longest that an event waits to be stored")
    events_queue_cap: Count = _variable("BEZANT_EVENTS_QUEUE_CAP", 10_000, "events that may wait to be stored")

    ib_server_port: OptionalPort = _variable(
        "IB_SERVER_PORT", None, "a port on 127.0.0.1 that serves /ib/* alone; its clients use 3001"
    )
    ib_client_id: OptionalNumber = _variable(
        "IB_CLIENT_ID", None, "the client_id that /ib/health tells, instead of a random one"
    )
    ib_host: OptionalText = _variable("IB_HOST", None, "has no effect: the gateway is IBKR_GATEWAY_URL")
    ib_port: OptionalText = _variable("IB_PORT", None, "has no effect: the gateway is IBKR_GATEWAY_URL")
    products_path: OptionalPath = _variable(
        "BEZANT_PRODUCTS_PATH", None, "TOML file of product codes, added to those that come with the server"
    )

    api_keys_path: LocalPath = _variable(
        "BEZANT_API_KEYS_PATH", Path("~/.config/bezant/api-keys.json"), "the file of API keys; see `bezant keys`"
    )
    state_db_path: LocalPath = _variable(
        "BEZANT_STATE_DB_PATH", Path("~/.local/state/bezant/state.db"), "SQLite file of target orders"
    )
    accounts: Accounts = _variable(
        "BEZANT_ACCOUNTS", (), "the accounts that targets may be set for, comma-separated; all of the login if unset"
    )
    default_account: OptionalAccount = _variable(
        "BEZANT_DEFAULT_ACCOUNT", None, "the account of targets that name none; else the only or the selected one"
    )
    target_live: bool = _variable("BEZANT_TARGET_LIVE", False, "let targets trade on a live account")
    confirm_message_ids: MessageIds = _variable(
        "BEZANT_CONFIRM_MESSAGE_IDS",
        ("o354", "o10151"),
        "IBKR's warnings that are confirmed for target orders, comma-separated; see docs/target-orders.md",
    )
    target_booking_secs: Seconds = _variable(
        "BEZANT_TARGET_BOOKING_SECS", 10.0, "so long after a fill, IBKR has booked it into the position"
    )
    target_search_secs: Seconds = _variable(
        "BEZANT_TARGET_SEARCH_SECS", 60.0, "so long after a target order was lost, IBKR would list it if it had it"
    )
    failpoint: OptionalText = _variable(
        "BEZANT_FAILPOINT", None, "for tests: the step of a batch at which the server kills itself; needs --paper"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del file_secret_settings
        return init_settings, env_settings, _SecretFiles(settings_cls), dotenv_settings


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets from the files that `NAME_FILE` variables point to."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        name = variable_name(field)
        if not is_secret(field):
            return None, name, False
        path = os.environ.get(f"{name}_FILE") or self._from_dotenv(f"{name}_FILE")
        if not path:
            return None, name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), name, False
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}_FILE: cannot read {path}: {error}") from None

    def _from_dotenv(self, name: str) -> str | None:
        return dotenv_values(".env").get(name)

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[name] = value
        return found


def variable_name(field: FieldInfo) -> str:
    """The environment variable of a field."""
    alias = field.validation_alias
    assert isinstance(alias, AliasChoices)  # noqa: S101  every field is declared through _variable
    return str(alias.choices[0])


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret: it is then never printed, and may be read from a file."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def refuse_failpoint(settings: Settings) -> None:
    """Refuse a configuration that has the server kill itself, which must not happen in front of a real gateway.

    Raises:
        ConfigError: BEZANT_FAILPOINT is set.
    """
    if settings.failpoint is not None:
        raise ConfigError("BEZANT_FAILPOINT: it is for tests on the paper gateway, and needs --paper")


def tls_files(settings: Settings) -> TlsFiles | None:
    """The files of TLS; None when callers are served without.

    Raises:
        ConfigError: one of them stands there without another that it needs.
    """
    if settings.tls_cert is None and settings.tls_key is None:
        if settings.tls_client_ca is not None:
            raise ConfigError("BEZANT_TLS_CLIENT_CA: mutual TLS needs BEZANT_TLS_CERT and BEZANT_TLS_KEY, too")
        return None
    if settings.tls_key is None:
        raise ConfigError("BEZANT_TLS_KEY: the certificate of BEZANT_TLS_CERT needs its private key")
    if settings.tls_cert is None:
        raise ConfigError("BEZANT_TLS_CERT: the private key of BEZANT_TLS_KEY needs its certificate")
    return TlsFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def without_effect(settings: Settings) -> list[str]:
    """What to tell an operator who set variables that do nothing: a line for each."""
    given = {"IB_HOST": settings.ib_host, "IB_PORT": settings.ib_port}
    return [
        f"{name} has no effect: the gateway is IBKR_GATEWAY_URL" for name, value in given.items() if value is not None
    ]


def load(overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the configuration; `overrides` are variables (flags of the command line) that win over everything.

    Raises:
        ConfigError: naming every variable whose value cannot be used.
    """
    try:
        return Settings(**dict(overrides or {}))  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for detail in error.errors(include_url=False, include_input=False):
            message = detail["msg"].removeprefix("Value error, ")
            lines.append(f"{'.'.join(str(part) for part in detail['loc'])}: {message}")
        raise ConfigError("\n".join(lines)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f".env: {error}") from None
