"""What a call may use: slots, breakers, rates, retries and money."""
