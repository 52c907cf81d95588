"""Side-by-side benchmark of gateways: ``make bench`` (method and results: docs/benchmarks.md)."""
