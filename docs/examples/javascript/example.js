// Makes a topic, produces to it, fetches and subscribes. node example.js [host:port [topic]]
"use strict";
const assert = require("node:assert");
const { Client } = require("./troupe.js");

async function main([address = "127.0.0.1:9650", topic = "bookings"]) {
  const [host, port] = address.split(":");
  const c = await Client.connect(host, Number(port));
  await c.createTopic(topic).catch((e) => { if (e.name !== "TOPIC_EXISTS") throw e; });
  const records = Array.from({ length: 100 }, (_, i) => [null, Buffer.from("LH 404"), Buffer.from(`booking ${i}`), [["from", Buffer.from("javascript")]]]);
  const first = await c.produce(topic, 0, records, 4);
  console.log(`stored at ${first}`);

  const fetched = [];
  while (fetched.length < 100) fetched.push(...(await c.fetch(topic, 0, first + fetched.length)));
  const text = (bytes) => Buffer.from(bytes).toString();
  console.log(`fetched ${fetched.length}: ${text(fetched[0][3])} to ${text(fetched[99][3])}`);

  let got = 0;
  for await (const [offset, , key, value, headers] of c.subscribe(topic, 0, first, 500)) { // little credit: it comes in parts
    assert.strictEqual(text(value), `booking ${offset - first}`);
    assert.strictEqual(text(key), "LH 404");
    assert.strictEqual(text(headers[0][1]), "javascript");
    if (++got === 100) break;
  }
  console.log(`pushed ${got}`);
  c.close();
}

main(process.argv.slice(2)).catch((e) => { console.error(e); process.exit(1); });
