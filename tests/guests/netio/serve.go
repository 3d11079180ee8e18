// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Ports of the other side: those of the services discard and chargen (RFC 863, RFC 864).
const (
	discard = 9
	chargen = 19
)

// serve is the other side. A port serves one connection after the other, by calls that
// block; it does not return but with an error.
func serve() error {
	ended := make(chan error)
	for port, f := range map[int]func(fd int){discard: drain, chargen: pour} {
		go func() { ended <- accept(port, f) }()
	}
	go func() {
		fd, err := bound(unix.SOCK_DGRAM, discard)
		if err == nil {
			drain(fd)
		}
		ended <- err
	}()
	return <-ended
}

// bound is a socket of this machine's port.
func bound(kind, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return 0, fmt.Errorf("port %d: %w", port, err)
	}
	return fd, nil
}

// accept has f serve the connections to a port.
func accept(port int, f func(fd int)) error {
	fd, err := bound(unix.SOCK_STREAM, port)
	if err != nil {
		return err
	}
	if err := unix.Listen(fd, 16); err != nil {
		return err
	}
	for {
		c, _, err := unix.Accept(fd)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		f(c)
		unix.Close(c)
	}
}

// drain reads to the end.
func drain(fd int) {
	for b := make([]byte, large); ; {
		if n, err := unix.Read(fd, b); err != unix.EINTR && (n <= 0 || err != nil) {
			return
		}
	}
}

// pour sends until the other side has closed.
func pour(fd int) {
	for b := make([]byte, large); ; {
		// A write to a closed connection is to be an error, not a signal.
		if err := unix.Sendto(fd, b, unix.MSG_NOSIGNAL, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}
