"""Legato composes HTTP functions into flows behind one endpoint."""

__version__ = "0.1.0"
