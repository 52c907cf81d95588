"""The signed result of an eval gate: what lets a gateway serve a behaviour."""
