// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package block is what all disks have in common: requests that are answered later, by
// queue.
package block

import (
	"errors"

	"ringo/drivers/dma"
)

// Op is what a request asks for.
type Op uint8

// Operations. Flush has neither a range nor data, Discard and WriteZeroes have no data.
const (
	Read Op = iota
	Write
	Flush
	Discard     // the range may be forgotten, and reads as anything
	WriteZeroes // the range reads as zeros
)

// Errors of requests. What a driver returns wraps one of them.
var (
	ErrMedia    = errors.New("the medium cannot be read or written there")
	ErrGone     = errors.New("the device is gone")
	ErrTimeout  = errors.New("the device does not answer")
	ErrReadOnly = errors.New("the device is read-only")
	ErrInvalid  = errors.New("the request is not one that the device takes")
	ErrDevice   = errors.New("the device has failed")
)

// Request is one operation. Its fields are the driver's from Submit until Done is
// called, and what they point to as well.
type Request struct {
	Op     Op
	FUA    bool   // of Write and WriteZeroes: on the medium when it is done
	Start  uint64 // first block
	Blocks uint32 // number of blocks
	// Data is Blocks blocks long in all.
	Data []dma.Segment
	// Done is called once, from any goroutine, and must not block; it may submit.
	Done func(r *Request, err error)

	// Driver is for the driver, which sets it when it takes the request: from then on Done
	// will be called, whatever happens.
	Driver any

	outer []func(r *Request, err error) // what Done was before Wrap
}

// Wrap has f called in the place of Done; it passes the end on by [Request.Unwrap]. Who has
// a request made again and again wraps it without allocating.
func (r *Request) Wrap(f func(r *Request, err error)) {
	r.outer = append(r.outer, r.Done)
	r.Done = f
}

// Unwrap undoes the last Wrap, and ends the request.
func (r *Request) Unwrap(err error) {
	n := len(r.outer) - 1
	r.Done, r.outer = r.outer[n], r.outer[:n]
	r.Done(r, err)
}

// Info describes a disk.
type Info struct {
	Model, Serial, Firmware string
	Blocks                  uint64 // size in blocks
	BlockSize               int    // in bytes, a power of two from 512 to 4096
	MaxBlocks               uint32 // most of a request with data
	MaxEmpty                uint32 // most of one without: Discard, WriteZeroes
	ReadOnly                bool
	Volatile                bool // it has a write cache: what is written is on the medium after Flush, or with FUA
	Discard, WriteZeroes    bool
}

// Device is a disk. Its methods are safe for concurrent use.
type Device interface {
	Info() Info
	// Queues is how many queues there are; each keeps the order of nothing, and requests
	// of one are answered by one goroutine.
	Queues() int
	// Submit takes a request. It never blocks; what the device has no room for waits.
	Submit(queue int, r *Request)
}

// Check returns why a request is none that a disk takes, as an error that wraps
// [ErrInvalid] or [ErrReadOnly], or nil.
func Check(i *Info, r *Request) error {
	size, most := 0, i.MaxEmpty
	if r.Op <= Write {
		most = i.MaxBlocks
	}
	for _, s := range r.Data {
		size += len(s.Bytes)
	}
	switch {
	case r.Op == Flush:
		if r.Blocks != 0 || size != 0 {
			return errFlush
		}
		return nil
	case r.Op > WriteZeroes, r.Op == Discard && !i.Discard, r.Op == WriteZeroes && !i.WriteZeroes:
		return errOp
	case r.Blocks == 0, r.Blocks > most, r.Start >= i.Blocks, uint64(r.Blocks) > i.Blocks-r.Start:
		return errRange
	case r.Op <= Write && uint64(size) != uint64(r.Blocks)*uint64(i.BlockSize), r.Op > Write && size != 0:
		return errData
	case r.Op != Read && i.ReadOnly:
		return ErrReadOnly
	}
	return nil
}

// The ways to be invalid.
var (
	errFlush = invalid("a flush has a range")
	errOp    = invalid("no such operation")
	errRange = invalid("the range is not on the disk, or too long for one request")
	errData  = invalid("the data is not as long as the range")
)

type invalid string

func (e invalid) Error() string { return string(e) }
func (e invalid) Unwrap() error { return ErrInvalid }
