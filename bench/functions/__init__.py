"""The functions the gateways call: nginx for the cost of a request, a small Python server for bodies of any size."""
