// A flash sale by k6, for those who have it already:
//
//   k6 run -e URL=http://localhost:8080 -e STREAM=<id> -e DEAL=<id> load_tests/examples/k6.js
//
// Guests arrive at a rising rate (an open loop) and claim one unit each over HTTP. k6 tells rates and latencies; that
// nothing was oversold, lost or doubled is what `python -m load_tests flash-sale` proves.
import http from "k6/http";
import { check } from "k6";
import { Counter } from "k6/metrics";

const url = __ENV.URL || "http://localhost:8080";
const deal = `${url}/api/v1/streams/${__ENV.STREAM}/deals/${__ENV.DEAL}`;
const accepted = new Counter("claims_accepted");
const soldOut = new Counter("claims_sold_out");

export const options = {
  scenarios: {
    rush: {
      executor: "ramping-arrival-rate",
      startRate: 50,
      timeUnit: "1s",
      preAllocatedVUs: 200,
      maxVUs: 1000,
      stages: [
        { target: 500, duration: "10s" },
        { target: 500, duration: "20s" },
      ],
    },
  },
};

let token = null;

function signIn() {
  const answer = http.post(`${url}/api/v1/guest`, JSON.stringify({ name: "k6" }), {
    headers: { "Content-Type": "application/json" },
    tags: { name: "guest" },
  });
  return answer.json("token");
}

export default function () {
  token = token || signIn();
  const key = `${__VU}-${__ITER}-${Date.now()}`;
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    "Idempotency-Key": key,
  };
  // An answer that never came, or a 202, is "not known yet": the same key finds the truth.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const answer = http.post(`${deal}/claims`, JSON.stringify({ units: 1 }), { headers, tags: { name: "claim" } });
    if (answer.status === 0 || answer.status === 202) continue;
    check(answer, { "yes, sold out, or over the limit": (a) => [201, 403, 409].includes(a.status) });
    if (answer.status === 201) accepted.add(1);
    else if (answer.json("code") === "sold_out") soldOut.add(1);
    return;
  }
}
