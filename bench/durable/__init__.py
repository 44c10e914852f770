"""The durable part of the benchmark: who takes part, the disk they write to, the journals that are filled for it."""
