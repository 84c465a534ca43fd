"""The yardstick: the same network by the tools' documented path and by this project; `python -m edgedeploy.studies.versus`.

cells.py     what is compared, and when a result is due again
naive.py     the documented path, as a process: network -> artifact
measure.py   makes an artifact in a process; instructions, size, error and wall time of an artifact
fill.py      fills the cells that are due
summary.py   the ratios that the project promises
page.py      benchmarks/RESULTS.md
"""
