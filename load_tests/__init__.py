"""Load tests: hammer a server and prove what happened."""
