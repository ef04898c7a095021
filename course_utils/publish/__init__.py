"""For those who publish the course: the `course` command and what stands behind it."""
