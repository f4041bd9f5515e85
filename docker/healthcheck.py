"""The container's health check: may this server take traffic? Exit status 0 is yes."""

import os
import ssl
import sys
import urllib.error
import urllib.request


def main() -> None:
    """Ask ``/readyz`` of the server in this container."""
    https = "LIVECOMMERCE_TLS_CERT" in os.environ
    url = f"{'https' if https else 'http'}://127.0.0.1:{os.environ.get('LIVECOMMERCE_PORT', '8080')}/readyz"
    context = ssl.create_default_context() if https else None
    if context is not None:
        # The certificate names the public host, not 127.0.0.1, and we only talk to ourselves.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        urllib.request.urlopen(url, timeout=3, context=context).close()  # noqa: S310 - http(s) only, see above
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
