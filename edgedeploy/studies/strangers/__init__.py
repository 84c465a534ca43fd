"""Networks that this project was not written for, in six targets; `python -m edgedeploy.studies.strangers`.

networks.py     networks of the study's own
libraries.py    networks of timm, and the environment that they are loaded in
cells.py        which cells there are, and what became of each
worker.py       one network's export, in a process of its own
page.py         docs/strangers.md
stand_in.py     a torchvision without contents, for timm
"""
