"""The journal host: the inline host plus record and replay (design 4).

What a delivery causes is carried out only when it is on disk, so that whoever replays the record after a crash knows of
everything that may have happened.
"""
