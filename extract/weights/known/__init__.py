"""The model files that avfd knows, one module a family, each with a tuple `WEIGHTS`."""
