"""What customers get while a model API misbehaves: ``python -m bench.failures`` (docs/failure-behaviour.md)."""
