"""Anthropic's Messages (version 2023-06-01) and chat completions."""
