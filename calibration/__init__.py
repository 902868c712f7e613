"""Good parts -> thresholds -> recipe."""
