"""A whole device dialogue in a file, and a device that answers from it.

records.py   the lines of the file     recorder.py   writing them, without serial numbers and user names
replay.py    the device that answers
"""
