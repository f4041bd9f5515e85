"""``python -m load_tests <command>``."""

if __name__ == "__main__":
    # Inside: a generator process imports this module, too, and needs none of the commands.
    from load_tests.cli import run

    run()
