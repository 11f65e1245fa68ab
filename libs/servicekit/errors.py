"""The single place where a refusal becomes a gRPC status, and where a request's form is checked."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import protovalidate
import structlog
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from servicekit import telemetry
from servicekit.domain import DomainError, Kind

log = structlog.get_logger()
LEAST_SECONDS = 0.005  # less time than this left: the work is not begun
STREAMS_MOST = 64  # open at once: each may hold a message of the most bytes while it waits for the door

CODES = {
    Kind.INVALID: code_pb2.INVALID_ARGUMENT,
    Kind.MISSING: code_pb2.NOT_FOUND,
    Kind.EXISTS: code_pb2.ALREADY_EXISTS,
    Kind.PRECONDITION: code_pb2.FAILED_PRECONDITION,
    Kind.KEY_CONFLICT: code_pb2.ALREADY_EXISTS,
    Kind.CONFLICT: code_pb2.ABORTED,
    Kind.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Kind.BUSY: code_pb2.RESOURCE_EXHAUSTED,
    Kind.AWAY: code_pb2.UNAVAILABLE,
}


class DeadlinePassed(DomainError):
    """The caller's deadline had passed before the work began; nothing was done."""

    reason, kind = "DEADLINE_PASSED", Kind.AWAY


class Overloaded(DomainError):
    """More work waits than can be done in time."""

    reason, kind = "OVERLOADED", Kind.BUSY


class FieldInvalid(DomainError):
    """A field breaks its rule."""

    reason, kind = "FIELD_INVALID", Kind.INVALID

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__(field=violations[0][0], problem=violations[0][1])
        self.violations = violations


class MessageUnreadable(DomainError):
    """The bytes are not the message that this method takes."""

    reason, kind = "MESSAGE_UNREADABLE", Kind.INVALID


def service_of(error: DomainError) -> str:
    """ErrorInfo.domain: production.isthmus for services.production, common.isthmus for the kit."""
    parts = type(error).__module__.split(".")
    return f"{parts[1]}.isthmus" if parts[0] == "services" else "common.isthmus"


def to_status(error: BaseException) -> status_pb2.Status:
    """The status with exactly one ErrorInfo. Anything that is no DomainError is our fault and says nothing of itself."""
    if not isinstance(error, DomainError):
        trace_id = telemetry.current_traceparent()[3:35]
        info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain="common.isthmus", metadata={"trace_id": trace_id})
        return _status(code_pb2.INTERNAL, f"internal error, trace {trace_id}", [info])
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=service_of(error), metadata=error.facts)
    details: list[Message] = [info]
    if isinstance(error, FieldInvalid):
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=text)
            for field, text in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    code = code_pb2.DEADLINE_EXCEEDED if isinstance(error, DeadlinePassed) else CODES[error.kind]
    return _status(code, str(error), details)


def _status(code: int, message: str, details: Sequence[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message[:1000])
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def from_rpc_error(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """(code, reason, metadata) of a failed call; reason is empty when the other side gave none."""
    is_call = isinstance(error, grpc.aio.AioRpcError | grpc.Call)
    code = error.code() if is_call else grpc.StatusCode.UNKNOWN
    status = rpc_status.from_call(error) if is_call else None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return code, info.reason, dict(info.metadata)
    return code, "", {}


def check_form(message: Message) -> None:
    """Form of a request by its field rules: required, lengths, patterns, ranges. Raises FieldInvalid."""
    violations = protovalidate.collect_violations(message)
    if violations:
        raise FieldInvalid([(_path(v), v.proto.message) for v in violations[:20]])


def _path(violation: Any) -> str:
    """The field at fault; the request itself, where its fields do not go together."""
    at = violation.proto.field
    return ".".join(element.field_name for element in at.elements) if at is not None else "request"


class Refusals(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Turns every refusal into its status, refuses what is not well formed before any work, and begins the call's span.

    A stream is guarded message by message: what was answered stands, the message at fault ends it.
    """

    def __init__(self) -> None:
        self._streams = 0
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler = self._guarded.get(details.method)
        if handler is None:
            handler = await continuation(details)
            if handler is not None and details.method.startswith("/isthmus."):
                handler = self._guarded[details.method] = self._guard(details.method, handler)
        return handler

    def _guard(self, name: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        if handler.stream_stream is not None:
            make, guarded = grpc.stream_stream_rpc_method_handler, self._guard_stream(name, handler.stream_stream)
        elif handler.unary_unary is not None:
            make, guarded = grpc.unary_unary_rpc_method_handler, _guard_call(name, handler.unary_unary)
        else:
            raise NotImplementedError(f"{name}: nothing guards a stream in one direction")
        return make(
            guarded,
            request_deserializer=_readable(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _guard_stream(self, name: str, method: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Any]:
        async def call(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            served, code = telemetry.Served(name, context.invocation_metadata()), code_pb2.CANCELLED
            self._streams += 1
            try:
                if self._streams > STREAMS_MOST:
                    raise Overloaded
                async for answer in method(_well_formed(requests, context), context):
                    yield answer
                code = code_pb2.OK
                return
            except Exception as error:
                status = _refused(error)
                code = status.code
            finally:
                self._streams -= 1
                served.end(code)
            await context.abort_with_status(rpc_status.to_status(status))

        return call


async def _well_formed(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Message]:
    async for request in requests:
        yield _checked(request, context)


def _readable(deserialize: Callable[[bytes], Message]) -> Callable[[bytes], Message | DomainError]:
    """gRPC would answer unreadable bytes with UNKNOWN and the text of our exception."""

    def read(data: bytes) -> Message | DomainError:
        try:
            return deserialize(data)
        except DecodeError:
            return MessageUnreadable()

    return read


def _checked(request: Message | DomainError, context: grpc.aio.ServicerContext) -> Message:
    """The request, if it can be read, is well formed, and there is time left to do it."""
    if isinstance(request, DomainError):
        raise request
    left = context.time_remaining()
    if left is not None and left < LEAST_SECONDS:
        raise DeadlinePassed
    check_form(request)
    return request


def _refused(error: Exception) -> status_pb2.Status:
    if isinstance(error, DomainError):
        log.info("refused", reason=error.reason, **error.facts)
    else:
        log.error("call failed", error=str(error), stack="".join(traceback.format_exception(error)))
    return to_status(error)


def _guard_call(name: str, method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Message | DomainError, context: grpc.aio.ServicerContext) -> Any:
        served, code = telemetry.Served(name, context.invocation_metadata()), code_pb2.CANCELLED
        try:
            answer = await method(_checked(request, context), context)
            code = code_pb2.OK
            return answer
        except Exception as error:
            status = _refused(error)
            code = status.code
        finally:
            served.end(code)
        return await context.abort_with_status(rpc_status.to_status(status))

    return call
