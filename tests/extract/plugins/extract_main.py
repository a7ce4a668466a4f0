"""An extract as a process of its own: options as JSON in, counts and failures as JSON out."""

import json
import os
import sys
from dataclasses import asdict

from avfd.errors import AvfdError, Stopped
from avfd.home import Home
from avfd.leaving import leave
from extract.run import Limits, extract_columns


def main(options: dict[str, object]) -> int:
    home = Home.at(options.pop("home"))
    limits = Limits(**options.pop("limits", {}))
    progress_fd = options.pop("progress_fd", None)

    def progress(done: int, total: int, note: str) -> None:
        if progress_fd is not None:
            os.write(progress_fd, b".")

    try:
        report = extract_columns(home, limits=limits, progress=progress, **options)
    except (Stopped, AvfdError) as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(json.dumps(asdict(report)))
    return 0


if __name__ == "__main__":
    leave(main(json.loads(sys.argv[1])))
