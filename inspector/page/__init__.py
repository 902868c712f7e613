"""The operator's page: a process of its own that reads the history and writes what people decide."""
