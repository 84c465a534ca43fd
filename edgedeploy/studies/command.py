"""How a study ends that fills a matrix and can be stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edgedeploy.core.errors import EdgedeployError


def exit_with(main: Callable[[], int]) -> None:
    """Ends the process with main's exit code, or with that of its error, which is printed."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with what is left", file=sys.stderr)
        sys.exit(130)
    except EdgedeployError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
