"""Errors of the calibration package; each message says what, which value, and what to do."""


class CalibrationError(Exception):
    """Root of every error raised by `calibration`."""


class SampleError(CalibrationError):
    """Good parts that can't serve: none, too few, or already used in another role."""


class RecipeError(CalibrationError):
    """A recipe that is missing, damaged, or belongs to another bundle."""


class UnreachableBound(CalibrationError):
    """Too few good parts for the false-reject bound that was asked, under `--strict`."""
