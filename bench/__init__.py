"""The benchmark: what a request costs in Legato, measured beside a floor and hand-written peers in one run.

`python -m bench` from the repository's root; bench/README.md says what is measured and how to read it.
"""
