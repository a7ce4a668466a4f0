"""Media through PyAV: what a file holds (`scan`) and its sound and pictures (`decode`).

Every time is in seconds on the file's presentation-time line, whose zero is the smallest first
presentation time over the file's sound and picture tracks: a late track stays late, a gap stays a
gap. docs/media.md states the rules.
"""

from extract.media.decoding import Decoding, decode
from extract.media.items import AudioChunk, VideoFrame
from extract.media.opening import file_sha256
from extract.media.scanning import MediaFacts, scan

__all__ = [
    "AudioChunk",
    "Decoding",
    "MediaFacts",
    "VideoFrame",
    "decode",
    "file_sha256",
    "scan",
]
