"""The words that customers read: shown, drafted, tried on a few failures, published."""
