"""Errors of the engines package; each message says what, which value, and what to do."""


class EngineError(Exception):
    """Root of every error raised by `engines`."""


class ImageError(EngineError):
    """A picture that can't be read or has a shape the model was not taught."""


class PartNotFound(EngineError):
    """A frame in which the taught part is not to be found, or not whole."""


class BundleError(EngineError):
    """A bundle that is missing, tampered with, or of an unknown format."""


class RuntimeUnavailable(EngineError):
    """An engine that is not installed, or can't run on this box or run this model."""


class InferenceFailed(EngineError):
    """One inference that gave no maps."""


class CertificateError(EngineError):
    """An engine whose certificate is missing, stale, damaged or over its limits."""


class TrainingError(EngineError):
    """Training that can't start or did not converge."""


class EvaluationError(EngineError):
    """Judged pictures that no figure can be computed from."""


class Collapsed(TrainingError):
    """Training that went on but taught nothing: constant maps, dead layers, exploding scores."""
