"""`python -m edgedeploy` is `edgedeploy`."""

from .cli import main

main()
