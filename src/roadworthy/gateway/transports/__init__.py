"""Two ways for bytes to reach the transport-free core."""
