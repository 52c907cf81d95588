"""What gateways are told, and what keeps anybody from telling them more."""
