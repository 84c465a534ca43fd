"""The commands: each parses its arguments, makes one call into edgedeploy.pipeline, and prints what it returns."""
