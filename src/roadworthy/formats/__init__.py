"""The wire formats that apps and providers speak, and how one becomes another.  Pure: JSON in, JSON out.

Chat completions is the hub: every other format is translated from and to it, so a format is one folder and a pair of
formats two steps.  Nothing is dropped: what the other side cannot express is named (``model.Lost``).
"""
