// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/drivers/block"
)

// withDisks makes a domain "web" of one disk, a.img.
func withDisks(t *testing.T) *rig {
	r := newRig(t)
	r.Patience = time.Second
	r.Storage = storage.New(storage.Options{
		Disks: func() []storage.Source { return nil },
		Open: func(name string) (loader.Source, error) {
			if strings.HasPrefix(name, "boot:no") {
				return loader.Source{}, problem.New(problem.NotFound, "", "no file %q", name)
			}
			return loader.Source{Name: name, R: bytes.NewReader(make([]byte, 4096)), Size: 4096}, nil
		},
	})
	c := r.cfg("web", 16)
	r.must(c.Set("disk", "boot:a.img,readonly"))
	_, err := r.Create(c, false)
	r.must(err)
	return r
}

// disks is what the configuration of web has, and that it is what the storage has given.
func (r *rig) disks() string {
	r.t.Helper()
	in, err := r.Find("web")
	r.must(err)
	uuid, err := config.ParseUUID(in.UUID)
	r.must(err)
	var all, open []string
	for _, x := range in.Config.Settled() {
		all = append(all, fmt.Sprintf("%s=%d", called(&x), x.Slot))
	}
	for _, x := range r.Storage.Of(uuid) {
		open = append(open, fmt.Sprintf("%s=%d", x.Name, x.Slot))
	}
	if d := cmp.Diff(all, open); d != "" {
		r.t.Errorf("-configured +open\n%s", d)
	}
	return strings.Join(all, " ")
}

// What cannot be attached changes nothing.
func TestAttachRefused(t *testing.T) {
	r := withDisks(t)
	for disk, want := range map[string]string{
		"boot:b.img":                  "image: files cannot be written",
		"boot:no.img,readonly":        `no file "boot:no.img"`,
		"boot:b.img,readonly,slot=8":  "disk 2: slot: disk 1 is in slot 8 already",
		"boot:b.img,readonly,slot=7":  "slot: 7 is out of range: use 8 to 31",
		"boot:b.img,fast":             `"fast" is not known`,
		"vd0":                         `this machine has no disk "vd0"`,
		"vd0,readonly,serial=\x01abc": "serial:",
	} {
		_, err := r.AttachDisk("web", disk)
		r.fails(err, want)
	}
	_, err := r.AttachDisk("Domain-0", "boot:b.img,readonly")
	r.fails(err, "cannot be given disks")
	r.dev.fail = problem.New(problem.Full, "", "no memory")
	_, err = r.AttachDisk("web", "boot:b.img,readonly")
	r.fails(err, "no memory")
	for range config.MaxDisks - 1 {
		r.dev.fail = nil
		_, err = r.AttachDisk("web", "boot:b.img,readonly")
		r.must(err)
	}
	_, err = r.AttachDisk("web", "boot:b.img,readonly")
	r.fails(err, "25 are too many")
	r.fails(r.DetachDisk("web", "boot:b.img", true), "has boot:b.img more than once: give its slot")
	r.fails(r.DetachDisk("web", "boot:c.img", true), "has no disk boot:c.img")
	r.must(r.DetachDisk("web", "20", true))
	if got := r.disks(); strings.Contains(got, "=20") || strings.Count(got, "=") != config.MaxDisks-1 {
		t.Error(got)
	}
}

