package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const maxSegment = 512 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A file that counts what is written to it. The first error is kept.
type file struct {
	file   *os.File
	buffer *bufio.Writer
	length int64
	err    error
}

func create(path string) *file {
	f, err := os.Create(path)
	return &file{file: f, buffer: bufio.NewWriterSize(f, 1<<20), err: err}
}

func (f *file) write(bytes []byte) {
	if f.err == nil {
		_, f.err = f.buffer.Write(bytes)
		f.length += int64(len(bytes))
	}
}

func (f *file) align(to int64) {
	f.write(make([]byte, (to-f.length%to)%to))
}

func (f *file) close() error {
	if f.err == nil {
		f.err = f.buffer.Flush()
	}
	if f.err == nil {
		f.err = f.file.Close()
	}
	return f.err
}

// Writes content with its length before it and its checksum after it.
func (f *file) section(content []byte) {
	f.write(binary.BigEndian.AppendUint32(nil, uint32(len(content))))
	f.write(content)
	f.write(checksum(content))
}

func checksum(content []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, castagnoli))
}

// The files with the chunks of a block.
type segments struct {
	directory string
	number    int
	current   *file
}

// Writes a chunk. Returns the reference to it.
func (s *segments) add(c *chunk) (uint64, error) {
	if s.current == nil || s.current.length > maxSegment {
		if err := s.close(); err != nil {
			return 0, err
		}
		s.number++
		s.current = create(filepath.Join(s.directory, fmt.Sprintf("%06d", s.number)))
		s.current.write([]byte{0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0})
	}
	reference := uint64(s.number-1)<<32 | uint64(s.current.length)
	s.current.write(binary.AppendUvarint(nil, uint64(len(c.bytes))))
	content := append([]byte{1}, c.bytes...)
	s.current.write(content)
	s.current.write(checksum(content))
	return reference, s.current.err
}

func (s *segments) close() error {
	if s.current == nil {
		return nil
	}
	return s.current.close()
}
