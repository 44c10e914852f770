"""Everything over HTTP that is no flow: health, readiness, metrics. Asks the orchestrator, never a database."""
