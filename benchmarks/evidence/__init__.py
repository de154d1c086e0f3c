"""Does COBOT help? A declared grid of runs, one table, paired differences: docs/evidence.md."""
