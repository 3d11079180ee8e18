// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/term"

	"ringo/tools/emu"
)

// prompt is how dom0 asks for a line. Input that does not come from a terminal
// is held back until then: what is typed earlier is lost when firmware and
// hypervisor reset the serial port.
var prompt = regexp.MustCompile(`(?m)^[a-zA-Z0-9.-]+# `)

// quitKey, typed quitTimes in a row, ends a machine that does not answer. All
// other keys of a terminal go to the machine, also Ctrl-A, Ctrl-C and Ctrl-].
const (
	quitKey   = 0x1c // Ctrl-\
	quitTimes = 3
)

// session joins the machine's console with in and out until the machine ends.
// The end of in does not end the session.
func session(m *emu.Machine, in *os.File, out io.Writer, signals <-chan os.Signal) (int, error) {
	m.Tee(out)
	quit := make(chan struct{})
	if fd := int(in.Fd()); term.IsTerminal(fd) {
		old, err := term.MakeRaw(fd)
		if err != nil {
			return statusFailed, err
		}
		defer term.Restore(fd, old)
		go func() {
			if copyKeys(m, in) {
				close(quit)
			}
		}()
	} else {
		go typeLines(m, in)
	}
	select {
	case <-m.Done():
	case <-quit:
		m.Kill()
		return statusFailed, fmt.Errorf("ended by Ctrl-\\")
	case s := <-signals:
		m.Kill()
		n, _ := s.(syscall.Signal)
		return 128 + int(n), fmt.Errorf("ended by %v", s)
	}
	m.Drain()
	s, err := m.Wait(0)
	if err != nil {
		return statusFailed, err
	}
	return verdict(s)
}

// verdict is this program's exit status for the machine's.
func verdict(s emu.Status) (int, error) {
	switch s.End {
	case emu.Poweroff:
		return 0, nil
	case emu.Reset:
		return statusReset, fmt.Errorf("the machine reset itself")
	case emu.Killed:
		return statusFailed, fmt.Errorf("the emulator was killed: %s", s.Stderr)
	}
	return statusFailed, fmt.Errorf("the emulator ended with status %d: %s", s.Code, s.Stderr)
}

// sender is the input side of a console.
type sender interface{ Send(string) error }

// copyKeys passes keys on until in ends (false) or the quit keys come (true).
func copyKeys(m sender, in io.Reader) bool {
	buf := make([]byte, 256)
	run := 0
	for {
		n, err := in.Read(buf)
		for _, b := range buf[:n] {
			if b != quitKey {
				run = 0
			} else if run++; run == quitTimes {
				return true
			}
		}
		if n > 0 {
			m.Send(string(buf[:n]))
		}
		if err != nil {
			return false
		}
	}
}

// lineRate is the pace of input that nobody types, in bytes and per time: that
// of 115200 baud, which the machine's buffers are made for.
const (
	burstBytes = 16
	burstTime  = time.Second * burstBytes * 10 / 115200
)

// typeLines waits for the prompt and types in, with the key that ends a line
// for each line's end.
func typeLines(m *emu.Machine, in io.Reader) {
	for {
		if _, err := m.ExpectRE(time.Hour, prompt); err == nil {
			break
		}
		select {
		case <-m.Done():
			return
		default:
		}
	}
	typeSlowly(m, in, burstTime)
}

func typeSlowly(m sender, in io.Reader, pause time.Duration) {
	buf := make([]byte, burstBytes)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			m.Send(string(bytes.ReplaceAll(buf[:n], []byte{'\n'}, []byte{'\r'})))
			time.Sleep(pause)
		}
		if err != nil {
			return
		}
	}
}
