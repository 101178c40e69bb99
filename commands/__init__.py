"""The commands of `run.py`, one file each; `line.py` lists them.

A command's module is imported only when it is called, so listing them and starting stay fast. Its docstring is the text
of its `--help`; `add_arguments` and `run` are the functions that `line.Command` requires.
"""
