"""Logs: one JSON object per line on standard error, which systemd hands to the journal."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog


class _Forgiving:
    """Standard error, or nothing where that can't be written: a full disk under the log must not cost a verdict."""

    def write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
        except (OSError, ValueError):
            pass  # there is nowhere left to say so

    def flush(self) -> None:
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def set_up_log(verbose: bool = False) -> None:
    """Configure the process's log; called once, by the command line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _Forgiving())),
        cache_logger_on_first_use=True,
    )
