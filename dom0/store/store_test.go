// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package store

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/account"
)

func used(b *account.Budget) uint64 {
	use, _ := b.Use()
	return use[0].Bytes
}

func TestMemory(t *testing.T) {
	b := account.New(64 << 20)
	m := NewMemory(b.Account("a definition"))
	if v, err := m.Get("a"); v != nil || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	for _, p := range [][2]string{{"b", "1"}, {"a", "2"}, {"b", "3"}, {"c", ""}} {
		if err := m.Put(p[0], []byte(p[1])); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := m.Get("b")
	v[0] = 'x' // the receiver's
	if v, _ := m.Get("b"); string(v) != "3" {
		t.Errorf("b is %q", v)
	}
	if v, _ := m.Get("c"); v == nil {
		t.Error("an empty value is taken for none")
	}
	if err := m.Delete("b"); err != nil {
		t.Error(err)
	}
	_ = m.Delete("b")
	names, _ := m.Names()
	if d := cmp.Diff([]string{"a", "c"}, names); d != "" {
		t.Error(d)
	}
	_, _ = m.Delete("a"), m.Delete("c")
	if used(b) != 0 {
		t.Errorf("%d bytes are reserved for nothing", used(b))
	}
}

// A store without room says so and keeps what it has.
func TestFull(t *testing.T) {
	b := account.New(32 << 10)
	m := NewMemory(b.Account("a definition"))
	n := 0
	for ; n < 1000; n++ {
		if err := m.Put(fmt.Sprint(n), make([]byte, 1000)); err != nil {
			break
		}
	}
	if n < 5 || n == 1000 {
		t.Errorf("%d values fit", n)
	}
	if err := m.Put("0", make([]byte, 64<<10)); err == nil {
		t.Error("a value larger than the memory is taken")
	}
	if v, _ := m.Get("0"); len(v) != 1000 {
		t.Error("a value was lost by one that did not fit")
	}
}

// What is reserved covers what the heap holds.
func TestPrice(t *testing.T) {
	const n = 4000
	b := account.New(1 << 30)
	m := NewMemory(b.Account("a definition"))
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	for _, size := range []int{0, 100, 2050} {
		value := bytes.Repeat([]byte{1}, size)
		before, had := heap(), used(b)
		for i := range n {
			if err := m.Put(fmt.Sprintf("domain-%d-%d", size, i), value); err != nil {
				t.Fatal(err)
			}
		}
		got, paid := heap()-before, used(b)-had
		t.Logf("%d bytes: %d in the heap, %d reserved", size, got/n, paid/n)
		if got > paid {
			t.Errorf("%d bytes: %d in the heap, %d reserved", size, got/n, paid/n)
		}
	}
	runtime.KeepAlive(m)
}
