package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

var (
	seedsFlag = flag.Uint64("seeds", 0, "how many seeds to play; 0 runs the package's tests")
	firstFlag = flag.Uint64("first", 1, "the first seed")
	timesFlag = flag.Uint64("times", 1, "how often each seed is played")
	procsFlag = flag.Int("procs", runtime.NumCPU(), "how many processes play")
)

// TestMain runs the tests, or, with -seeds, nothing but the simulation, and ends with one line of counts.
func TestMain(m *testing.M) {
	flag.Parse()
	if *seedsFlag == 0 || os.Getenv(workerVariable) != "" {
		goleak.VerifyTestMain(m)
		return
	}
	var total Counts
	for range *timesFlag {
		counts, err := playMany(*firstFlag, *seedsFlag, *procsFlag, os.Stdout)
		if err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		total.add(&counts)
	}
	fmt.Printf("seeds %d, sessions %d, messages %d, publishes %d, violations %d\n",
		total.Seeds, total.Sessions, total.Messages, total.Publishes, total.Violations)
	if total.Violations > 0 {
		os.Exit(1)
	}
}
