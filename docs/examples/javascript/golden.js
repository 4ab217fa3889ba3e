// Holds a generic msgpack library against the golden frames. node golden.js docs/protocol/frames.json
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const { encode, decode } = require("@msgpack/msgpack");

// What was decoded, in the form of frames.json: byte strings as {"bin": hex}.
function plain(v) {
  if (v instanceof Uint8Array) return { bin: Buffer.from(v).toString("hex") };
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  return v;
}

const frames = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
for (const f of frames) {
  const raw = Buffer.from(f.hex, "hex"), body = raw.subarray(4);
  assert.strictEqual(raw.readUInt32BE(), body.length, f.name);
  const decoded = decode(body);
  assert.deepStrictEqual(plain(decoded), f.json, f.name);
  // Integers have their shortest width and keys keep their order, so the bytes are the same.
  assert.strictEqual(Buffer.from(encode(decoded)).toString("hex"), body.toString("hex"), f.name);
}
console.log(`${frames.length} frames decoded and encoded again`);
