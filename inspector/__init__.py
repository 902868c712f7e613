"""The line: camera to verdict, reject and history."""
