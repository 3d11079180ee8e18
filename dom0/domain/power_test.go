// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// listener is a guest that powers off when its button is pushed.
func listener(c *hcalltest.CPU, ready chan<- bool) {
	c.Listen()
	ready <- true
	if c.WaitTrigger() == abi.TriggerPower {
		c.Shutdown(abi.ShutdownPoweroff)
	}
	c.Crash("not the power button")
}

// deaf is a guest that does not listen; stubborn listens and does nothing.
func deaf(c *hcalltest.CPU, ready chan<- bool) {
	ready <- true
	c.WaitIRQ(0)
}

func stubborn(c *hcalltest.CPU, ready chan<- bool) {
	c.Listen()
	deaf(c, ready)
}

// powered makes a domain whose guest has begun.
func powered(t *testing.T, guest func(*hcalltest.CPU, chan<- bool), change func(*config.Config)) *rig {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go r.Run(ctx)
	ready := make(chan bool, 100)
	r.Guest = func(c *hcalltest.CPU) { guest(c, ready) }
	c := r.cfg("a", 16)
	if change != nil {
		change(c)
	}
	if _, err := r.Create(c, false); err != nil {
		t.Fatal(err)
	}
	<-ready
	return r
}

func TestShutdown(t *testing.T) {
	preserve := func(c *config.Config) { c.OnPoweroff = config.Preserve }
	for _, c := range []struct {
		name   string
		guest  func(*hcalltest.CPU, chan<- bool)
		change func(*config.Config)
		ask    Ask
		err    string
		notes  []string
		left   int
	}{
		{"wait", listener, nil, Ask{Wait: true}, "", []string{`domain "a" has powered off: destroying it`}, 0},
		{"no wait", listener, nil, Ask{}, "", []string{`domain "a" has powered off: destroying it`}, 0},
		{"kept", listener, preserve, Ask{Wait: true}, "", []string{`domain "a" has powered off: kept (destroy a frees it)`}, 1},
		{"force is not needed", listener, nil, Ask{Force: true}, "", []string{`domain "a" has powered off: destroying it`}, 0},
		{"reboot", listener, func(c *config.Config) { c.OnReboot = config.Preserve }, Ask{Reboot: true, Wait: true}, "",
			[]string{`domain "a" has powered off to reboot: kept (destroy a frees it)`}, 1},
		{"deaf", deaf, nil, Ask{}, `domain "a" does not listen to its power button: do it inside (console a), wait until it is up, or use shutdown -F a or destroy a`, nil, 1},
		{"deaf reboot", deaf, nil, Ask{Reboot: true}, `domain "a" does not listen to its power button: do it inside (console a), wait until it is up, or use reboot -F a or reset a`, nil, 1},
		{"deaf, forced", deaf, nil, Ask{Force: true}, "", []string{`domain "a" does not power off: destroying it`}, 0},
		{"deaf reboot, forced", deaf, func(c *config.Config) { c.OnReboot = config.Destroy }, Ask{Reboot: true, Force: true}, "",
			[]string{`domain "a" does not reboot: resetting it`, `domain "a" reboots: destroying it`}, 0},
		{"stubborn, not forced", stubborn, nil, Ask{Wait: true}, `domain "a" was asked, but has not powered off in 50ms: look at its console, or destroy a`, nil, 1},
		{"stubborn", stubborn, nil, Ask{Force: true, Wait: true}, "", []string{`domain "a" does not power off: destroying it`}, 0},
		{"stubborn, no wait", stubborn, nil, Ask{Force: true}, "", []string{`domain "a" does not power off: destroying it`}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := powered(t, c.guest, c.change)
			if strings.HasPrefix(c.name, "stubborn") {
				r.Patience = 10 * time.Millisecond
			}
			err := r.Shutdown("a", c.ask)
			if got := text(err); got != c.err {
				t.Errorf("got %q, want %q", got, c.err)
			}
			if d := cmp.Diff(c.notes, r.await(len(c.notes))); d != "" {
				t.Error(d)
			}
			r.settle(c.left)
			if c.left > 0 {
				if err := r.Destroy("a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A stopped or paused domain cannot be asked.
func TestShutdownOfStopped(t *testing.T) {
	r := powered(t, listener, func(c *config.Config) { c.OnPoweroff = config.Preserve })
	if err := r.Pause("a"); err != nil {
		t.Fatal(err)
	}
	if got := text(r.Shutdown("a", Ask{})); got != `domain "a" is paused: unpause a first` {
		t.Error(got)
	}
	if err := r.Unpause("a"); err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown("a", Ask{Wait: true}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func() error{func() error { return r.Shutdown("a", Ask{}) }, func() error { return r.Reset("a") }} {
		if got := text(f()); got != `domain "a" has stopped already: destroy a frees it` {
			t.Error(got)
		}
	}
	for key, want := range map[string]string{
		"h": "", "s": `domain "a" does not read its serial port: try again when it does`, "": `"" is not a key: use one character, h for help`, "hh": `"hh" is not a key: use one character, h for help`,
	} {
		if got := text(r.SysRq("a", key)); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
	if _, err := r.Trigger("a", abi.TriggerNMI, 1); text(err) != `domain "a" has no vCPU 1: it has 0 to 0` {
		t.Error(err)
	}
}

// Who waits for a reboot finds the domain there again.
func TestRebootWaits(t *testing.T) {
	r := powered(t, listener, nil)
	gate := make(chan bool)
	r.load.mu.Lock()
	r.load.gate = func() { <-gate }
	r.load.mu.Unlock()
	go func() { r.await(1); time.Sleep(100 * time.Millisecond); gate <- true }()
	if err := r.Shutdown("a", Ask{Reboot: true, Wait: true}); err != nil {
		t.Fatal(err)
	}
	if in, err := r.Find("a"); err != nil || in.Is(Shutdown) || in.Config == nil {
		t.Errorf("%+v, %v", in, err)
	}
}

// A domain that is to be kept under another name makes room for the new one, which has
// a UUID of its own; what is kept stays as it is.
func TestRenameRestart(t *testing.T) {
	r := powered(t, listener, func(c *config.Config) { c.OnPoweroff = config.RenameRestart })
	if err := r.Shutdown("a", Ask{Wait: true}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`domain "a" has powered off: kept as "a-1" (destroy a-1 frees it), restarting`}, r.await(1)); d != "" {
		t.Error(d)
	}
	r.settle(2)
	old, err1 := r.Find("a-1")
	now, err2 := r.Find("a")
	if err1 != nil || err2 != nil || old.UUID == now.UUID || !old.Is(Shutdown) || now.Is(Shutdown) {
		t.Fatalf("%+v %v\n%+v %v", old, err1, now, err2)
	}
	if old.Config.OnPoweroff != config.Preserve || now.Config.OnPoweroff != config.RenameRestart {
		t.Errorf("%+v\n%+v", old.Config, now.Config)
	}
}
