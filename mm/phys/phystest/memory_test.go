// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package phystest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
	"ringo/mm/phys/phystest"
)

// spy is a TB that remembers what it was told.
type spy struct{ said []string }

func (*spy) Helper()                        {}
func (s *spy) Errorf(f string, args ...any) { s.said = append(s.said, fmt.Sprintf(f, args...)) }

func TestOutside(t *testing.T) {
	for name, f := range map[string]func(*phystest.Memory){
		"load":           func(m *phystest.Memory) { m.Load64(0x3000) },
		"store":          func(m *phystest.Memory) { m.Store64(0xff8, 1) },
		"swap":           func(m *phystest.Memory) { m.CompareAndSwap64(0x3000, 0, 1) },
		"unaligned":      func(m *phystest.Memory) { m.Load64(0x1004) },
		"zero":           func(m *phystest.Memory) { m.Zero(0x1000, 0x3000) },
		"zero odd":       func(m *phystest.Memory) { m.Zero(0x1000, 0x800) },
		"read":           func(m *phystest.Memory) { m.Read(0x2ffc, make([]byte, 5)) },
		"write":          func(m *phystest.Memory) { m.Write(0xfff, make([]byte, 1)) },
		"wrap":           func(m *phystest.Memory) { m.Read(^mm.HPA(0), make([]byte, 2)) },
		"withdrawn":      func(m *phystest.Memory) { m.Withdraw(0x1000, 0x2000); m.Load64(0x1000) },
		"never declared": func(m *phystest.Memory) { m.Withdraw(0x1000, 0x1000) },
	} {
		t.Run(name, func(t *testing.T) {
			var s spy
			m := phystest.New(&s).Declare(0x1000, 0x2000)
			m.Store64(0x1000, 1)
			m.Store64(0x2ff8, 1)
			if len(s.said) != 0 {
				t.Fatalf("refused a declared address: %q", s.said)
			}
			f(m)
			if len(s.said) != 1 || m.Mark() != 2 {
				t.Errorf("said %q, %d stores; want one complaint and no store", s.said, m.Mark())
			}
		})
	}
}

func TestRewind(t *testing.T) {
	m := phystest.New(t).Declare(0, 0x4000)
	m.Store64(0, 1)
	m.Write(0x1004, []byte{1, 2, 3, 4, 5})
	mark := m.Mark()
	m.Store64(0, 2)
	m.Zero(0, 0x2000)
	m.CompareAndSwap64(0x2000, 0, 9)
	m.CompareAndSwap64(0x2000, 0, 10)
	want := []phystest.Store{
		{0, 1, 2}, {0, 2, 0}, {0x1000, 0x0403_0201_0000_0000, 0}, {0x1008, 5, 0}, {0x2000, 0, 9},
	}
	if diff := cmp.Diff(want, m.Log()[mark:]); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	m.Rewind(mark)
	got := []uint64{m.Load64(0), m.Load64(0x1000), m.Load64(0x1008), m.Load64(0x2000)}
	if diff := cmp.Diff([]uint64{1, 0x0403_0201_0000_0000, 5, 0}, got); diff != "" {
		t.Errorf("after Rewind (-want +got):\n%s", diff)
	}
	if m.Mark() != mark {
		t.Errorf("log of %d stores, want %d", m.Mark(), mark)
	}
}

func TestHook(t *testing.T) {
	m := phystest.New(t).Declare(0, 0x1000)
	var got []phystest.Store
	m.Hook(func(s phystest.Store) {
		got = append(got, s)
		m.Store64(8, s.New+1)
	})
	m.Store64(0, 1)
	m.Quiet(true)
	m.Store64(0, 5)
	if diff := cmp.Diff([]phystest.Store{{0, 0, 1}}, got); diff != "" {
		t.Errorf("hook (-want +got):\n%s", diff)
	}
	if m.Load64(8) != 2 || m.Load64(0) != 5 {
		t.Errorf("words %d and %d", m.Load64(8), m.Load64(0))
	}
}
