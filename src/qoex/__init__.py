"""qoex, the QoE exchange: a market engine for edge LLM services."""
