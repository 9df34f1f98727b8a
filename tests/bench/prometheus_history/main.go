// prometheus_history writes blocks of Prometheus's storage: for every series of the input a sample at
// each step of the last hours, as if Prometheus had scraped it all the time. The Go packages of
// Prometheus are not packaged by Debian, hence the encoding of chunks and of the index here; see
// tsdb/docs/format in Prometheus's repository.
//
// Usage: prometheus_history DIRECTORY END STEP EVALUATION HOURS... <SERIES
//
// SERIES are lines of the text format with the values at END. END is in milliseconds; STEP, of scrapes,
// and EVALUATION, of rules, are in seconds. One block is written for each HOURS; the last one ends at
// END. Prints the number of series and of samples.
//
// Values stay the same, except those that depend on the time: a sync runs once a day, a target is
// collected every five minutes, and ages grow in between.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
)

// Number of blocks that are written in parallel.
const workers = 2

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 6 {
		log.Fatal("usage: prometheus_history DIRECTORY END STEP EVALUATION HOURS... <SERIES")
	}
	directory, end, step, evaluation := os.Args[1], number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	all, err := read(os.Stdin, step*1000, evaluation*1000)
	if err != nil {
		log.Fatal(err)
	}
	symbols := symbolsOf(all)
	var blocks []*block
	for i, stop := len(os.Args)-1, end; i >= 5; i-- {
		start := stop - 3600_000*number(os.Args[i])
		blocks = append(blocks, &block{start: start, end: stop, now: end})
		stop = start
	}
	queue := make(chan *block)
	var running sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for b := range queue {
				if err := b.write(directory, all, symbols); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	for _, b := range blocks {
		queue <- b
	}
	close(queue)
	running.Wait()
	var samples int64
	for _, b := range blocks {
		samples += b.samples
	}
	fmt.Println(len(all), samples)
}
