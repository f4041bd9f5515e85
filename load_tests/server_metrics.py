"""What a server counts of itself: its /metrics, read by names."""

from __future__ import annotations

import urllib.request

#: a busy server answers, if late
TIMEOUT_S = 10.0


def counted(url: str, *names: str) -> list[float]:
    """The value of each series (``name`` or ``name{label="…"``: all that begin so are summed); 0 where there is none.

    Raises OSError when the server does not answer.
    """
    with urllib.request.urlopen(f"{url}/metrics", timeout=TIMEOUT_S) as answer:
        return summed(answer.read().decode(), *names)


def summed(text: str, *names: str) -> list[float]:
    """The same of a page of metrics. Pure."""
    sums = dict.fromkeys(names, 0.0)
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        for name in names:
            if series == name or series.startswith(name if "{" in name else name + "{"):
                sums[name] += float(value)
    return list(sums.values())
