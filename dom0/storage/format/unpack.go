// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"fmt"
	"io"
	"sync"
)

// unpacked is the cluster that was unpacked last: who reads in order has each unpacked once.
type unpacked struct {
	kind  byte
	size  int
	short uint64 // one more than the last cluster, which may be shorter, 0: none may

	mu   sync.Mutex // guards what follows
	n    uint64     // which, if have
	have bool
	b    []byte
}

// Memory that unpacking takes beside the cluster: tables and a window of deflate, or, of
// which nothing is known before it is read, of zstd.
const (
	deflateBytes = 96 << 10
	zstdBytes    = 8 << 20
)

// init sets the size of clusters and how they are compressed, and returns how much memory
// that takes at most.
func (u *unpacked) init(size int, kind byte) uint64 {
	u.size, u.kind = size, kind
	if kind == packZstd {
		return uint64(size) + zstdBytes
	}
	return uint64(size) + deflateBytes
}

// read reads a part of cluster n, which r has in its compressed form.
func (u *unpacked) read(n, from uint64, b []byte, r io.Reader) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.have || u.n != n {
		if u.b == nil {
			u.b = make([]byte, u.size)
		}
		u.have = false
		z, end, err := unpacker(u.kind, r)
		if err != nil {
			return err
		}
		k, err := io.ReadFull(z, u.b)
		end()
		if err == io.ErrUnexpectedEOF && n+1 == u.short {
			clear(u.b[k:])
			err = nil
		}
		if err != nil {
			return fmt.Errorf("cluster %d cannot be unpacked: %w", n, err)
		}
		u.n, u.have = n, true
	}
	copy(b, u.b[from:])
	return nil
}
