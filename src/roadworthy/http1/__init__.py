"""Our HTTP/1.1 client: the gateway and the load generator use it."""
