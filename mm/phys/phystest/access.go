// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package phystest

import (
	"ringo/mm"
	"ringo/mm/phys"
)

var _ phys.Memory = (*Memory)(nil)

// Load64 implements phys.Memory.
func (m *Memory) Load64(a mm.HPA) uint64 {
	m.tb.Helper()
	m.mu.Lock()
	if hook := m.loads; hook != nil {
		m.mu.Unlock()
		hook(a)
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	if !m.check64("Load64", a) {
		return 0
	}
	if p := m.pages[mm.AlignDown(a, mm.PageSize)]; p != nil {
		return p[a%mm.PageSize/8]
	}
	return 0
}

// Store64 implements phys.Memory.
func (m *Memory) Store64(a mm.HPA, v uint64) {
	m.tb.Helper()
	m.mu.Lock()
	mark := len(m.log)
	if m.check64("Store64", a) {
		m.store(a, v)
	}
	m.unlock(mark)
}

// CompareAndSwap64 implements phys.Memory.
func (m *Memory) CompareAndSwap64(a mm.HPA, old, new uint64) bool {
	m.tb.Helper()
	m.mu.Lock()
	mark := len(m.log)
	ok := m.check64("CompareAndSwap64", a) && *m.word(a) == old
	if ok {
		m.store(a, new)
	}
	m.unlock(mark)
	return ok
}

// Match implements phys.Memory.
func (m *Memory) Match(words []phys.Word) bool {
	m.tb.Helper()
	for _, w := range words {
		if (m.Load64(w.At)^w.Value)&w.Mask != 0 {
			return false
		}
	}
	return true
}

// Zero implements phys.Memory.
func (m *Memory) Zero(a mm.HPA, n uint64) {
	m.tb.Helper()
	m.mu.Lock()
	mark := len(m.log)
	if !mm.Aligned(a, mm.PageSize) || n%mm.PageSize != 0 {
		m.tb.Errorf("phystest: Zero(%#x, %#x): not a multiple of 4096", a, n)
	} else if m.check("Zero", a, n) {
		for base := a; base < a+mm.HPA(n); base += mm.PageSize {
			p := m.pages[base]
			for i := 0; p != nil && i < len(p); i++ {
				if p[i] != 0 {
					m.store(base+mm.HPA(i*8), 0)
				}
			}
		}
	}
	m.unlock(mark)
}

// Read implements phys.Memory.
func (m *Memory) Read(a mm.HPA, b []byte) {
	m.tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.check("Read", a, uint64(len(b))) {
		m.bytes(a, len(b), func(word mm.HPA, from, to, at int) {
			get(*m.word(word), from, to, b[at:])
		})
	}
}

// Write implements phys.Memory.
func (m *Memory) Write(a mm.HPA, b []byte) {
	m.tb.Helper()
	m.mu.Lock()
	mark := len(m.log)
	if m.check("Write", a, uint64(len(b))) {
		m.bytes(a, len(b), func(word mm.HPA, from, to, at int) {
			m.store(word, put(*m.word(word), from, to, b[at:at+to-from]))
		})
	}
	m.unlock(mark)
}
