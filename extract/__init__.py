"""Stage 1: media → cache."""
