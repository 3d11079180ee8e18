// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ext

import (
	"encoding/binary"
	"math"
)

// run is count blocks of a file from block from on, which lie at block to of the file
// system, or are a hole where to is 0.
type run struct{ from, to, count uint64 }

// has reports whether a block of the file is in the run.
func (r run) has(block uint64) bool { return block >= r.from && block-r.from < r.count }

// find returns the run with a block of the file.
func (x *inode) find(block uint64) (run, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.last.has(block) {
		return x.last, nil
	}
	var r run
	var err error
	if x.flags&flagExtents != 0 {
		r, err = x.extent(block)
	} else {
		r, err = x.mapped(block)
	}
	switch {
	case err != nil:
		return run{}, err
	case !r.has(block):
		return run{}, damaged("blocks of a file are not in order")
	case r.to != 0 && (r.to >= x.v.blocks || r.count > x.v.blocks-r.to):
		return run{}, damaged("a file has blocks outside of it")
	}
	x.last = r
	return r, nil
}

// Trees of extents ("Extent Tree").
const (
	extentMagic = 0xf30a
	extentLen   = 12 // of the header and of each entry
	maxDepth    = 5
	unwritten   = 32768 // a length beyond it is one of zeros
)

// extent finds a block in the tree of extents.
func (x *inode) extent(block uint64) (run, error) {
	if block > math.MaxUint32 {
		return run{}, damaged("a file is longer than extents can say")
	}
	le := binary.LittleEndian
	node, buf := x.i[:], []byte(nil)
	end := uint64(math.MaxUint32) + 1 // where what follows this part of the tree begins
	for depth, root := uint16(0), true; ; root = false {
		n, d := uint64(le.Uint16(node[2:])), le.Uint16(node[6:])
		switch {
		case le.Uint16(node) != extentMagic || (n+1)*extentLen > uint64(len(node)):
			return run{}, damaged("a tree of extents has no node where it should")
		case root && d > maxDepth, !root && d != depth-1:
			return run{}, damaged("a tree of extents is not as deep as it says")
		}
		depth = d
		entry, next := search(node[extentLen:(n+1)*extentLen], block)
		end = min(end, next)
		if depth == 0 {
			return leaf(entry, block, end), nil
		}
		if entry == nil {
			return run{from: block, count: end - block}, nil
		}
		if buf == nil {
			buf = make([]byte, x.v.block)
		}
		at := uint64(le.Uint32(entry[4:])) | uint64(le.Uint16(entry[8:]))<<32
		if at >= x.v.blocks {
			return run{}, damaged("a tree of extents leads outside")
		}
		if err := x.v.read(buf, at*x.v.block); err != nil {
			return run{}, err
		}
		node = buf
	}
}

// search returns the last of the entries that begins at block or before it, or nil,
// and where the one after it begins.
func search(list []byte, block uint64) (entry []byte, next uint64) {
	next = math.MaxUint32 + 1
	for ; len(list) > 0; list = list[extentLen:] {
		if from := uint64(binary.LittleEndian.Uint32(list)); from > block {
			return entry, from
		}
		entry = list[:extentLen]
	}
	return entry, next
}

// leaf returns the run of an extent, or the hole behind it up to end.
func leaf(e []byte, block, end uint64) run {
	le := binary.LittleEndian
	if e == nil {
		return run{from: block, count: end - block}
	}
	r := run{from: uint64(le.Uint32(e)), count: uint64(le.Uint16(e[4:])), to: uint64(le.Uint32(e[8:])) | uint64(le.Uint16(e[6:]))<<32}
	if r.count > unwritten {
		r.count, r.to = r.count-unwritten, 0
	}
	if !r.has(block) {
		return run{from: block, count: end - block}
	}
	return r
}

// direct is how many blocks a map names itself; three trees follow, of one, two and
// three levels ("Direct/Indirect Block Addressing").
const direct = 12

// window is how many pointers are looked at together.
const window = 128

// mapped finds a block in the map of blocks.
func (x *inode) mapped(block uint64) (run, error) {
	le := binary.LittleEndian
	if block < direct {
		return pointers(x.i[4*block:4*direct], block), nil
	}
	per := x.v.block / 4
	rest, span := block-direct, uint64(1)
	for level := range 3 {
		span *= per // blocks of this tree
		if rest >= span {
			rest -= span
			continue
		}
		at := uint64(le.Uint32(x.i[4*(direct+level):]))
		for ; ; span /= per {
			if at == 0 {
				return run{from: block, count: span - rest}, nil
			}
			if at >= x.v.blocks {
				return run{}, damaged("a map of blocks leads outside")
			}
			below := span / per // blocks of each pointer here
			var b [4 * window]byte
			i, n := rest/below, uint64(1)
			if below == 1 {
				n = min(window, per-i)
			}
			if err := x.v.read(b[:4*n], at*x.v.block+4*i); err != nil {
				return run{}, err
			}
			if below == 1 {
				return pointers(b[:4*n], block), nil
			}
			at, rest = uint64(le.Uint32(b[:])), rest%below
		}
	}
	return run{}, damaged("a file is longer than a map of blocks can say")
}

// pointers returns the run at the beginning of a list of blocks, of which block is
// the first.
func pointers(list []byte, block uint64) run {
	le := binary.LittleEndian
	r := run{from: block, to: uint64(le.Uint32(list)), count: 1}
	for list = list[4:]; len(list) > 0; list = list[4:] {
		want := uint64(0)
		if r.to != 0 {
			want = r.to + r.count
		}
		if uint64(le.Uint32(list)) != want {
			break
		}
		r.count++
	}
	return r
}
