// A client of Troupe's protocol v1 (docs/PROTOCOL.md) on nothing but @msgpack/msgpack.
"use strict";
const net = require("node:net");
const { encode, decode } = require("@msgpack/msgpack");

const HELLO = 1, CREATE_TOPIC = 11, PRODUCE = 20, FETCH = 21, SUBSCRIBE = 23, CREDIT = 25;
const DECODED = 1; // mode of FETCH and SUBSCRIBE: records, not batches

// A code of the table. UNKNOWN, and a lost connection: what was asked may have been done.
class TroupeError extends Error {
  constructor(code, body) {
    super(`${body.name || code}: ${body.msg || ""}`);
    Object.assign(this, { code, name: body.name, retriable: !!body.retriable });
  }
}

// One connection; requests may be made without waiting for answers. Offsets are numbers, exact up to 2^53.
class Client {
  static async connect(host = "127.0.0.1", port = 9650) {
    const c = new Client();
    c.waiting = new Map(), c.subscriptions = new Map(), c.last = 0, c.parts = Buffer.alloc(0), c.frameMax = 65536;
    c.socket = net.connect(port, host);
    c.socket.on("data", (p) => c.take(p)).on("error", (e) => c.end(e)).on("close", () => c.end(new Error("the connection is closed")));
    c.socket.write("TRP1");
    const hello = { proto: [1, 1], client: "javascript-example", version: "1", features: ["subscribe"], max_frame: 8 << 20 };
    c.welcome = await c.ask(HELLO, hello);
    c.frameMax = c.welcome.max_frame;
    return c;
  }
  send(message) {
    const body = encode(message), head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.socket.write(Buffer.concat([head, body]));
  }
  ask(op, body) {
    if (this.over) return Promise.reject(this.over);
    const id = ++this.last;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.send([0, id, op, body]);
    return answer;
  }
  take(bytes) {
    this.parts = Buffer.concat([this.parts, bytes]);
    while (this.parts.length >= 4) {
      const size = this.parts.readUInt32BE();
      if (size > this.frameMax) return this.end(new Error(`a frame of ${size} bytes: at most ${this.frameMax} were agreed on`));
      if (this.parts.length < 4 + size) return;
      const frame = decode(this.parts.subarray(4, 4 + size));
      this.parts = this.parts.subarray(4 + size);
      if (frame[0] === 1) this.answer(frame);
      else if (frame[0] === 2) this.subscription(frame[1]).push(frame);
    }
  }
  answer([, id, code, body]) {
    if (id === 0) return this.end(new TroupeError(code, body)); // the last words of the broker
    const who = this.waiting.get(id);
    this.waiting.delete(id);
    if (who) code === 0 ? who.resolve(body) : who.reject(new TroupeError(code, body));
  }
  end(why) {
    this.over ||= why;
    for (const who of this.waiting.values()) who.reject(this.over);
    this.waiting.clear();
    for (const s of this.subscriptions.values()) s.wake();
    this.socket.destroy();
  }
  subscription(id) { // pushes may come before who asked has seen the answer
    if (!this.subscriptions.has(id)) {
      const s = { pushes: [], wake() {}, push(frame) { s.pushes.push(frame); s.wake(); } };
      this.subscriptions.set(id, s);
    }
    return this.subscriptions.get(id);
  }
  createTopic(topic, partitions = 1, settings = {}) { return this.ask(CREATE_TOPIC, { topic, partitions, settings }); }
  // records: [timestamp ms or null, key, value, [[name, bytes], ...]]; the offset of the first.
  async produce(topic, partition, records, compression = 0) { return (await this.ask(PRODUCE, [topic, partition, records, compression]))[0]; }
  // Records [offset, time, key, value, headers] from offset on; at the end it waits for some.
  async fetch(topic, partition, offset, maxBytes = 1 << 20, maxWaitMs = 5000) {
    return (await this.ask(FETCH, [topic, partition, offset, maxBytes, maxWaitMs, 1, DECODED]))[2];
  }
  // Records for ever. What a push took is granted again when its records were taken.
  async *subscribe(topic, partition, offset, credit = 1 << 20) {
    const [id] = await this.ask(SUBSCRIBE, [topic, partition, offset, credit, DECODED]), s = this.subscription(id);
    for (;;) {
      while (!s.pushes.length && !this.over) await new Promise((resolve) => (s.wake = resolve));
      if (!s.pushes.length) throw this.over;
      const [, , kind, body] = s.pushes.shift();
      if (kind === 1) throw new TroupeError(body.code, body);
      if (kind !== 0) continue;
      yield* body[2];
      this.send([3, CREDIT, [id, body[3]]]);
    }
  }
  close() { this.socket.end(); }
}

module.exports = { Client, TroupeError };
