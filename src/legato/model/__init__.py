"""Pure data: what a flow, a function, a payload, an outcome and a policy are. No I/O, no clock, no host."""
