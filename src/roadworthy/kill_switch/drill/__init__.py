"""The kill drill: traffic of its own, a stop, and what the upstream counted afterwards."""
