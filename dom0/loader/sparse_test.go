// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestSparse(t *testing.T) {
	want := bytes.Repeat([]byte{1}, 100)
	want = append(want, make([]byte, 5*sparsePage)...)
	want = append(want, bytes.Repeat([]byte{2}, 3*sparsePage)...)
	want = append(want, make([]byte, 2*sparsePage+7)...)
	// Pages: 1 mixed, 4 empty, 1 mixed, 2 full, 1 mixed, 1 empty, a rest.
	const used = (1 + 1 + 2 + 1 + 1) * sparsePage
	for _, chunk := range []int{1, 7, 4096, 5000, len(want)} {
		for _, limit := range []int64{used, used - 1} {
			s := &sparse{limit: limit}
			for b := want; len(b) > 0; b = b[min(chunk, len(b)):] {
				if n, err := s.Write(b[:min(chunk, len(b))]); n != min(chunk, len(b)) || err != nil {
					t.Fatal(n, err)
				}
			}
			if s.full != (limit < used) {
				t.Errorf("chunks of %d, limit %d: full is %v, used %d", chunk, limit, s.full, s.used)
			}
			if s.full {
				if s.pages != nil || s.part != nil {
					t.Error("something is kept though it does not fit")
				}
				continue
			}
			if s.used != used {
				t.Errorf("chunks of %d: %d bytes used", chunk, s.used)
			}
			if err := iotest.TestReader(io.NewSectionReader(s, 0, s.size()), want); err != nil {
				t.Error(err)
			}
		}
	}
}