// A disk comes and goes, and a restart keeps the others where they were.
func TestAttachDetach(t *testing.T) {
	r := withDisks(t)
	attach := func(disk string, hears bool) {
		t.Helper()
		listens, err := r.AttachDisk("web", disk)
		if r.must(err); listens != hears {
			t.Errorf("%s: listens %v", disk, listens)
		}
	}
	attach("boot:b.img,readonly", false)
	r.dev.ack = func() bool { return true }
	attach("boot:c.img,snapshot,slot=31", true)
	attach("boot:d.img,readonly", true)
	if got := r.disks(); got != "boot:a.img=8 boot:b.img=9 boot:c.img=31 boot:d.img=10" {
		t.Error(got)
	}
	r.must(r.DetachDisk("web", "boot:b.img", false))
	if got := r.disks(); got != "boot:a.img=8 boot:c.img=31 boot:d.img=10" {
		t.Error(got)
	}
	// One that does not answer is asked, and loses it by force.
	r.dev.ack = func() bool { return false }
	r.fails(r.DetachDisk("web", "boot:a.img", false), "was asked, but has not given back boot:a.img (slot 8) in 166.666666ms: look at its kernel's log; block-detach -F")
	r.must(r.DetachDisk("web", "8", true))
	r.dev.ack = nil
	r.fails(r.DetachDisk("web", "10", false), "does not listen to ACPI's event for PCI slots: wait until it is up, or -F")
	r.must(r.Pause("web"))
	r.fails(r.DetachDisk("web", "10", false), "is paused: unpause web first")
	r.must(r.Unpause("web"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	r.must(r.Reset("web"))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if in, err := r.Find("web"); err == nil && in.ID == 2 && r.dev.has(2) {
			break
		} else if time.Now().After(end) {
			t.Fatal("it does not restart")
		}
	}
	if got := r.disks(); got != "boot:c.img=31 boot:d.img=10" {
		t.Error(got)
	}
	var slots []int
	for _, d := range r.dev.attached[2].Machine.Devices {
		if d.Kind == board.Disk {
			slots = append(slots, d.Slot)
		}
	}
	if d := cmp.Diff([]int{31, 10}, slots); d != "" {
		t.Errorf("slots after the restart: -want +got\n%s", d)
	}
}

// A guest may give back a disk unasked.
func TestGivenBackUnasked(t *testing.T) {
	r := withDisks(t)
	a := r.dev.attached[1]
	a.Disks[0].Close()
	a.Emptied(8)
	<-r.noted
	if got := r.notes[len(r.notes)-1]; got != `domain "web" has given back disk boot:a.img` {
		t.Error(got)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		in, err := r.Find("web")
		r.must(err)
		if len(in.Config.Disk) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the configuration has it still")
		}
	}
	if got := r.disks(); got != "" {
		t.Error(got)
	}
	a.Emptied(8) // of a slot that is empty, and of a domain that is gone
	r.must(r.Destroy("web"))
	a.Emptied(8)
}

// Of a domain that is off the definition changes.
func TestAttachOff(t *testing.T) {
	r := withDisks(t)
	c := r.cfg("off", 16)
	_, err := r.Define(c)
	r.must(err)
	_, err = r.AttachDisk("off", "boot:b.img,readonly")
	r.must(err)
	_, err = r.AttachDisk("off", "boot:c.img,readonly")
	r.must(err)
	r.must(r.DetachDisk("off", "boot:b.img", false))
	r.fails(r.DetachDisk("off", "boot:b.img", false), "has no disk boot:b.img")
	d, err := r.Definition("off")
	r.must(err)
	if got := d.Config.Disk; len(got) != 1 || got[0].Image != "boot:c.img" || got[0].Slot != board.FirstDisk+1 || board.FirstDisk != config.FirstSlot {
		t.Errorf("%+v", got)
	}
}

// raw is a disk of the machine that does all at once.
type raw struct{}

func (raw) Info() block.Info               { return block.Info{Blocks: 4096, BlockSize: 512, MaxBlocks: 64} }
func (raw) Queues() int                    { return 1 }
func (raw) Submit(_ int, r *block.Request) { r.Done(r, nil) }

// withRaw has the domain web with a disk of the machine.
func withRaw(t *testing.T) *rig {
	r := newRig(t)
	r.Storage = storage.New(storage.Options{Disks: func() []storage.Source {
		return []storage.Source{{Name: "nvme0n1", Device: raw{}, R: bytes.NewReader(make([]byte, 2<<20))}}
	}})
	c := r.cfg("web", 16)
	c.Disk = []config.Disk{{Device: "disk:nvme0n1"}}
	_, err := r.Create(c, false)
	r.must(err)
	return r
}

// A domain with another name than its disk was taken under has it all the same when it
// restarts.
func TestRenamedRestart(t *testing.T) {
	r := withRaw(t)
	r.must(r.Rename("web", "shop"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	before, err := r.Find("shop")
	r.must(err)
	r.must(r.Reset("shop"))
	for {
		r.mu.Lock()
		all := strings.Join(r.notes, "\n")
		r.mu.Unlock()
		if strings.Contains(all, "could not be restarted") {
			t.Fatal(all)
		}
		if in, err := r.Find("shop"); err == nil && in.ID != before.ID {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// A disk has the name that is shown.
func TestDetachByShownName(t *testing.T) {
	r := withRaw(t)
	r.must(r.DetachDisk("web", "nvme0n1", true))
}

// A guest that restarts has not given back what it was asked for.
func TestDetachAcrossRestart(t *testing.T) {
	r := withDisks(t)
	r.Patience = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	asked := make(chan bool, 100)
	r.dev.ack = func() bool { asked <- true; return false }
	end := make(chan error)
	go func() { end <- r.DetachDisk("web", "8", false) }()
	<-asked
	r.must(r.Reset("web"))
	r.fails(<-end, "has ended before it gave back boot:a.img")
}
