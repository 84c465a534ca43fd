"""`python -m edgedeploy` is `edgedeploy`."""

from edgedeploy.cli.app import main

main()
