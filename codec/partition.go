package codec

import "encoding/binary"

// PartitionFor is the partition of a key among n, as Kafka's default
// partitioner chooses it: murmur2(key) & 0x7fffffff modulo n. n must be above 0.
func PartitionFor(key []byte, n int) Partition {
	return Partition((murmur2(key) & 0x7fffffff) % uint32(n))
}

// murmur2 is Kafka's hash of keys, org.apache.kafka.common.utils.Utils.murmur2:
// MurmurHash2 with seed 0x9747b28c over little-endian words.
func murmur2(p []byte) uint32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(p))
	for ; len(p) >= 4; p = p[4:] {
		k := binary.LittleEndian.Uint32(p) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	switch len(p) {
	case 3:
		h ^= uint32(p[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(p[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(p[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
