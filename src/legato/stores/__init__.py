"""Where definitions are kept. What they say is the business of `formats`."""
