//go:build linux

package generator

import (
	"fmt"
	"strconv"
	"strings"
)

// brokerReads asks Hocket how often it has asked its broker.
func (l *loop) brokerReads() (float64, error) { return l.scrape("hocket_broker_reads_total") }

// scrape reads one value from the metrics of the server.
func (l *loop) scrape(name string) (float64, error) {
	status, body, err := l.get("/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("/metrics answers %s without %s", status, name)
}
