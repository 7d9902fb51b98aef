package brokertest

import (
	"testing"

	"go.uber.org/goleak"

	"hocket.dev/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) broker.Broker { return broker.NewMemory(broker.MemoryConfig{}) })
}

func TestScatteredMemory(t *testing.T) {
	Run(t, func(*testing.T) broker.Broker { return broker.NewMemory(broker.MemoryConfig{Scatter: true}) })
}

// What passes faults on must itself keep the contract.
func TestLossyWithoutFaults(t *testing.T) {
	Run(t, func(*testing.T) broker.Broker { return LoseLast(broker.NewMemory(broker.MemoryConfig{})) })
}
