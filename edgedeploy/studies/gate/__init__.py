"""The project's own gate: the Arm instructions of a few small artifacts against a baseline in the tree.

make gate           exports and counts them, and compares with .ci/instructions.json; fails on a regression
make gate-update    writes the baseline anew: say why in the commit
"""
