// Package limit says how much may pass: leaky buckets, and tables of them for users and addresses.
//
//	rate, err := limit.ParseRate("100/s burst 500")
//	most := rate.Limit()
//	var b limit.Bucket // a full one
//	if wait := b.Take(&most, now, 1); wait > 0 {
//		return wait // nothing was taken: there is room again then
//	}
//
// The state of a bucket is one number of 8 bytes: when it will be full again (the generic cell rate algorithm, GCRA). So a
// bucket that has not been used for a while needs no attention, is equal to one that was never used, and can be forgotten.
//
// Time comes in as now: the time since some moment, the same one for all calls about a bucket, by a clock that does not go
// backwards. The package reads no clock and starts no goroutine. A [Bucket] is for one goroutine at a time; an [Account] and
// a [Table] may be used by any.
//
// A [ByAge] is for the other kind of limit, of how many there may be: it knows who has been there for longest.
package limit
