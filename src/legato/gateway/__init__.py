"""The gateway: from a request to a run and back. Never chooses a host, never polls, never reads a store."""
