"""The composition root: builds every object, starts every task, stops them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import AsyncExitStack
from functools import partial

from bezant.v1 import (
    contracts_service_pb2_grpc,
    docs_service_pb2,
    docs_service_pb2_grpc,
    events_service_pb2_grpc,
    gateway_service_pb2_grpc,
    historical_rest_service_pb2,
    historical_rest_service_pb2_grpc,
    historical_service_pb2_grpc,
    marketdata_service_pb2_grpc,
    orders_service_pb2_grpc,
    portfolio_service_pb2_grpc,
    scanner_service_pb2_grpc,
    session_service_pb2_grpc,
    sidecar_service_pb2,
    sidecar_service_pb2_grpc,
    targets_rest_service_pb2,
    targets_rest_service_pb2_grpc,
    targets_service_pb2_grpc,
)
from bezant_server import config
from bezant_server.certificates import CertificateError, CertificateStore
from bezant_server.config import ConfigError, Settings
from bezant_server.contracts.service import ContractsService
from bezant_server.cpapi import tls
from bezant_server.cpapi.client import CpapiClient, NoPacing
from bezant_server.cpapi.jar import CookieJar
from bezant_server.cpapi.pacing import build as pacing_build
from bezant_server.docs import files as docs_files
from bezant_server.docs.service import DocsService
from bezant_server.events import build as events_build
from bezant_server.historical.build import Historical
from bezant_server.keys.guard import Guard
from bezant_server.keys.keyring import KeyRing
from bezant_server.marketdata.service import MarketDataService
from bezant_server.orders.build import Orders
from bezant_server.portfolio.service import PortfolioService
from bezant_server.rpc import tls as server_tls
from bezant_server.rpc.deadlines import default_secs
from bezant_server.rpc.interceptor import CallInterceptor
from bezant_server.rpc.rows import Rows
from bezant_server.rpc.server import GrpcServer
from bezant_server.rpc.streams import OpenStreams
from bezant_server.scanner.service import ScannerService
from bezant_server.session.build import Session
from bezant_server.sidecar.debug import DebugPages
from bezant_server.sidecar.gateway_service import GatewayService
from bezant_server.sidecar.service import SidecarService
from bezant_server.targets.build import Targets

_log = logging.getLogger(__name__)

_QUIET_RPCS = frozenset(
    {
        "/bezant.v1.HistoricalDataService/GetDataConnection",
        "/bezant.v1.HistoricalRestService/GetHealth",
        "/bezant.v1.SessionService/GetPacing",
        "/bezant.v1.SessionService/GetSession",
        "/bezant.v1.SidecarService/GetEventsStatus",
        "/bezant.v1.SidecarService/GetHealth",
        "/bezant.v1.SidecarService/PollEvents",
        "/bezant.v1.TargetOrdersRestService/GetHealth",
        "/bezant.v1.TargetOrdersService/GetTargetHealth",
        "/grpc.health.v1.Health/Check",
    }
)


async def serve(settings: Settings) -> None:
    """Run the gRPC server until SIGTERM or SIGINT.

    Raises:
        PortTakenError: an address cannot be bound.
        SocketUnusableError: Envoy's socket cannot be bound.
        ConfigError: BEZANT_CA_FILE, BEZANT_PACING_FILE, BEZANT_PRODUCTS_PATH, BEZANT_STATE_DB_PATH or one of
            BEZANT_TLS_* cannot be used.
    """
    try:
        context = tls.client_context(verify=settings.verify_tls, ca_file=settings.ca_file)
    except OSError as error:
        raise ConfigError(f"BEZANT_CA_FILE: cannot use {settings.ca_file}: {error}") from None
    certificates = _certificates(settings)
    jar = CookieJar(settings.edge_cookie_prefixes)
    session = Session(settings)
    async with AsyncExitStack() as stack:
        gateway = CpapiClient(
            gateway=settings.gateway_url,
            jar=jar,
            tls=context,
            connect_timeout=settings.connect_timeout_secs,
            request_timeout=settings.request_timeout_secs,
            max_response_bytes=settings.max_response_body_bytes,
            max_connections=settings.max_connections,
            pace=partial(pacing_build.build, settings) if settings.pacing else NoPacing,
            on_answer=session.answered,
        )
        stack.push_async_callback(gateway.aclose)
        events = events_build.build(settings, gateway, context, on_status=session.framed)
        keeper = session.keeper(gateway, session_renewed=events.replace_socket, session_ended=events.hold_socket)

        guard = Guard(KeyRing(settings.api_keys_path), everywhere=settings.require_keys, gateway=settings.gateway_url)
        server = GrpcServer(
            interceptor=CallInterceptor(
                cors_origins=frozenset(settings.cors_origins),
                gateway_origin=settings.gateway_url.origin,
                quiet=_QUIET_RPCS,
                deadline=default_secs,
                admission=guard.admission,
            ),
            # Envoy refuses the first call over its share with the envelope, so the server's own bound is for the rest.
            max_calls=2 * settings.max_calls,
            max_request_bytes=settings.max_request_body_bytes,
            max_response_bytes=settings.max_response_body_bytes,
        )
        rows = Rows(
            sidecar_service_pb2.DESCRIPTOR.services_by_name["SidecarService"],
            historical_rest_service_pb2.DESCRIPTOR.services_by_name["HistoricalRestService"],
            targets_rest_service_pb2.DESCRIPTOR.services_by_name["TargetOrdersRestService"],
            docs_service_pb2.DESCRIPTOR.services_by_name["DocsService"],
        )
        debug = DebugPages(gateway=gateway, token=settings.debug_token)
        sidecar = SidecarService(gateway=gateway, events=events.face, debug=debug, rows=rows)
        server.add(sidecar_service_pb2_grpc, "SidecarService", sidecar)
        forward = GatewayService(gateway=gateway, rows=rows, events_enabled=settings.events_enabled)
        server.add(gateway_service_pb2_grpc, "GatewayService", forward)
        server.add(session_service_pb2_grpc, "SessionService", session.service(keeper, gateway))

        typed = session.typed(keeper, gateway)
        streams = OpenStreams()
        orders = Orders(typed, events.report)
        server.add(orders_service_pb2_grpc, "OrdersService", orders.service)
        server.add(events_service_pb2_grpc, "EventsService", events.service(lambda: keeper.accounts, streams))
        server.add(contracts_service_pb2_grpc, "ContractsService", ContractsService(typed, now=time.time))
        quotes = MarketDataService(typed, feeds=events.feeds, open_streams=streams, clock=time.monotonic, now=time.time)
        server.add(marketdata_service_pb2_grpc, "MarketDataService", quotes)
        server.add(scanner_service_pb2_grpc, "ScannerService", ScannerService(typed))
        server.add(portfolio_service_pb2_grpc, "PortfolioService", PortfolioService(typed))
        historical = Historical(
            settings,
            gateway=typed,
            keeper=keeper,
            replace_socket=events.replace_socket,
            rows=rows,
            now=time.time,
        )
        server.add(historical_service_pb2_grpc, "HistoricalDataService", historical.service)
        server.add(historical_rest_service_pb2_grpc, "HistoricalRestService", historical.rest)
        targets = Targets(settings, gateway=typed, keeper=keeper, orders=orders, rows=rows, now=time.time)
        stack.push_async_callback(targets.aclose)
        server.add(targets_service_pb2_grpc, "TargetOrdersService", targets.service)
        server.add(targets_rest_service_pb2_grpc, "TargetOrdersRestService", targets.rest)
        docs = DocsService(site=docs_files.read(), rows=rows)
        server.add(docs_service_pb2_grpc, "DocsService", docs)
        port = server.listen(settings.grpc_bind, None if certificates is None else server_tls.credentials(certificates))
        if settings.envoy_socket is not None:
            server.listen_for_envoy(settings.envoy_socket)

        stop = _stop_signal()
        await server.start()
        _log.info(
            "serving gRPC",
            extra={"host": settings.grpc_bind.host, "port": port, "gateway": str(settings.gateway_url)},
        )
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(part) for part in (keeper.run(), events.run(), orders.run(), targets.run())]
            background.append(tasks.create_task(events.tell_session(session.frames(keeper))))
            await stop.wait()
            _log.info("stopping")
            session.close()
            streams.close()
            targets.stop()
            await server.stop(settings.shutdown_grace_secs)
            grace = settings.shutdown_grace_secs
            await asyncio.gather(targets.drain(grace), orders.drain(grace))
            for task in background:
                task.cancel()
        _log.info("stopped")


def _certificates(settings: Settings) -> CertificateStore | None:
    files = config.tls_files(settings)
    try:
        return None if files is None else CertificateStore(files)
    except CertificateError as error:
        raise ConfigError(str(error)) from None


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
