// autocannon driven by one JSON object on standard input; what came of it as JSON on standard output.
// {port, amount, connections, requests: [{path, method, body}]}: each connection takes its own part of the requests.
"use strict";
const autocannon = require("autocannon");

async function main() {
  let text = "";
  for await (const part of process.stdin) text += part;
  const asked = JSON.parse(text);
  const headers = { "content-type": "application/json" };
  const requests = asked.requests.map((one) => ({ method: "GET", headers, ...one }));
  const each = Math.ceil(requests.length / asked.connections);
  let client_number = 0;
  let first = 0n;
  let last = 0n;
  const running = autocannon({
    url: `http://127.0.0.1:${asked.port}`,
    amount: asked.amount,
    connections: asked.connections,
    setupClient: (client) => {
      const from = (client_number++ * each) % requests.length;
      client.setRequests(requests.slice(from, from + each));
    },
  });
  // its own duration is rounded up to whole seconds
  running.on("start", () => (first = process.hrtime.bigint()));
  running.on("response", () => (last = process.hrtime.bigint()));
  const found = await running;
  const bad = Math.max(found.non2xx, found.errors);
  console.log(JSON.stringify({ good: found["2xx"], bad, seconds: Number(last - first) / 1e9 }));
}

main();
