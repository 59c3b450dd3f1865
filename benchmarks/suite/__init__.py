"""What a call costs: Switchgear, the official SDKs alone, the bare transport, and its peers.

Each subject is a process of its own that lives through the whole run (`worker`), and so is the
server they all talk to (`upstream`). `run` has them take turns, `statistics` makes figures of what
they measured, `table` and `picture` show them.
"""
