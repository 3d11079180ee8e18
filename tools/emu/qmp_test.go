// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestMonitor(t *testing.T) {
	ours, qemu := net.Pipe()
	m := newMonitor(ours)
	go func() {
		fmt.Fprintln(qemu, `{"QMP": {"version": {}, "capabilities": []}}`)
		in := bufio.NewScanner(qemu)
		for in.Scan() {
			var req struct {
				Execute   string
				Arguments map[string]string
			}
			json.Unmarshal(in.Bytes(), &req)
			switch req.Execute {
			case "human-monitor-command":
				fmt.Fprintln(qemu, `{"event": "RTC_CHANGE", "data": {}}`)
				fmt.Fprintf(qemu, `{"return": "did %s"}`+"\n", req.Arguments["command-line"])
			case "quit":
				fmt.Fprintln(qemu, `{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`)
				qemu.Close()
				return
			default:
				fmt.Fprintln(qemu, `{"error": {"class": "CommandNotFound", "desc": "no such"}}`)
			}
		}
	}()
	if s, err := m.HMP("info tlb"); s != "did info tlb" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := m.Do("nonsense", nil); err == nil || !strings.Contains(err.Error(), "no such") {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := m.Do("quit", nil); err == nil {
		t.Error("quit: an answer from a closed monitor")
	}
	<-m.done
	if m.Reason() != "guest-reset" {
		t.Errorf("reason %q", m.Reason())
	}
}
