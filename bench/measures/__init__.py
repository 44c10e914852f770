"""The parts of the benchmark, one module each: `measure(stage)` returns a section of the report."""
