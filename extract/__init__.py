"""Stage 1: media → cache.

```python
import extract
from avfd.home import Home

home = Home.at("avfd-home")
extract.index_dataset(home, "mine", "/data/mine", layout="folder")
report = extract.extract_columns(home, "mine", ["compare2016", "face_track"])
```
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.index import index_dataset
    from extract.run import extract_columns

__all__ = ["extract_columns", "index_dataset"]

_HOMES = {"extract_columns": "extract.run", "index_dataset": "extract.index"}


def __getattr__(name: str) -> Any:
    """The two entry points, imported where they are first used: workers need neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
