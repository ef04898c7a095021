"""What may go wrong from outside: kills, full disks, torn files, hostile input, bad networks.

`make test` runs a short sample of each kind; `make soak` runs the long counts (COURSE_SOAK=1).
"""
