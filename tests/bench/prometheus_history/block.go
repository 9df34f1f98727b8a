package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// The labels of all series, which every block has.
type symbols struct {
	list []string
	of   map[string]uint64
}

func symbolsOf(all []*series) symbols {
	of := map[string]uint64{}
	for _, s := range all {
		for _, label := range s.labels {
			of[label.name], of[label.value] = 0, 0
		}
	}
	list := make([]string, 0, len(of))
	for symbol := range of {
		list = append(list, symbol)
	}
	sort.Strings(list)
	for i, symbol := range list {
		of[symbol] = uint64(i)
	}
	return symbols{list, of}
}

type block struct {
	start, end, now, samples, chunks int64
}

func (b *block) write(parent string, all []*series, symbols symbols) error {
	id := ulid(b.end)
	directory := filepath.Join(parent, id)
	if err := os.MkdirAll(filepath.Join(directory, "chunks"), 0o777); err != nil {
		return err
	}
	chunks := &segments{directory: filepath.Join(directory, "chunks")}
	index := create(filepath.Join(directory, "index"))
	index.write([]byte{0xba, 0xaa, 0xd7, 0, 2})

	tableOfContents := binary.BigEndian.AppendUint64(nil, uint64(index.length))
	content := binary.BigEndian.AppendUint32(nil, uint32(len(symbols.list)))
	for _, symbol := range symbols.list {
		content = appendText(content, symbol)
	}
	index.section(content)

	index.align(16)
	tableOfContents = binary.BigEndian.AppendUint64(tableOfContents, uint64(index.length))
	postings := map[label][]uint32{}
	for _, s := range all {
		index.align(16)
		reference := uint32(index.length / 16)
		postings[label{}] = append(postings[label{}], reference)
		entry := binary.AppendUvarint(nil, uint64(len(s.labels)))
		for _, label := range s.labels {
			entry = binary.AppendUvarint(entry, symbols.of[label.name])
			entry = binary.AppendUvarint(entry, symbols.of[label.value])
			postings[label] = append(postings[label], reference)
		}
		entry, err := b.encode(s, chunks, entry)
		if err != nil {
			return err
		}
		index.write(binary.AppendUvarint(nil, uint64(len(entry))))
		index.write(entry)
		index.write(checksum(entry))
	}
	if err := chunks.close(); err != nil {
		return err
	}

	// The label indices and their table are not read any more.
	tableOfContents = binary.BigEndian.AppendUint64(tableOfContents, uint64(index.length))
	tableOfContents = binary.BigEndian.AppendUint64(tableOfContents, uint64(index.length))
	index.align(4)
	tableOfContents = binary.BigEndian.AppendUint64(tableOfContents, uint64(index.length))
	pairs := make([]label, 0, len(postings))
	for pair := range postings {
		pairs = append(pairs, pair)
	}
	sort.Slice(pairs, func(i, j int) bool { return compare(pairs[i:i+1], pairs[j:j+1]) < 0 })
	offsets := binary.BigEndian.AppendUint32(nil, uint32(len(pairs)))
	for _, pair := range pairs {
		index.align(4)
		offsets = appendText(appendText(append(offsets, 2), pair.name), pair.value)
		offsets = binary.AppendUvarint(offsets, uint64(index.length))
		list := binary.BigEndian.AppendUint32(nil, uint32(len(postings[pair])))
		for _, reference := range postings[pair] {
			list = binary.BigEndian.AppendUint32(list, reference)
		}
		index.section(list)
	}
	tableOfContents = binary.BigEndian.AppendUint64(tableOfContents, uint64(index.length))
	index.section(offsets)
	index.write(append(tableOfContents, checksum(tableOfContents)...))
	if err := index.close(); err != nil {
		return err
	}

	meta, err := json.Marshal(map[string]any{
		"version": 1, "ulid": id, "minTime": b.start, "maxTime": b.end,
		"stats":      map[string]int64{"numSamples": b.samples, "numSeries": int64(len(all)), "numChunks": b.chunks},
		"compaction": map[string]any{"level": 1, "sources": []string{id}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "meta.json"), meta, 0o666)
}

// Writes the chunks of a series, and appends their times and references to its entry in the index.
func (b *block) encode(s *series, segments *segments, entry []byte) ([]byte, error) {
	// The samples of a series have the same distance in neighbouring blocks, too.
	first := b.now - (b.now-b.start)/s.step*s.step
	last := b.end - 1
	samples := (last-first)/s.step + 1
	count := (samples + samplesPerChunk - 1) / samplesPerChunk
	entry = binary.AppendUvarint(entry, uint64(count))
	var previousTime int64
	var previous uint64
	for t, i := first, int64(0); i < count; i++ {
		c := newChunk()
		for ; c.samples < samplesPerChunk && t <= last; t += s.step {
			c.append(t, s.at(t, b.now))
		}
		reference, err := segments.add(c)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			entry = binary.AppendVarint(entry, c.minTime)
			entry = binary.AppendUvarint(entry, uint64(c.t-c.minTime))
			entry = binary.AppendUvarint(entry, reference)
		} else {
			entry = binary.AppendUvarint(entry, uint64(c.minTime-previousTime))
			entry = binary.AppendUvarint(entry, uint64(c.t-c.minTime))
			entry = binary.AppendVarint(entry, int64(reference-previous))
		}
		previousTime, previous = c.t, reference
	}
	b.samples += samples
	b.chunks += count
	return entry, nil
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// Returns a name for a block, which starts with its time.
func ulid(millis int64) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	name := []byte(strings.Repeat("0", 26))
	for i := 9; i >= 0; i-- {
		name[i] = digits[millis%32]
		millis /= 32
	}
	return string(name)
}
