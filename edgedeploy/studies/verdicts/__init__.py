"""Whether the verdicts of `compare` and of the history keep what they promise: `make studies`.

traces.py       latencies with the noise of phones      simulation.py  thousands of comparisons of such traces
real_trials.py  comparisons of real measurements on this machine
"""
