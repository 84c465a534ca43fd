"""`python -m edgedeploy` is `edgedeploy`."""

import sys

if not sys.flags.safe_path:  # `-m` puts the current folder in front of the libraries
    sys.path.append(sys.path.pop(0))

from edgedeploy.cli.app import main

main()
