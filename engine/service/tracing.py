"""Spans of calls and of the stages that queries go through, for whatever speaks OTLP (https://opentelemetry.io).

A span is made when its call has ended, of times that were taken anyway: what is not sampled costs next to nothing. A
caller that sends a W3C `traceparent` finds the spans in its own trace, over HTTP too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from engine.core.types import Stage
from engine.query.trace import TOTAL

if TYPE_CHECKING:
    from opentelemetry.trace import Status

SERVER_FAULTS = ("DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN")
"""Statuses that make the span of a server an error, as OpenTelemetry's conventions for RPC have it."""

CARRIED = ("traceparent", "tracestate")
"""Metadata keys that a caller's trace comes with (https://www.w3.org/TR/trace-context/)."""

_FLUSH_MILLISECONDS = 3000


class Tracing(Protocol):
    """Is told of calls that ended."""

    def ended(
        self,
        method: str,
        code: str,
        began: float,
        seconds: float,
        *,
        carrier: Mapping[str, str],
        facts: Mapping[str, object],
        stages: Iterable[Stage] = (),
        stages_began: float = 0.0,
    ) -> str:
        """A call has ended.

        Args:
            method: its full name, `/package.Service/Method`.
            code: the name of its status.
            began: `time.perf_counter` when it did.
            seconds: that it took.
            carrier: what it brought of `CARRIED`.
            facts: what else is known of it, such as its request id. No contents, and no ids of people.
            stages: that its query went through, one after the other.
            stages_began: `time.perf_counter` when the first did.

        Returns:
            The id of its trace, 32 hexadecimal digits; "" if it is not sampled.
        """

    def close(self) -> None:
        """Send what waits."""


class Untraced:
    """Makes no spans."""

    def ended(self, *_: object, **__: object) -> str:
        """Nothing."""
        return ""

    def close(self) -> None:
        """Nothing."""


class OtlpTracing:
    """Sends spans to a collector, in the background and many at once.

    Args:
        endpoint: its URL, such as http://127.0.0.1:4317; https encrypts.
        share: of the calls that bring no trace of their own, so many are sampled, 0 to 1. A caller's trace says
            itself whether it is.
    """

    def __init__(self, endpoint: str, share: float = 1.0) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        exporter = OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https://"))
        self._processor = BatchSpanProcessor(exporter)
        self._sampler, self._ids = ParentBased(TraceIdRatioBased(share)), RandomIdGenerator()
        self._propagator = TraceContextTextMapPropagator()
        self._resource, self._scope = Resource.create({SERVICE_NAME: "triveni"}), InstrumentationScope("triveni")

    def ended(
        self,
        method: str,
        code: str,
        began: float,
        seconds: float,
        *,
        carrier: Mapping[str, str],
        facts: Mapping[str, object],
        stages: Iterable[Stage] = (),
        stages_began: float = 0.0,
    ) -> str:
        """See `Tracing.ended`."""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import ReadableSpan

        said = self._propagator.extract(carrier) if carrier else None
        parent = trace.get_current_span(said).get_span_context()
        trace_id = parent.trace_id if parent.is_valid else self._ids.generate_trace_id()
        name = method.removeprefix("/")
        sampled = self._sampler.should_sample(said, trace_id, name, trace.SpanKind.SERVER)
        if not sampled.decision.is_sampled():  # type: ignore[no-untyped-call]
            return ""
        first = time.time_ns() - round((time.perf_counter() - began) * 1e9)
        at = first + round((stages_began - began) * 1e9)

        def made(above: trace.SpanContext | None, **about: Any) -> trace.SpanContext:
            # The SDK makes a span that is going on, with locks and checks; of one that has ended this is enough.
            flags, state = trace.TraceFlags(trace.TraceFlags.SAMPLED), sampled.trace_state
            own = trace.SpanContext(trace_id, self._ids.generate_span_id(), False, flags, state)
            span = ReadableSpan(
                context=own, parent=above, resource=self._resource, instrumentation_scope=self._scope, **about
            )
            self._processor.on_end(span)
            return own

        service, _, rpc = name.partition("/")
        whole = made(
            parent if parent.is_valid else None,
            name=name,
            kind=trace.SpanKind.SERVER,
            start_time=first,
            end_time=first + round(seconds * 1e9),
            attributes={
                "rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc, "triveni.code": code,
                **{f"triveni.{key}": str(value) for key, value in facts.items()},
            },
            status=_status(code, facts),
        )  # fmt: skip
        for stage in stages:
            if stage.name == TOTAL:
                continue
            end = at + round(stage.seconds * 1e9)
            made(whole, name=stage.name, start_time=at, end_time=end, attributes={"triveni.count": stage.count})
            at = end
        return trace.format_trace_id(trace_id)

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self._processor.force_flush(_FLUSH_MILLISECONDS)
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def _status(code: str, facts: Mapping[str, object]) -> Status:
    """The status of a server's span."""
    from opentelemetry.trace import Status, StatusCode

    return Status(StatusCode.ERROR, str(facts.get("error", code))) if code in SERVER_FAULTS else Status()
