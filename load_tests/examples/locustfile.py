"""A flash sale by Locust (``pip install locust``), for those who have it already.

    STREAM=<id> DEAL=<id> locust -f load_tests/examples/locustfile.py --host http://localhost:8080 \
        --headless --users 500 --spawn-rate 50 --run-time 30s

Guests claim over HTTP, each under a key of its own, and ask once more after an answer that never came. Locust tells
rates and latencies. It does not tell whether anything was oversold, lost or doubled, and times a claim from when it
was sent, not from when it was due: ``python -m load_tests flash-sale`` does both.
"""
# mypy: ignore-errors

import os
import uuid

from locust import HttpUser, between, task

STREAM, DEAL = os.environ.get("STREAM", ""), os.environ.get("DEAL", "")
#: answers that are the sale's own, not trouble
EXPECTED = {201, 403, 409}


class Buyer(HttpUser):
    """One guest: looks at the deal, claims a unit, looks at the orders."""

    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        """Sign in."""
        answer = self.client.post("/api/v1/guest", json={"name": "Locust"})
        self.client.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    @task(5)
    def claim(self) -> None:
        """Claim one unit; a 202 or no answer is asked again under the same key."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        for _ in range(3):
            with self.client.post(
                f"/api/v1/streams/{STREAM}/deals/{DEAL}/claims",
                name="claim",
                json={"units": 1},
                headers=headers,
                catch_response=True,
            ) as answer:
                if answer.status_code in EXPECTED:
                    answer.success()
                if answer.status_code not in (0, 202):
                    return

    @task(2)
    def look(self) -> None:
        """Read the deal."""
        self.client.get(f"/api/v1/streams/{STREAM}/deals/{DEAL}", name="deal")

    @task(1)
    def orders(self) -> None:
        """Read one's own orders."""
        self.client.get("/api/v1/orders", name="orders")
