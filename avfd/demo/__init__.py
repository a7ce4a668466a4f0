"""The demo corpus: talking faces made from one public-domain photograph and a speech synthesiser.

It proves the road from media to verdicts, not accuracy. Needs the extra `demo`.
"""

from avfd.demo.corpus import make_corpus

__all__ = ["make_corpus"]
