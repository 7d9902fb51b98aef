//go:build linux

package generator

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// brokerReads asks Hocket how often it has asked its broker.
func (l *loop) brokerReads() (float64, error) { return l.scrape("hocket_broker_reads_total") }

// scrape reads one value from the metrics of the server.
func (l *loop) scrape(name string) (float64, error) {
	request, err := http.NewRequestWithContext(l.ctx, http.MethodGet, "http://"+l.target.Addr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics answers %s without %s", response.Status, name)
}
