"""The demo: sample functions, a gateway, and requests to it, each in its own process. `make demo` runs it."""
