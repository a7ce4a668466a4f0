"""Networks of stage 1, one file each; they import torch, so nothing imports them early."""
