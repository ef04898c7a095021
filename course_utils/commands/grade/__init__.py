"""`course grade` and `course exercises --export`: what goes to students and comes back."""
