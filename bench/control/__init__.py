"""The kill switch and the ramp in figures: ``python -m bench.control`` (docs/control.md)."""
