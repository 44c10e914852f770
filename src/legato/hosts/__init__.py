"""Where runs live. A host carries out the kernel's commands: attempts, retries, timeouts and cancellation, once."""
