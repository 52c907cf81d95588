"""What a gateway worker is composed of, beside the gateway itself."""
