"""The wire formats that apps call us in: what a request of each means, and how an answer is told in it."""
