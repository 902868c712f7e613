"""The network and what runs it. Imports nothing else of ours; torch lives in `engines.dskd` only."""
