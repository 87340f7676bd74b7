"""Spans of calls and of the stages that queries go through, for whatever speaks OTLP (https://opentelemetry.io).

A span is made when its call has ended, of times that were taken anyway: what is not sampled costs next to nothing. A
caller that sends a W3C `traceparent` finds the spans in its own trace, over HTTP too.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from engine.core.types import Stage
from engine.query.trace import TOTAL

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
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: "triveni"}),
            sampler=ParentBased(TraceIdRatioBased(share)),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https://"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("triveni")
        self._propagator = TraceContextTextMapPropagator()

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

        first = time.time_ns() - round((time.perf_counter() - began) * 1e9)
        span = self._tracer.start_span(
            method.removeprefix("/"),
            self._propagator.extract(carrier),
            trace.SpanKind.SERVER,
            start_time=first,
        )
        context = span.get_span_context()
        if not context.trace_flags.sampled:
            return ""
        service, _, name = method.removeprefix("/").partition("/")
        span.set_attributes({"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, "triveni.code": code})
        span.set_attributes({f"triveni.{key}": str(value) for key, value in facts.items()})
        if code in SERVER_FAULTS:
            span.set_status(trace.StatusCode.ERROR, str(facts.get("error", code)))
        inside, at = trace.set_span_in_context(span), first + round((stages_began - began) * 1e9)
        for stage in stages:
            if stage.name == TOTAL:
                continue
            part = self._tracer.start_span(
                stage.name, inside, start_time=at, attributes={"triveni.count": stage.count}
            )
            at += round(stage.seconds * 1e9)
            part.end(at)
        span.end(first + round(seconds * 1e9))
        return trace.format_trace_id(context.trace_id)

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()
