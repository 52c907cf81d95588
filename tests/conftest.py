"""What holds for every test."""

from hypothesis import settings

# A deadline would turn a busy machine into a failing claim: how fast something is, the benches say.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
