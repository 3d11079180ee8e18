// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes in bytes, but for burst.
const (
	large  = 64 << 10
	small  = 64
	burst  = 16 // packets
	header = 8  // of an echo request
)

// socket is a connected one, which blocks.
type socket struct {
	fd     uintptr
	buffer []byte
}

// move reads or writes at most size bytes of the buffer.
func (s socket) move(call uintptr, size int) (int, error) {
	// SAFETY: the buffer is on Go's heap, alive while s is, and longer than any size.
	n, _, e := unix.RawSyscall(call, s.fd, uintptr(unsafe.Pointer(&s.buffer[0])), uintptr(size))
	if e == unix.EINTR { // by a signal of Go's own
		return 0, nil
	}
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// send sends n large pieces, and waits until the other side has read them and closes.
func (s socket) send(n int) error {
	for left := n * large; left > 0; {
		m, err := s.move(unix.SYS_WRITE, min(left, large))
		if err != nil {
			return err
		}
		left -= m
	}
	if err := unix.Shutdown(int(s.fd), unix.SHUT_WR); err != nil {
		return err
	}
	// It has nothing to say: a read that returns is the end.
	if _, err := s.move(unix.SYS_READ, 1); err != nil {
		return err
	}
	return nil
}

// receive reads n large pieces.
func (s socket) receive(n int) error {
	for left := n * large; left > 0; {
		m, err := s.move(unix.SYS_READ, min(left, large))
		if err != nil {
			return err
		}
		if m == 0 {
			return errors.New("the other side has closed")
		}
		left -= m
	}
	return nil
}

// packets sends n packets.
func (s socket) packets(n int) error {
	for range n {
		if _, err := s.move(unix.SYS_WRITE, small); err != nil {
			return err
		}
	}
	return nil
}

// bursts asks for packets until n have come. One of a burst that does not come within a
// second is lost.
func (s socket) bursts(n int) error {
	wait := unix.Timeval{Sec: 1}
	if err := unix.SetsockoptTimeval(int(s.fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return err
	}
	for got, lost := 0, 0; got < n; {
		if _, err := s.move(unix.SYS_WRITE, small); err != nil {
			return err
		}
		for i := 0; i < burst; {
			switch m, err := s.move(unix.SYS_READ, large); {
			case errors.Is(err, unix.EAGAIN):
				if lost += burst - i; lost > n/10 {
					return fmt.Errorf("%d packets of %d are lost", lost, n)
				}
				i = burst
			case err != nil:
				return err
			case m > 0:
				i++
				got++
			}
		}
	}
	return nil
}

// ping sends an echo request and waits for its reply, n times (RFC 792, "Echo or Echo
// Reply Message").
func (s socket) ping(n int) error {
	id := uint16(unix.Getpid())
	for i := range n {
		b := s.buffer[:header+56]
		clear(b)
		b[0] = 8
		binary.BigEndian.PutUint16(b[4:], id)
		binary.BigEndian.PutUint16(b[6:], uint16(i))
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		if _, err := s.move(unix.SYS_WRITE, len(b)); err != nil {
			return err
		}
		for {
			m, err := s.move(unix.SYS_READ, large)
			if err != nil {
				return err
			}
			ip := int(s.buffer[0]&15) * 4 // a raw socket has the IP header too
			if r := s.buffer[ip:]; m >= ip+header && r[0] == 0 && binary.BigEndian.Uint16(r[4:]) == id && binary.BigEndian.Uint16(r[6:]) == uint16(i) {
				break
			}
		}
	}
	return nil
}

// checksum is the Internet checksum of an even number of bytes (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}
