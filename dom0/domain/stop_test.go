// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// await waits for n notes and returns them.
func (r *rig) await(n int) []string {
	r.t.Helper()
	for i := range n {
		select {
		case <-r.noted:
		case <-time.After(10 * time.Second):
			r.t.Fatalf("note %d of %d did not come: %q", i+1, n, r.notes)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.notes...)
}

// settle waits until n domains are left and nothing is being done to one.
func (r *rig) settle(n int) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.Manager.mu.Lock()
		known := len(r.doms)
		r.Manager.mu.Unlock()
		if ids, _ := r.Leaks(); len(ids) == n && known == n {
			return
		}
	}
	r.t.Fatalf("%d domains were to be left", n)
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		end    func(*hcalltest.CPU)
		notes  []string
		left   int
	}{
		{"poweroff", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownPoweroff) },
			[]string{`domain "a" has powered off: destroying it`}, 0},
		{"poweroff preserve", func(c *config.Config) { c.OnPoweroff = config.Preserve },
			func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownPoweroff) },
			[]string{`domain "a" has powered off: kept (destroy a frees it)`}, 1},
		{"code", func(c *config.Config) { c.Name = "coded" }, func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownPoweroff) },
			[]string{`domain "coded" has ended with code 7: destroying it`}, 0},
		{"broken", func(c *config.Config) { c.Name = "broken" }, func(c *hcalltest.CPU) { c.Crash("") },
			[]string{`domain "broken" crashed: a device of it failed: destroying it`}, 0},
		{"crash", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Crash("bad state at 0x1234") },
			[]string{`domain "a" crashed: bad state at 0x1234: destroying it`}, 0},
		{"triple fault", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.TripleFault() },
			[]string{
				`domain "a" reboots: triple fault: restarting`, `domain "a" reboots: triple fault: restarting`,
				`domain "a" reboots: triple fault: restarting`, `domain "a" reboots: triple fault: restarting`,
				`domain "a" reboots: triple fault: restarting`,
				`domain "a" reboots: triple fault: too often to restart it (5 times, and once more a minute): kept (destroy a frees it)`,
			}, 1},
		{"triple fault, destroy", func(c *config.Config) { c.OnReboot = config.Destroy }, func(c *hcalltest.CPU) { c.TripleFault() },
			[]string{`domain "a" reboots: triple fault: destroying it`}, 0},
		{"reboot once", func(c *config.Config) {}, nil,
			[]string{`domain "a" reboots: restarting`, `domain "a" has powered off: destroying it`}, 0},
		{"reboot forever", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownReboot) },
			[]string{
				`domain "a" reboots: restarting`, `domain "a" reboots: restarting`, `domain "a" reboots: restarting`,
				`domain "a" reboots: restarting`, `domain "a" reboots: restarting`,
				`domain "a" reboots: too often to restart it (5 times, and once more a minute): kept (destroy a frees it)`,
			}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			free := r.Free()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go r.Run(ctx)
			boots := 0
			r.Guest = c.end
			if c.end == nil {
				r.Guest = func(cpu *hcalltest.CPU) {
					if boots++; boots == 1 {
						cpu.Shutdown(abi.ShutdownReboot)
					}
					cpu.Shutdown(abi.ShutdownPoweroff)
				}
			}
			cfg := r.cfg("a", 16)
			c.change(cfg)
			if _, err := r.Create(cfg, false); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.notes, r.await(len(c.notes))); d != "" {
				t.Error(d)
			}
			r.settle(c.left)
			if c.left == 1 {
				if err := r.Destroy("a"); err != nil {
					t.Error(err)
				}
			}
			r.wantClean(free)
			if c.name == "reboot once" {
				want := []string{"attach 1 a", "detach 1 again=true", "attach 2 a", "detach 2 again=false"}
				if d := cmp.Diff(want, r.dev.log); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// A restart that is impossible ends the domain and says so.
func TestRestartFails(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	r.Guest = func(c *hcalltest.CPU) {
		r.dev.mu.Lock()
		r.dev.fail = errors.New("no room for devices")
		r.dev.mu.Unlock()
		c.Shutdown(abi.ShutdownReboot)
	}
	if _, err := r.Create(r.cfg("a", 16), false); err != nil {
		t.Fatal(err)
	}
	want := []string{`domain "a" reboots: restarting`,
		`error: domain "a" is gone, it could not be restarted: no room for devices`}
	if d := cmp.Diff(want, r.await(2)); d != "" {
		t.Error(d)
	}
	r.settle(0)
	r.wantClean(free)
	if d := cmp.Diff([]string{"attach 1 a", "detach 1 again=true", "forget 1"}, r.dev.log); d != "" {
		t.Error(d)
	}
}

// A new dom0 finds whole domains running and removes half-made ones.
func TestAdopt(t *testing.T) {
	r := newRig(t)
	if _, err := r.Create(r.cfg("whole", 16), false); err != nil {
		t.Fatal(err)
	}
	hv := r.Client()
	half := abi.CreateArgs{VCPUs: 1, MaxBytes: 1 << 20}
	hcall.SetText(half.Name[:], "half")
	foreign := half
	hcall.SetText(foreign.Name[:], "foreign")
	for _, a := range []*abi.CreateArgs{&half, &foreign} {
		if err := hv.Create(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := hv.SetRecord(foreign.ID, []byte(`{"v":99}`)); err != nil {
		t.Fatal(err)
	}
	r.dev.attached = map[uint32]Attachment{}
	m := r.manager()
	if err := m.Adopt(); err != nil {
		t.Fatal(err)
	}
	want := []string{`domain "half" was half-made or half-destroyed: destroyed`,
		`error: domain "foreign": its record has version 99, this toolstack knows 1`}
	if d := cmp.Diff(want, r.await(2)); d != "" {
		t.Error(d)
	}
	ids, _ := r.Leaks()
	if d := cmp.Diff([]uint32{1, 3}, ids); d != "" || len(r.dev.attached) != 2 {
		t.Error(d, r.dev.attached)
	}
	if in, err := m.Find("whole"); err != nil || in.Config.Boot.Kernel != "boot:vmlinuz" || !in.Started.Equal(r.clock) {
		t.Errorf("%+v %v", in, err)
	}
	for _, n := range []string{"whole", "foreign"} {
		if err := m.Destroy(n); err != nil {
			t.Error(err)
		}
	}
}

// A domain that vanished behind the toolstack's back loses its devices.
func TestLost(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	id, err := r.Create(r.cfg("a", 16), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Client().Destroy(id, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	r.workers.Wait()
	r.wantClean(free)
}

// A guest that restarts for ever, however slowly, is limited; one that restarts
// once a minute is not.
func TestBucket(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	restarts := func(every time.Duration) (n int) {
		var b bucket
		for at := now; n < 1000 && b.take(at); at = at.Add(every) {
			n++
		}
		return n
	}
	for every, want := range map[time.Duration]int{
		0: 5, 10100 * time.Millisecond: 5, 30 * time.Second: 9, 59 * time.Second: 241, period: 1000, time.Hour: 1000,
	} {
		if got := restarts(every); got != want {
			t.Errorf("every %v: %d restarts, want %d", every, got, want)
		}
	}
	// What was not used is not saved up.
	b := bucket{}
	b.take(now)
	for i := range burst + 1 {
		if got := b.take(now.Add(24 * time.Hour)); got != (i < burst) {
			t.Errorf("restart %d after a day: %v", i, got)
		}
	}
}

// A domain that crashes is seen to while another one's kernel is being loaded.
func TestEndsDoNotWait(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	ctx, cancel := context.WithCancel(context.Background())
	go r.Run(ctx)
	boots, die := 0, make(chan bool)
	r.Guest = func(c *hcalltest.CPU) {
		if c.Memory(1 << 20)[7] == 'y' {
			<-die
			c.Crash("triple fault at 0x1234")
		}
		if boots++; boots == 1 {
			c.Shutdown(abi.ShutdownReboot)
		}
		c.Shutdown(abi.ShutdownPoweroff)
	}
	b := r.cfg("b", 16)
	b.Boot.Kernel = "boot:other"
	if _, err := r.Create(b, false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(r.cfg("a", 16), true); err != nil {
		t.Fatal(err)
	}
	more, loading := make(chan bool), make(chan bool, 1)
	r.load.mu.Lock()
	r.load.gate = func() { loading <- true; <-more }
	r.load.mu.Unlock()
	if err := r.Unpause("a"); err != nil {
		t.Fatal(err)
	}
	<-loading // a's kernel, for its restart
	close(die)
	want := []string{`domain "a" reboots: restarting`, `domain "b" crashed: triple fault at 0x1234: destroying it`}
	if d := cmp.Diff(want, r.await(2)); d != "" {
		t.Error(d)
	}
	r.waitGone("b")
	close(more)
	r.await(1)
	r.settle(0)
	cancel()
	r.wantClean(free)
}

// waitGone waits until no domain has a name.
func (r *rig) waitGone(name string) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, err := r.Find(name); err != nil {
			return
		}
	}
	r.t.Fatalf("%s was to go", name)
}
