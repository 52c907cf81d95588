"""Property 2, cost predictability: prices and what a call costs."""
