"""OpenAI's APIs, also as Azure and compatible servers serve them."""
