"""What the detection benchmarks share: which pictures, how a row is made, kept and compared.

Runs in the project's own environment; what runs in the peers' is the package `peers`.
"""
