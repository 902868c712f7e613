"""Peers by anomalib 2.7.0, run in their own environment (`make peers`), on the same pictures and the same teacher.

Run there: `coreset`, `models`, `worker`, `stfpm_resnet18`. Readable from both environments: `table`, `backbone`.
Pictures go in and scores and maps come out as files, so that neither environment needs the other's packages.
"""
