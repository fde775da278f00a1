"""API keys: whose a key is, the file that says so, and the commands that change it."""
