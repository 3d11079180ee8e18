// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Monitor speaks QEMU's machine protocol (QEMU documentation, "QEMU Machine
// Protocol Specification"): it steers the machine and learns why it ended.
type Monitor struct {
	w io.WriteCloser

	cmd   sync.Mutex // one command at a time; taken before mu
	reply chan message
	done  chan struct{} // closed when no more messages come

	mu     sync.Mutex
	reason string // of the last SHUTDOWN event
}

// message is anything that QEMU sends.
type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

// monitorTimeout bounds the answer to one command.
const monitorTimeout = 20 * time.Second

// newMonitor starts the conversation on rw.
func newMonitor(rw io.ReadWriteCloser) *Monitor {
	m := &Monitor{w: rw, reply: make(chan message), done: make(chan struct{})}
	go m.read(rw)
	return m
}

func (m *Monitor) read(r io.Reader) {
	defer close(m.done)
	dec := json.NewDecoder(r)
	for {
		var x message
		if dec.Decode(&x) != nil {
			return
		}
		switch {
		case x.Event == "SHUTDOWN":
			m.mu.Lock()
			m.reason = x.Data.Reason
			m.mu.Unlock()
		case x.Return != nil || x.Error != nil:
			select {
			case m.reply <- x:
			case <-time.After(time.Second): // the asker gave up
			}
		}
	}
}

// Do runs one command with its arguments, nil for none.
func (m *Monitor) Do(command string, args any) (json.RawMessage, error) {
	m.cmd.Lock()
	defer m.cmd.Unlock()
	req := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args}
	b, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if _, err := m.w.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	select {
	case x := <-m.reply:
		if x.Error != nil {
			return nil, fmt.Errorf("qemu: %s: %s", command, x.Error.Desc)
		}
		return x.Return, nil
	case <-m.done:
		return nil, errors.New("qemu: monitor closed")
	case <-time.After(monitorTimeout):
		return nil, fmt.Errorf("qemu: no answer to %s", command)
	}
}

// HMP runs a command of the human monitor ("info registers", "info tlb") and
// returns its text.
func (m *Monitor) HMP(line string) (string, error) {
	raw, err := m.Do("human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return "", err
	}
	var s string
	return s, json.Unmarshal(raw, &s)
}

// Reason is why QEMU says that it ended ("guest-shutdown", "guest-reset",
// "guest-panic", "host-signal", ...), empty while it runs.
func (m *Monitor) Reason() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reason
}
