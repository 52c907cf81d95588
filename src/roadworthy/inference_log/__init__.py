"""Property 3, observability: every inference recorded, shipped, found, summed and watched."""
