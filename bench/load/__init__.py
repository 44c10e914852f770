"""The load: wrk for the cost of a request, and generators of our own for arrival rates, large bodies and idling.

Every one of them compares every answer, status and body, with what is expected.
"""
