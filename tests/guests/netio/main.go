// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Netio is a process of a Linux guest that moves data over its network and does nothing
// else. It takes lines from its console, each a kind of work, an address with a port, and
// how many times:
//
//	tcp-send     64 KiB to whoever reads them to the end, and then closes
//	tcp-receive  64 KiB of what comes from a port that sends without being asked
//	udp-send     packets of 64 bytes
//	udp-receive  packets of 64 bytes, 16 at a time: each 16 are asked for by one of ours
//	ping         echo requests (ICMP) of 56 bytes, one at a time; the port is not used
//	nothing
//
// as "tcp-send 10.0.2.2:9 100". When a line is done it prints it again behind "done". With
// the argument "serve" it is the other side: TCP at port 9 reads and closes, at port 19
// sends; UDP at port 9 reads.
//
// The work makes blocking system calls without a word to Go's scheduler, and allocates
// nothing, so that little beside the kernel's work counts.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

func main() {
	do := lines
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		do = serve
	}
	if err := do(); err != nil {
		fmt.Println("netio: error:", err)
		os.Exit(1)
	}
}

// lines does what lines say until there are no more.
func lines() error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	fmt.Println("netio: ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what, where string
		var n int
		if _, err := fmt.Sscanf(in.Text(), "%s %s %d", &what, &where, &n); err != nil {
			return fmt.Errorf("%q: %w", in.Text(), err)
		}
		to, err := netip.ParseAddrPort(where)
		if err == nil {
			err = run(what, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}, n)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", in.Text(), err)
		}
		fmt.Println("netio: done", in.Text())
	}
	return errors.New("no more lines")
}

// run does what a line asks for.
func run(what string, to *unix.SockaddrInet4, n int) error {
	do, ok := map[string]struct {
		kind, protocol int
		do             func(s socket, n int) error
	}{
		"tcp-send":    {unix.SOCK_STREAM, 0, socket.send},
		"tcp-receive": {unix.SOCK_STREAM, 0, socket.receive},
		"udp-send":    {unix.SOCK_DGRAM, 0, socket.packets},
		"udp-receive": {unix.SOCK_DGRAM, 0, socket.bursts},
		"ping":        {unix.SOCK_RAW, unix.IPPROTO_ICMP, socket.ping},
	}[what]
	if what == "nothing" {
		return nil
	}
	if !ok {
		return errors.New("not known")
	}
	fd, err := unix.Socket(unix.AF_INET, do.kind, do.protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	return do.do(socket{fd: uintptr(fd), buffer: make([]byte, large)}, n)
}
