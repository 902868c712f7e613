"""The history of every part: tables, migrations, the one writer, and queries."""
