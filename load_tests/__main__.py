"""``python -m load_tests <command>``."""

from load_tests.cli import run

if __name__ == "__main__":
    run()
