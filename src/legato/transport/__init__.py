"""HTTP/1.1 both ways on callbacks: the server protocol, the client pool, and the timer wheel they share.

Knows bytes and deadlines; knows no flow, no function, no outcome's consequence.
"""
