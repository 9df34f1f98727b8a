// scrape_peer is an exporter built on client_golang, which creates constant metrics at each scrape. It serves
// the same series as our exporter does for the default syncs of fake-aws. The benchmark `scrape` compares the
// two.
//
// Usage: scrape_peer ADDRESS ACCOUNTS SYNCS REGION...
package main

import (
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const firstAccount = 100_000_000_000

var (
	statuses = []string{"Successful", "Failed", "InProgress"}
	sharing  = []string{"Organization", "NotReported"}

	infoDesc = describe("info", "bucket_name", "bucket_prefix", "bucket_region", "sync_format", "kms_key_arn",
		"managed_by")
	statusDesc      = describe("last_status", "status")
	sharingDesc     = describe("destination_data_sharing", "sharing_type")
	lastDesc        = describe("last_sync_timestamp_seconds")
	lastGoodDesc    = describe("last_successful_sync_timestamp_seconds")
	createdDesc     = describe("created_timestamp_seconds")
	modifiedDesc    = describe("last_modified_timestamp_seconds")
	lastAgeDesc     = describe("last_sync_age_seconds")
	lastGoodAgeDesc = describe("last_successful_sync_age_seconds")
)

// describe returns the description of a family with the labels of a sync and these labels.
func describe(name string, labels ...string) *prometheus.Desc {
	labels = append([]string{"aws_account_id", "aws_region", "sync_type", "sync_name"}, labels...)
	return prometheus.NewDesc("aws_ssm_resource_data_sync_"+name, "As of the last good collection.", labels, nil)
}

// dataSync is a collected sync. Times are Unix times, and 0 stands for no time.
type dataSync struct {
	labels                            []string
	bucketName, status, sharing       string
	last, lastGood, created, modified float64
}

type collector []dataSync

func (collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		infoDesc, statusDesc, sharingDesc, lastDesc, lastGoodDesc, createdDesc, modifiedDesc, lastAgeDesc,
		lastGoodAgeDesc,
	} {
		descs <- desc
	}
}

func (syncs collector) Collect(metrics chan<- prometheus.Metric) {
	now := float64(time.Now().UnixMilli()) / 1000
	for _, sync := range syncs {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			all := append(append(make([]string, 0, len(sync.labels)+len(labels)), sync.labels...), labels...)
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, all...)
		}
		oneOf := func(desc *prometheus.Desc, known []string, reported string) {
			for _, one := range known {
				value := 0.0
				if one == reported {
					value = 1
				}
				gauge(desc, value, one)
			}
		}
		timestamp := func(desc *prometheus.Desc, at float64) {
			if at != 0 {
				gauge(desc, at)
			}
		}
		age := func(desc *prometheus.Desc, at float64) {
			if at != 0 {
				gauge(desc, math.Round((now-at)*1000)/1000)
			}
		}
		gauge(infoDesc, 1, sync.bucketName, "inventory", "eu-west-1", "JsonSerDe",
			"arn:aws:kms:eu-west-1:999900000000:key/00000000-0000-4000-8000-000000000000", "customer")
		oneOf(statusDesc, statuses, sync.status)
		oneOf(sharingDesc, sharing, sync.sharing)
		timestamp(lastDesc, sync.last)
		timestamp(lastGoodDesc, sync.lastGood)
		timestamp(createdDesc, sync.created)
		timestamp(modifiedDesc, sync.modified)
		age(lastAgeDesc, sync.last)
		age(lastGoodAgeDesc, sync.lastGood)
	}
}

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return number
}

func main() {
	if len(os.Args) < 5 {
		log.Fatal("usage: scrape_peer ADDRESS ACCOUNTS SYNCS REGION...")
	}
	address, accounts, syncs, regions := os.Args[1], number(os.Args[2]), number(os.Args[3]), os.Args[4:]
	last := float64(time.Now().Unix() - 120)
	var all collector
	for account := 0; account < accounts; account++ {
		for _, region := range regions {
			for number := 0; number < syncs; number++ {
				id, name := strconv.Itoa(firstAccount+account), fmt.Sprintf("inventory-%d", number)
				all = append(all, dataSync{
					labels:     []string{id, region, "SyncToDestination", name},
					bucketName: fmt.Sprintf("organization-inventory-%d", number),
					status:     "Successful", sharing: "NotReported",
					last: last, lastGood: last, created: last - 200*86400,
				})
			}
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(all)
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(address, nil))
}
