"""Property 1, latency under load: arrivals, the load generator, what it measured, the verdict."""
