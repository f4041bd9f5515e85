"""``python -m livecommerce``: the same as the ``livecommerce`` command."""

from livecommerce.cli import main

main()
