"""Log lines on standard error: for people, or as JSON."""

import hashlib
import logging
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.tracebacks import ExceptionDictTransformer

_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def configure_logs(level: str, *, json_lines: bool) -> None:
    """Set up structlog for this process; called once, by the command line.

    Tracebacks come without the values of variables: these are what people did, and megabytes of numbers.

    Args:
        level: debug, info, warning or error; lines below it are not written.
        json_lines: whether each line is a JSON object.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([_TRACEBACKS] if json_lines else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class UserNames:
    """Names people in logs and spans, without saying who they are: by a keyed hash of their ids.

    Args:
        key: of the hash; who has it can find a person's lines. "" draws one, which is gone with this process.
    """

    def __init__(self, key: str = "") -> None:
        self._key = hashlib.sha256(key.encode()).digest() if key else secrets.token_bytes(32)

    def __call__(self, user: str) -> str:
        """16 hexadecimal digits: the same for one person always, under one key."""
        return hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).hexdigest()


@contextmanager
def loading(what: str, **facts: object) -> Iterator[dict[str, object]]:
    """Log that something is being loaded, and then how long it took.

    Args:
        what: is loaded.
        facts: what is known of it before.

    Yields:
        A dict for what is known of it afterwards.
    """
    log = structlog.get_logger("triveni.service")
    log.info("loading", what=what, **facts)
    begun = time.monotonic()
    found: dict[str, object] = {}
    yield found
    log.info("loaded", what=what, seconds=round(time.monotonic() - begun, 1), **found)
