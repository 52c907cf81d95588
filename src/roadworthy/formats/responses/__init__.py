"""OpenAI's Responses (stateless) and chat completions."""
