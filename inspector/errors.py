"""Errors of the inspector package; each message says what, which value, and what to do."""


class InspectorError(Exception):
    """Root of every error raised by `inspector`."""


class ConfigError(InspectorError):
    """A setting that is missing, unknown or contradicts another."""


class CameraError(InspectorError):
    """A camera that is not there, was lost, or refuses its settings."""


class HistoryError(InspectorError):
    """The database can't be opened, read or written."""


class JournalError(InspectorError):
    """The ejector's journal can't be opened, read or written."""


class LinkError(InspectorError):
    """The reject link can't be opened, or its two ends contradict each other."""


class SequenceError(InspectorError):
    """The sequence file can't be opened or contradicts the history."""


class LineStopped(InspectorError):
    """The line can't go on without losing verdicts; parts are ejected until it is back."""


class ControlError(InspectorError):
    """No line answers at its control socket, or it refuses."""


class SiteError(InspectorError):
    """A decision of people that can't be taken or kept: feedback, challenge, audit."""
