"""The line: camera to verdict, reject and history."""

__version__ = "0.1.0"
