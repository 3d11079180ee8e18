// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package heap tells how much of the hypervisor's Go heap is in use. It does not
// stop the world for that, as runtime.ReadMemStats does: all CPUs that run guests
// would have to leave them each time that somebody types a verb.
package heap

import (
	"runtime/metrics"
	"sync"
)

// Meter reads the statistics. Its methods may be called by any goroutine; one that
// comes while another reads waits for it, which is a matter of microseconds.
type Meter struct {
	mu      sync.Mutex
	samples [2]metrics.Sample
}

// New makes a meter. The runtime makes its tables at the first reading: that is
// done here, while the machine starts.
func New() *Meter {
	m := new(Meter)
	m.samples[0].Name = "/memory/classes/heap/objects:bytes"
	m.samples[1].Name = "/gc/cycles/total:gc-cycles"
	m.Read()
	return m
}

// Read returns the bytes in objects that live or have not been collected yet, and
// the number of collections.
func (m *Meter) Read() (bytes, collections uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	metrics.Read(m.samples[:])
	return m.samples[0].Value.Uint64(), m.samples[1].Value.Uint64()
}
