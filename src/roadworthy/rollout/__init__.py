"""The ramp of a release: as much traffic as its evidence allows, step by step, and back at once when it fails."""
