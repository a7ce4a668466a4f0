"""avfd: audio-visual deepfake detection from the emotion that voice and face carry.

This package holds what both stages speak: clips, the timeline, backbone specs, the cache and runs.
It imports neither stage; the README has the map.
"""

__version__ = "0.1.0"
