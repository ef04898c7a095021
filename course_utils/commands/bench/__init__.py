"""`course bench`: what the course costs in time and memory, beside what others cost, in turn."""
