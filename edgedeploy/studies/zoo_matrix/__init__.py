"""The zoo's matrix: every variant to every format, in float and int8, verified; `python -m edgedeploy.studies.zoo_matrix`."""
