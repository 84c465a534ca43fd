"""Commands under bad input, bad surroundings and signals: what may never happen, tried many times.

material.py   a small project of a user: a network, artifacts, results, a history, images
commands.py   lines that work, which the tries start from
tries.py      what goes wrong in each: a damaged file, a bad value, an environment, a signal
judge.py      what a command may leave behind, and what it may say
"""
