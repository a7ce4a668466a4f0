"""Networks of stage 2: plain PyTorch modules that know nothing of clips, files or training."""
