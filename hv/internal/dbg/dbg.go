// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package dbg is the hypervisor's log: lines with a level, built without
// allocation and written whole, so that lines of several CPUs do not mix.
package dbg

import (
	"strconv"
	"sync/atomic"
)

// Level is the weight of a line; the boot option loglvl= names the least
// weighty one that is written.
type Level uint32

// Levels, weightiest first.
const (
	Error Level = iota
	Warning
	Info
	Debug
)

var names = [...]string{"error", "warning", "info", "debug"}

var (
	threshold atomic.Uint32
	sink      atomic.Pointer[func([]byte)]
)

func init() { threshold.Store(uint32(Info)) }

// SetLevel sets the least weighty level that is written.
func SetLevel(l Level) { threshold.Store(uint32(l)) }

// SetSink sets where lines go; until then they are dropped. f gets one whole
// line, ended by '\n', and must be callable from any CPU.
func SetSink(f func([]byte)) { sink.Store(&f) }

// Line is a line under construction. The zero Line is not usable: begin with
// [At].
type Line struct {
	buf [240]byte
	n   int
	on  bool
}

// At begins a line of level l. Text beyond 240 bytes is cut.
func At(l Level) *Line {
	line := Line{on: uint32(l) <= threshold.Load()}
	return line.S("ringo: ").level(l)
}

// Always begins a line that no level hides: somebody asked for it.
func Always() *Line { return (&Line{on: true}).S("ringo: ") }

func (l *Line) level(v Level) *Line {
	if v < Info {
		l.S(names[v]).S(": ")
	}
	return l
}

// S appends a string.
func (l *Line) S(s string) *Line {
	l.n += copy(l.buf[l.n:], s)
	return l
}

// U appends an unsigned number in decimal.
func (l *Line) U(v uint64) *Line {
	var t [20]byte
	l.n += copy(l.buf[l.n:], strconv.AppendUint(t[:0], v, 10))
	return l
}

// X appends a number in hexadecimal, with 0x.
func (l *Line) X(v uint64) *Line {
	var t [20]byte
	l.n += copy(l.buf[l.n:], strconv.AppendUint(append(t[:0], "0x"...), v, 16))
	return l
}

// MiB appends a size in bytes as whole MiB.
func (l *Line) MiB(v uint64) *Line { return l.U(v >> 20).S(" MiB") }

// End writes the line.
func (l *Line) End() {
	f := sink.Load()
	if !l.on || f == nil {
		return
	}
	if l.n == len(l.buf) {
		l.n--
	}
	l.buf[l.n] = '\n'
	(*f)(l.buf[:l.n+1])
}
