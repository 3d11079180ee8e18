// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// pty is a pseudo-terminal whose other end a process uses as a serial line.
type pty struct {
	*os.File          // our end
	slave    *os.File // the process' end, open until done: else reading fails before it starts
}

// openPTY makes one, raw: bytes pass as they are (pts(4)).
func openPTY() (*pty, error) {
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	n := 0
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	var slave *os.File
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err == nil {
		_, err = term.MakeRaw(int(slave.Fd()))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	return &pty{f, slave}, nil
}

// until ends reads from p, once what is there has been read, when done is closed.
func (p *pty) until(done <-chan struct{}) {
	<-done
	p.slave.Close()
}

// Read returns io.EOF when the other end is closed.
func (p *pty) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if err != nil && n == 0 {
		p.File.Close()
		return 0, io.EOF
	}
	return n, nil
}
