"""`--recipe auto`: the cheapest exceptions from a recipe that reach a goal, each measured in the real runtime.

trials.py    a recipe in, its quality out: lowers, runs, and keeps what it has measured
labelled.py  images with labels, where the goal is about accuracy
costs.py     what a block costs in float32 instead of int8, in Arm instructions
blocks.py    the network's modules as a tree
search.py    which recipe to try next
"""

from __future__ import annotations

from .labelled import read_labelled
from .search import Found, SearchOptions, search_recipe
from .trials import Trials

__all__ = ["Found", "SearchOptions", "Trials", "read_labelled", "search_recipe"]
