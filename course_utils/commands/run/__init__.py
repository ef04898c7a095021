"""`course run`: chapters in processes of their own, a report, and going on after a stop."""
