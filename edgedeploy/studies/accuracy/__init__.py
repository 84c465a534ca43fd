"""Accuracy of trained networks in float and in int8: `python -m edgedeploy.studies.accuracy`."""
