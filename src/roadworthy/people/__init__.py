"""Property 5, human accountability: the named people and what they did."""
