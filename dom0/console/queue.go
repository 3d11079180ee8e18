// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// maxQueue is how many typed bytes wait for their reader: a verb may take a while,
// and a script is pasted at once.
const maxQueue = 256 << 10

// loss is input that did not find its way.
type loss struct {
	n    uint64 // bytes, at least
	line bool   // the last of them ended a line
}

// lossy is the error of a stream that has lost bytes behind those read, and goes
// on.
type lossy interface {
	error
	Lost() (n uint64, line bool)
}

// piece is typed bytes and what is missing behind them.
type piece struct {
	b   []byte
	gap loss
}

// queue takes what is typed from its stream at once, whoever is to have it and
// whenever: the device below has little room. Where the queue is full it has a
// gap, and takes nothing until half of it is free, so that gaps are few.
type queue struct {
	ready chan struct{} // has a value when there may be something to take

	mu     sync.Mutex // guards what follows
	pieces []piece
	n      int // bytes in pieces
	err    error
}

func newQueue(r io.Reader) *queue {
	q := &queue{ready: make(chan struct{}, 1)}
	go q.pump(r)
	return q
}

func (q *queue) pump(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		var l lossy
		var gap loss
		if errors.As(err, &l) {
			gap.n, gap.line = l.Lost()
			err = nil
		}
		q.put(buf[:n], gap, err)
		if err != nil {
			return
		}
	}
}

// put appends b and a gap behind it.
func (q *queue) put(b []byte, gap loss, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pieces) == 0 || q.last().gap.n > 0 && q.n <= maxQueue/2 {
		q.pieces = append(q.pieces, piece{})
	}
	last := q.last()
	fits := 0
	if last.gap.n == 0 {
		fits = min(len(b), maxQueue-q.n)
		last.b = append(last.b, b[:fits]...)
		q.n += fits
	}
	last.gap.add(b[fits:])
	if gap.n > 0 {
		last.gap = loss{last.gap.n + gap.n, gap.line}
	}
	q.err = err
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// last is the piece at the end. Preconditions: there is one.
func (q *queue) last() *piece { return &q.pieces[len(q.pieces)-1] }

// add makes b part of what is lost.
func (l *loss) add(b []byte) {
	if len(b) > 0 {
		l.n += uint64(len(b))
		l.line = b[len(b)-1] == '\r' || b[len(b)-1] == '\n'
	}
}

// next takes the bytes at the head of the queue and what is missing behind them:
// nothing of either when it is empty.
func (q *queue) next() ([]byte, loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pieces) == 0 {
		return nil, loss{}
	}
	p := q.pieces[0]
	q.pieces = slices.Delete(q.pieces, 0, 1)
	q.n -= len(p.b)
	return p.b, p.gap
}

// ended returns the error of the stream when all before it has been taken.
func (q *queue) ended() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pieces) > 0 {
		return nil
	}
	return q.err
}
