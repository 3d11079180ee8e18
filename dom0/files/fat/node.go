// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package fat

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"ringo/dom0/files/tree"
)

// node is a file or a folder. The root of FAT12 and FAT16 has no first cluster.
type node struct {
	v        *volume
	dir      bool
	readOnly bool
	first    uint32
	size     uint32
	modified time.Time

	mu      sync.Mutex
	index   uint64 // of the cluster that was used last, and
	cluster uint32 // which one that is; 0: none yet
}

// Info implements [tree.Node].
func (n *node) Info() tree.Info {
	if n.dir {
		return tree.Info{Mode: fs.ModeDir | 0o755, Modified: n.modified}
	}
	mode := fs.FileMode(0o644)
	if n.readOnly {
		mode = 0o444
	}
	return tree.Info{Mode: mode, Size: int64(n.size), Modified: n.modified}
}

// errKind is said of what a node is not.
var errKind = errors.New("it is no file with content")

// ReadAt implements [tree.Node].
func (n *node) ReadAt(b []byte, off int64) error {
	if n.dir {
		return errKind
	}
	return n.content(b, uint64(off))
}

// Target implements [tree.Node]: there are no links.
func (n *node) Target() (string, error) { return "", errKind }

// content reads the clusters of a node, as many as follow each other at once.
func (n *node) content(b []byte, off uint64) error {
	for len(b) > 0 {
		c, err := n.find(off / n.v.cluster)
		if err != nil {
			return err
		}
		skip := off % n.v.cluster
		count := uint64(1)
		for ; count*n.v.cluster-skip < uint64(len(b)); count++ {
			next, err := n.find(off/n.v.cluster + count)
			if err != nil {
				return err
			}
			if uint64(next) != uint64(c)+count {
				break
			}
		}
		have := min(count*n.v.cluster-skip, uint64(len(b)))
		if err := n.v.read(b[:have], n.v.data+uint64(c-2)*n.v.cluster+skip); err != nil {
			return err
		}
		b, off = b[have:], off+have
	}
	return nil
}

// errShort says that a chain ends before the file does.
var errShort = fmt.Errorf("%w (a file ends too early)", tree.ErrDamaged)

// find returns the cluster of a node by its index in the chain. It goes on from the one
// that was found last.
func (n *node) find(index uint64) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cluster == 0 || index < n.index {
		n.index, n.cluster = 0, n.first
	}
	i, c := n.index, n.cluster
	for ; i < index; i++ {
		next, end, err := n.v.next(c)
		if err != nil {
			return 0, err
		}
		if end {
			return 0, errShort
		}
		c = next
	}
	if err := n.v.check(c); err != nil {
		return 0, err
	}
	n.index, n.cluster = i, c
	return c, nil
}
