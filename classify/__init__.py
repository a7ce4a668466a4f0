"""Stage 2: cache → verdicts."""
