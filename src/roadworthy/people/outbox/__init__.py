"""What is to be told over HTTP: kept until it was taken, signed, retried, dead-lettered."""
