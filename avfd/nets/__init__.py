"""Networks that both stages need: trained in stage 2, extracting in stage 1.

Every file holds one network: a frozen dataclass of its settings and a module with `features(x)`
(what extraction keeps) and `forward(x)` (logits). Importing one of the files imports torch;
importing this package does not.
"""
