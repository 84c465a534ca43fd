"""Which operator is to blame, in the user's words.

conversion_errors.py   for what torch.export or a converter raised
failing_operator.py    the operator that a converter fails at, by halving the network
refused_file.py        the same for a file that the runtime refuses
crashing.py            the same for a converter that ends the process
first_difference.py    where a file and the float network part
int8_gap.py            for an int8 file far below the best one of the export
"""
