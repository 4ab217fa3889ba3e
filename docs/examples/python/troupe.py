"""A client of Troupe's protocol v1 (docs/PROTOCOL.md) on nothing but `msgpack`."""
import itertools
import socket
import struct

import msgpack

HELLO, PING, METADATA, CREATE_TOPIC, PRODUCE, FETCH, OFFSETS, SUBSCRIBE, UNSUBSCRIBE, CREDIT = 1, 2, 10, 11, 20, 21, 22, 23, 24, 25
FRAME_MAX = 8 << 20
DECODED = 1  # mode of FETCH and SUBSCRIBE: records, not batches


class TroupeError(Exception):
    """A code of the table. UNKNOWN, and a lost connection: what was asked may have been done."""

    def __init__(self, code, body):
        self.code, self.name, self.retriable = code, body.get("name", ""), body.get("retriable", False)
        super().__init__(f"{self.name or code}: {body.get('msg', '')}")


class Client:
    """One connection, one thread; answers and pushes are waited for in turn."""

    def __init__(self, host="127.0.0.1", port=9650, timeout=30):
        self.sock = socket.create_connection((host, port), timeout)
        self.file = self.sock.makefile("rb")
        self.ids, self.pushes, self.frame_max = itertools.count(1), [], 65536
        self.sock.sendall(b"TRP1")
        self.welcome = self.ask(HELLO, {"proto": [1, 1], "client": "python-example", "version": "1",
                                        "features": ["subscribe"], "max_frame": FRAME_MAX})
        self.frame_max = self.welcome["max_frame"]

    def send(self, message):
        body = msgpack.packb(message, use_bin_type=True)
        self.sock.sendall(struct.pack(">I", len(body)) + body)

    def receive(self):
        head = self.file.read(4)
        if len(head) < 4:
            raise ConnectionError("the broker closed the connection")
        size = struct.unpack(">I", head)[0]
        if size > self.frame_max:
            raise ConnectionError(f"a frame of {size} bytes: at most {self.frame_max} were agreed on")
        body = self.file.read(size)
        if len(body) < size:
            raise ConnectionError("the connection was lost within a frame")
        return msgpack.unpackb(body, raw=False, strict_map_key=True)

    def ask(self, op, body):
        """Sends a request and waits for its answer; pushes that come before it are kept."""
        id = next(self.ids)
        self.send([0, id, op, body])
        while True:
            frame = self.receive()
            if frame[0] == 2:
                self.pushes.append(frame)
            elif frame[0] == 1 and frame[1] in (id, 0):
                if frame[2] != 0 or frame[1] == 0:
                    raise TroupeError(frame[2], frame[3])
                return frame[3]

    def create_topic(self, topic, partitions=1, **settings):
        return self.ask(CREATE_TOPIC, {"topic": topic, "partitions": partitions, "settings": settings})

    def produce(self, topic, partition, records, compression=0):
        """records: [timestamp ms or None, key, value, [[name, bytes], ...]]; returns the offset of the first."""
        return self.ask(PRODUCE, [topic, partition, records, compression])[0]

    def fetch(self, topic, partition, offset, max_bytes=1 << 20, max_wait_ms=5000):
        """Records from offset on; waits for some at the end. Returns (high watermark, [offset, time, key, value, headers])."""
        answer = self.ask(FETCH, [topic, partition, offset, max_bytes, max_wait_ms, 1, DECODED])
        return answer[1], answer[2]

    def subscribe(self, topic, partition, offset, credit=1 << 20):
        """Yields records for ever. What a push took is granted again when its records were taken."""
        sub = self.ask(SUBSCRIBE, [topic, partition, offset, credit, DECODED])[0]
        while True:
            kept = next((i for i, p in enumerate(self.pushes) if p[1] == sub), None)
            frame = self.receive() if kept is None else self.pushes.pop(kept)
            if frame[0] == 1:  # the last words of the broker, or an answer that nobody waits for
                raise TroupeError(frame[2], frame[3])
            if frame[0] != 2 or frame[1] != sub:
                self.pushes.append(frame)
            elif frame[2] == 0:
                yield from frame[3][2]
                self.send([3, CREDIT, [sub, frame[3][3]]])
            elif frame[2] == 1:
                raise TroupeError(frame[3]["code"], frame[3])

    def close(self):
        self.sock.close()
