"""deals: flash deals, timers, limited stock and orders, each change one atomic script."""
