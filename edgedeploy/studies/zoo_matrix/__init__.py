"""The zoo matrix: every variant to every format, verified; `python -m edgedeploy.studies.zoo_matrix`."""
