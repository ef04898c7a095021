"""The engine: how an exercise is declared, tried, judged and shown."""
