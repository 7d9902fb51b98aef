// Package brokertest proves that an implementation keeps the contract of package broker:
//
//	func TestContract(t *testing.T) {
//		brokertest.Run(t, func(t *testing.T) broker.Broker { return broker.NewMemory(broker.MemoryConfig{}) })
//	}
//
// Each test uses channels of its own, so that a broker may be opened over an engine that keeps what it holds. The suite
// waits for real engines by polling with a deadline; it cannot turn their clocks, so what takes minutes is left to an
// implementation's own tests.
//
// [LoseLast] makes a broker that loses what it should deliver or fails, for tests of those who use one.
package brokertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

// Run runs the suite as subtests of t. open returns a broker that has not been run; what it holds is to be freed with
// t.Cleanup. Tests of [broker.State], [broker.Remover], [broker.Lister] and [broker.Once] are skipped when the broker implements them not.
func Run(t *testing.T, open func(t *testing.T) broker.Broker) {
	tests := []struct {
		name string
		run  func(*testing.T, func(*testing.T) broker.Broker)
	}{
		{"EntriesAreKeptAsPublished", testFields},
		{"OneOrderForAll", testOneOrder},
		{"OffsetsGrowAndPrevLinksThem", testOffsets},
		{"TimeDoesNotStepBack", testTime},
		{"FollowAndUnfollow", testFollow},
		{"SinkMayCallBack", testCallBack},
		{"LostLiveCopyIsFound", testLostLiveCopy},
		{"HeadsInTheOrderAsked", testHeads},
		{"QueriesLikeTheModel", testQueries},
		{"PositionsOfOtherHistories", testForeignPositions},
		{"RetentionByCount", testRetentionCount},
		{"RetentionByBytes", testRetentionBytes},
		{"RetentionByAge", testRetentionAge},
		{"LatestRetentionGoverns", testRetentionChange},
		{"IdempotencyKeys", testKeys},
		{"SequenceNumbers", testSequence},
		{"LostAnswers", testLostAnswers},
		{"OneOfManyIsApplied", testDedupRace},
		{"DedupIsBounded", testDedupBound},
		{"DedupIsForgotten", testDedupWindow},
		{"StateLikeTheModel", testState},
		{"StateWhileWriting", testStateWhileWriting},
		{"AppendConflicts", testConflicts},
		{"AppendGrowth", testGrowth},
		{"ExpectedKeys", testExpectKeys},
		{"ExpectedChannels", testExpectChannels},
		{"DuplicatesBeforeConditions", testExpectDuplicates},
		{"OneWinnerPerRound", testExpectStorm},
		{"ExpectLikeTheModel", testExpectModel},
		{"TTLInLog", testTTLInLog},
		{"TTLOfValues", testTTLOfValues},
		{"AgeOfValues", testAgeOfValues},
		{"DeletesHaveNoTTL", testTTLOfDelete},
		{"DeletesLikeTheModel", testDeletes},
		{"ForgottenDeletes", testForgottenDeletes},
		{"ScoresLikeTheModel", testScores},
		{"FoldedFields", testFoldedFields},
		{"RemoveHistory", testRemoveHistory},
		{"RemoveEntry", testRemoveEntry},
		{"RemoveNoPart", testRemovePart},
		{"RemoveKey", testRemoveKey},
		{"RemovalIsTold", testRemovalIsTold},
		{"RemoveWhilePublishing", testRemoveRace},
		{"ChannelsInOrder", testChannels},
		{"TakenOnce", testOnce},
		{"OneOfManyTakes", testOnceRace},
		{"ValuesToTakeEnd", testOnceEnd},
		{"NothingToTakeWhenNotRunning", testOnceNotRunning},
		{"NotRunning", testNotRunning},
		{"CanceledReads", testCanceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// keep keeps all a test publishes.
var keep = broker.Retention{Count: 10_000}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// A node runs a broker as a server does.
type node struct {
	tb
	t    *testing.T
	b    broker.Broker
	sink *sink
	stop func() // ends Run; may be called twice
}

// start runs b until the test ends.
func start(t *testing.T, b broker.Broker) *node {
	t.Helper()
	n := &node{tb: t, t: t, b: b, sink: newSink()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx, n.sink); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		<-ended
		n.sink.closed.Store(true)
	}
	t.Cleanup(func() {
		n.stop()
		for _, err := range n.sink.faults() {
			t.Error(err)
		}
	})
	testproc.Until(t, "the broker to run", func() bool {
		_, err := b.Heads(ctx, nil)
		return err == nil
	})
	return n
}

// on returns the node with failures reported to another test, as rapid needs it.
func (n *node) on(t tb) *node {
	m := *n
	m.tb = t
	return &m
}

var prefix, count = rand.Uint32(), new(atomic.Uint64)

// channel returns a new name.
func channel() string { return fmt.Sprintf("brokertest:%08x:%d", prefix, count.Add(1)) }

// publish publishes and waits for the answer.
func (n *node) publish(channel string, e broker.Entry, r broker.Retention) (broker.Receipt, error) {
	n.Helper()
	type answer struct {
		receipt broker.Receipt
		err     error
	}
	answers := make(chan answer, 2)
	n.b.Publish(channel, e, r, func(receipt broker.Receipt, err error) { answers <- answer{receipt, err} })
	a := <-answers
	select {
	case <-answers:
		n.Errorf("done was called twice")
	default:
	}
	return a.receipt, a.err
}

// mustPublish publishes what is no duplicate.
func (n *node) mustPublish(channel string, e broker.Entry, r broker.Retention) broker.Position {
	n.Helper()
	receipt, err := n.publish(channel, e, r)
	if err != nil || receipt.Duplicate {
		n.Fatalf("publish to %s: %+v, %v", channel, receipt, err)
	}
	return receipt.Position
}

// wantDuplicate publishes what has been published before at the given position.
func (n *node) wantDuplicate(channel string, e broker.Entry, r broker.Retention, first broker.Position) {
	n.Helper()
	receipt, err := n.publish(channel, e, r)
	if want := (broker.Receipt{Position: first, Duplicate: true}); err != nil || receipt != want {
		n.Fatalf("receipt is %+v, %v; want %+v", receipt, err, want)
	}
}

func (n *node) wantError(channel string, e broker.Entry, r broker.Retention, want error) {
	n.Helper()
	if receipt, err := n.publish(channel, e, r); !errors.Is(err, want) {
		n.Fatalf("answer is %+v, %v; want %v", receipt, err, want)
	}
}

func (n *node) read(channel string, q broker.Query) broker.Page {
	n.Helper()
	page, err := n.b.Read(context.Background(), channel, q)
	if err != nil {
		n.Fatalf("read %s %+v: %v", channel, q, err)
	}
	return page
}

// all reads all there is.
func (n *node) all(channel string) []*broker.Entry {
	n.Helper()
	return n.read(channel, broker.Query{HasAfter: true, Limit: 1 << 20}).Entries
}

func (n *node) head(channel string) broker.Position {
	n.Helper()
	heads, err := n.b.Heads(context.Background(), []string{channel})
	if err != nil || len(heads) != 1 {
		n.Fatalf("heads: %v, %v", heads, err)
	}
	return heads[0]
}

// delivered waits for so many entries of a channel and returns them.
func (n *node) delivered(channel string, count int) []*broker.Entry {
	n.Helper()
	testproc.Until(n.t, fmt.Sprintf("%d entries of %s", count, channel), func() bool {
		return len(n.sink.of(channel)) >= count
	})
	entries := n.sink.of(channel)
	if len(entries) > count {
		n.Fatalf("%d entries of %s delivered, want %d", len(entries), channel, count)
	}
	return entries
}

// A sink records what a broker tells, and where it breaks the contract in doing so.
type sink struct {
	closed atomic.Bool
	hook   func(channel string, e *broker.Entry) // set before anything is followed

	mu      sync.Mutex
	entries map[string][]*broker.Entry
	epochs  map[string]string
	inside  map[string]bool
	errs    []error

	removals map[string][]broker.Removal
}

func newSink() *sink {
	return &sink{
		entries: map[string][]*broker.Entry{}, epochs: map[string]string{}, inside: map[string]bool{},
		removals: map[string][]broker.Removal{},
	}
}

func (s *sink) Deliver(channel, epoch string, e *broker.Entry) {
	s.enter(channel)
	s.mu.Lock()
	if was, ok := s.epochs[channel]; ok && was != epoch || epoch == "" {
		s.errs = append(s.errs, fmt.Errorf("%s: epoch %q follows %q", channel, epoch, was))
	}
	s.entries[channel], s.epochs[channel] = append(s.entries[channel], e), epoch
	s.mu.Unlock()
	if s.hook != nil {
		s.hook(channel, e)
	}
	s.leave(channel)
}

// Gap is a broker's right at any time; the suite reads what it needs to know anyway.
func (s *sink) Gap(string) {}

func (s *sink) of(channel string) []*broker.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*broker.Entry(nil), s.entries[channel]...)
}

func (s *sink) faults() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs
}

func (s *sink) Removed(channel string, r broker.Removal) {
	s.enter(channel)
	s.mu.Lock()
	s.removals[channel] = append(s.removals[channel], r)
	s.mu.Unlock()
	s.leave(channel)
}

// removedFrom returns the removals told of a channel.
func (s *sink) removedFrom(channel string) []broker.Removal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]broker.Removal(nil), s.removals[channel]...)
}

// enter notes that the broker calls about a channel, and leave that the call returns.
func (s *sink) enter(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		s.errs = append(s.errs, fmt.Errorf("%s: a call after Run had returned", channel))
	}
	if s.inside[channel] {
		s.errs = append(s.errs, fmt.Errorf("%s: two calls at once", channel))
	}
	s.inside[channel] = true
}

func (s *sink) leave(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside[channel] = false
}
