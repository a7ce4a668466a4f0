"""Networks that both stages need: trained in stage 2, extracting in stage 1.

Every file holds one network: a module with `features(x)` (what extraction keeps) and `forward(x)`
(logits). Importing one of them imports torch; importing `settings`, which has a frozen dataclass
for each, does not.
"""
