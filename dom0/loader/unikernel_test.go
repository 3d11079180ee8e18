// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"ringo/dom0/board"
	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// unikernel is a PVH kernel as TamaGo's linker makes them: one at an address above what
// it needs of memory, which is start.
func unikernel(start uint64, kind uint32) []byte {
	notes := note(kind, byte(start), byte(start>>8), byte(start>>16), byte(start>>24), 0, 0, 0, 0)
	text := append(bytes.Clone(notes), code(9000, 1)...)
	n := uint64(len(text))
	return elf64(start,
		phdr{1, 0x1000, n, start, start, n + 5000, text},
		phdr{4, 0x1000, uint64(len(notes)), 0, 0, uint64(len(notes)), nil})
}

// A unikernel that is linked to an address beyond its memory has its memory there, and
// its modules at the end of that.
func TestUnikernel(t *testing.T) {
	for _, c := range []struct {
		name string
		k    []byte
		want uint64
		err  string
	}{
		{"above", unikernel(0x10010000, 18), 256 * mib, ""},
		{"at the end", unikernel(16*mib, 18), 16 * mib, ""},
		{"below", unikernel(16*mib-0x1000, 18), 0, "raise memory to at least 17 MiB"},
		{"too high", unikernel(board.HoleBase, 18), 0, "above 2816 MiB is not possible"},
		{"no PVH", unikernel(0x10010000, 5), 0, "raise memory to at least 257 MiB"},
	} {
		w, err := loader.Check(source("boot:k", c.k))
		if got := w.Base(16 * mib); err != nil || got != c.want {
			t.Errorf("%s: base %#x, want %#x: %v", c.name, got, c.want, err)
		}
		r := withFiles(c.k)
		r.Machine = must(board.New(board.Config{CPUs: 1, Memory: 16 * mib, Base: w.Base(16 * mib)}))
		m := loadertest.For(r.Machine)
		ctx, err := loader.Load(r, m)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if try := loader.Try(r); err != nil || try != nil {
			t.Errorf("%s: %v, Try %v", c.name, err, try)
			continue
		}
		le := binary.LittleEndian
		info := m.Bytes(loader.GPA(ctx.GPR[3]), 56)
		first := m.Bytes(loader.GPA(le.Uint64(info[16:])), 16)
		at := le.Uint64(first)
		if top := c.want + 14*mib; at >= top || at < top-0x1000 || string(m.Bytes(loader.GPA(at), 6)) != "initrd" {
			t.Errorf("%s: the first module is at %#x", c.name, at)
		}
	}
	// What is linked to two places does not have memory at both.
	text := note(18, 0, 0, 1, 0x10)
	n := uint64(len(text))
	r := request(elf64(0x10010000,
		phdr{1, 0x1000, n, 0x10010000, 0x10010000, n, text},
		phdr{1, 0x2000, n, 4 * mib, 4 * mib, n, text},
		phdr{4, 0x1000, n, 0, 0, n, nil}), 16*mib)
	r.Machine = must(board.New(board.Config{CPUs: 1, Memory: 16 * mib, Base: 256 * mib}))
	if _, err := loader.Load(r, loadertest.For(r.Machine)); err == nil || !strings.Contains(err.Error(), "where there is no memory") {
		t.Error(err)
	}
}
