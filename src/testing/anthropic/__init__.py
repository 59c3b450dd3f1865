"""Anthropic's Messages API, also as Bedrock and Vertex serve it."""
