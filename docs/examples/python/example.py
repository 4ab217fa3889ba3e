"""Makes a topic, produces to it, fetches and subscribes. python example.py [host:port [topic]]"""
import sys

from troupe import Client, TroupeError

host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9650").rsplit(":", 1)
topic = sys.argv[2] if len(sys.argv) > 2 else "bookings"

c = Client(host, int(port))
try:
    c.create_topic(topic, 1)
except TroupeError as e:
    if e.name != "TOPIC_EXISTS":
        raise
first = c.produce(topic, 0, [[None, b"LH 404", f"booking {i}".encode(), [["from", b"python"]]] for i in range(100)], compression=4)
print(f"stored at {first}")

offset, fetched = first, []
while len(fetched) < 100:
    high, records = c.fetch(topic, 0, offset)
    fetched += records
    offset = records[-1][0] + 1 if records else offset
print(f"fetched {len(fetched)}: {fetched[0][3].decode()} to {fetched[-1][3].decode()}")

got = 0
for offset, time, key, value, headers in c.subscribe(topic, 0, first, credit=500):  # little credit: it comes in parts
    assert value == f"booking {offset - first}".encode() and key == b"LH 404" and headers == [["from", b"python"]], value
    got += 1
    if got == 100:
        break
print(f"pushed {got}")
c.close()
