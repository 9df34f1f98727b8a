package main

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const samplesPerChunk = 120

// A chunk with the encoding XOR.
type chunk struct {
	bytes []byte
	// Unused bits of the last byte.
	free           uint
	samples        uint16
	minTime, t     int64
	value          uint64
	leading, trail uint
}

func newChunk() *chunk {
	return &chunk{bytes: make([]byte, 2, 64), leading: 0xff}
}

func (c *chunk) bits(value uint64, count uint) {
	for count > 0 {
		if c.free == 0 {
			c.bytes, c.free = append(c.bytes, 0), 8
		}
		take := count
		if take > c.free {
			take = c.free
		}
		part := byte(value >> (count - take) & (1<<take - 1))
		c.bytes[len(c.bytes)-1] |= part << (c.free - take)
		count, c.free = count-take, c.free-take
	}
}

func (c *chunk) write(bytes []byte) {
	for _, b := range bytes {
		c.bits(uint64(b), 8)
	}
}

// Appends a sample. All samples of a chunk have the same distance in time.
func (c *chunk) append(t int64, value float64) {
	raw := math.Float64bits(value)
	switch c.samples {
	case 0:
		c.minTime = t
		c.write(binary.AppendVarint(nil, t))
		c.bits(raw, 64)
	case 1:
		c.write(binary.AppendUvarint(nil, uint64(t-c.t)))
		c.difference(raw ^ c.value)
	default:
		c.bits(0, 1)
		c.difference(raw ^ c.value)
	}
	c.t, c.value = t, raw
	c.samples++
	binary.BigEndian.PutUint16(c.bytes, c.samples)
}

func (c *chunk) difference(xor uint64) {
	if xor == 0 {
		c.bits(0, 1)
		return
	}
	c.bits(1, 1)
	leading, trailing := uint(bits.LeadingZeros64(xor)), uint(bits.TrailingZeros64(xor))
	if leading > 31 {
		leading = 31
	}
	if c.leading != 0xff && leading >= c.leading && trailing >= c.trail {
		c.bits(0, 1)
		c.bits(xor>>c.trail, 64-c.leading-c.trail)
		return
	}
	c.leading, c.trail = leading, trailing
	significant := 64 - leading - trailing
	c.bits(1, 1)
	c.bits(uint64(leading), 5)
	c.bits(uint64(significant), 6)
	c.bits(xor>>trailing, significant)
}
