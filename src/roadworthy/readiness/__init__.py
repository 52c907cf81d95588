"""Evidence → checklist → ceiling: how much traffic a release may get, and what would let it have more."""
