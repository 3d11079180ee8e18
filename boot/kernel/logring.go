// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"
)

// LogSize is how many bytes of output are kept.
const LogSize = 64 << 10

// ring keeps the last LogSize bytes written. Bytes are numbered from the start
// of time; next is the number of the first one not yet written. There is one
// writer at a time (conlock).
type ring struct {
	next uint64 // atomic
	buf  [LogSize]byte
}

var logRing ring

//go:nosplit
func (r *ring) append(p, n uint64) {
	at := r.next
	b := addr(unsafe.Pointer(&r.buf))
	for i := uint64(0); i < n; i++ {
		*p8(b + (at+i)%LogSize) = *p8(p + i)
	}
	atomic.StoreUint64(&r.next, at+n)
}

// read copies bytes from number off on. It returns how many it copied and the
// number of the first: more than off when older bytes are gone.
func (r *ring) read(b []byte, off uint64) (n int, first uint64) {
	for {
		next := atomic.LoadUint64(&r.next)
		first = off
		if next > LogSize {
			first = max(first, next-LogSize)
		}
		n = 0
		for first+uint64(n) < next && n < len(b) {
			b[n] = r.buf[(first+uint64(n))%LogSize]
			n++
		}
		// What was overwritten meanwhile does not count.
		if end := atomic.LoadUint64(&r.next); end <= first+LogSize || n == 0 {
			return n, min(first, next)
		}
	}
}

// LogRead copies what was written to the console from byte number off on, and
// returns how many bytes it copied and the number of the first one, which is
// more than off when those are gone. Read on at first+n.
func LogRead(b []byte, off uint64) (n int, first uint64) { return logRing.read(b, off) }

// LogEnd is the number of the byte that will be written next.
func LogEnd() uint64 { return atomic.LoadUint64(&logRing.next) }
