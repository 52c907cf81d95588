"""Property 4, fallback behaviour: the ladder of what happens after each failure."""
