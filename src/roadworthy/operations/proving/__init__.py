"""From runs and people's words to evidence, and from evidence to the checklist."""
