"""A gRPC server that answers as a test tells it to, for what a real one does at odd moments only."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

_WAIT_SECS = 30.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, with the details that the server gives."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    details: Sequence[Message] = ()

    def abort(self, context: grpc.ServicerContext) -> None:
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="bezant-grpc", metadata=self.metadata)
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in [*([info] if self.reason else []), *self.details]:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        if status.details:
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.message)


class Hang:
    """No answer, or the end of a stream that stays open, until the caller leaves."""


HANG = Hang()


@dataclass(frozen=True, slots=True)
class Received:
    """A call that came, and when by the monotonic clock."""

    arrived_at: float
    method: str
    request: Any
    metadata: Mapping[str, str | bytes]
    time_remaining: float | None


class ScriptedServer(grpc.GenericRpcHandler):
    """Answers each method with what is queued for it; with nothing queued, as its last answer."""

    def __init__(self) -> None:
        self.target = ""
        self.received: list[Received] = []
        self.ended = threading.Semaphore(0)
        """Counts streams that are over, whoever ended them."""
        self._arrival = threading.Condition()
        self._answers: dict[str, deque[Sequence[Message | Failure | Hang]]] = {}

    def answer(self, method: str, *items: Message | Failure | Hang) -> None:
        """Queue an answer: a message or failure, or of a stream its messages and how it ends."""
        self._answers.setdefault(method, deque()).append(items)

    def calls(self, method: str) -> list[Received]:
        return [call for call in self.received if call.method == method]

    def wait_for(self, method: str, count: int) -> None:
        """Wait until a method has been called so often."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.calls(method)) >= count, _WAIT_SECS)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        _, service, method = handler_call_details.method.split("/")
        descriptor = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(method)
        kind: Callable[..., Any] = grpc.unary_unary_rpc_method_handler
        serve: Callable[..., Any] = self._unary
        if descriptor.server_streaming:
            kind, serve = grpc.unary_stream_rpc_method_handler, self._stream
        return kind(
            lambda request, context: serve(method, request, context),
            request_deserializer=message_factory.GetMessageClass(descriptor.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _next(self, method: str, request: Any, context: grpc.ServicerContext) -> Sequence[Message | Failure | Hang]:
        metadata = dict(context.invocation_metadata())
        with self._arrival:
            self.received.append(Received(time.monotonic(), method, request, metadata, context.time_remaining()))
            self._arrival.notify_all()
        answers = self._answers[method]
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _unary(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        (item,) = self._next(method, request, context)
        if isinstance(item, Failure):
            item.abort(context)
        if isinstance(item, Hang):
            _hang(context)
            context.abort(grpc.StatusCode.CANCELLED, "nobody waits")
        return item

    def _stream(self, method: str, request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        if not context.add_callback(self.ended.release):
            self.ended.release()
        for item in self._next(method, request, context):
            if isinstance(item, Failure):
                item.abort(context)
            elif isinstance(item, Hang):
                _hang(context)
            else:
                yield item


def _hang(context: grpc.ServicerContext) -> None:
    gone = threading.Event()
    if context.add_callback(gone.set):
        assert gone.wait(_WAIT_SECS)


@contextlib.contextmanager
def scripted_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[ScriptedServer]:
    """Run one until the block ends."""
    scripted = ScriptedServer()
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, handlers=[scripted], options=[("grpc.so_reuseport", 0)])
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        scripted.target = f"127.0.0.1:{port}"
        server.start()
        try:
            yield scripted
        finally:
            server.stop(None).wait()
