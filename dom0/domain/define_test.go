// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"strings"
	"testing"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/store"
	"ringo/hv/abi"
)

func (r *rig) fails(err error, want string) {
	r.t.Helper()
	if err == nil || !strings.Contains(Problem(err).Error(), want) {
		r.t.Errorf("got %v, want %s", err, want)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestDefine(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	bad := r.cfg("bad", 16)
	bad.Boot.Kernel = "boot:nothing"
	_, err := r.Define(bad)
	r.fails(err, `no file "boot:nothing"`)
	again, err := r.Define(r.cfg("web", 16))
	if r.must(err); again {
		t.Error("web was defined before")
	}
	first, err := r.Definition("web")
	r.must(err)
	_, err = r.Create(r.cfg("web", 16), true)
	r.fails(err, `domain "web" is defined: start web makes it, undefine web forgets it`)
	r.fails(r.Check(r.cfg("web", 16)), "is defined")
	r.fails(r.Pause("web"), `domain "web" is off: start web starts it`)

	id, err := r.Start("web", true)
	r.must(err)
	in, _ := r.Find("web")
	if in.ID != id || in.UUID != first.Config.UUID {
		t.Errorf("started %d %s, defined as %s", in.ID, in.UUID, first.Config.UUID)
	}
	_, err = r.Start("web", true)
	r.fails(err, `domain "web" is there already (id 1)`)
	// A definition of the same name is the same domain, and counts at its next start.
	again, err = r.Define(r.cfg("web", 32))
	if d, _ := r.Definition("web"); !again || err != nil || d.Config.UUID != first.Config.UUID {
		t.Errorf("%v %v %+v", again, err, d)
	}
	r.must(r.Destroy("web"))
	r.wantClean(free)
	_, err = r.Start("web", true)
	if r.must(err); free-r.Free() < 32<<20-1<<20 { // holes of a PC's memory
		t.Errorf("%d bytes are used", free-r.Free())
	}
	r.must(r.Undefine("web"))
	if _, err := r.Find("web"); err != nil {
		t.Errorf("undefine ended it: %v", err)
	}
	r.fails(r.Undefine("web"), `domain "web" is not defined`)
	r.must(r.Destroy("web"))
	_, err = r.Start("web", true)
	r.fails(err, `domain "web" does not exist`)
	r.wantClean(free)
}

// A domain that exists can be defined: it is its UUID then that counts.
func TestDefineWhatExists(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"a", "b"} {
		_, err := r.Create(r.cfg(n, 16), true)
		r.must(err)
	}
	_, err := r.Define(r.cfg("a", 16))
	r.must(err)
	a, _ := r.Find("a")
	if d, err := r.Definition("a"); err != nil || d.Config.UUID != a.UUID {
		t.Errorf("%+v %v", d, err)
	}
	_, err = r.Definition("b")
	r.fails(err, `domain "b" is not defined: define keeps`)
	for _, name := range []string{"c", "b"} { // b has another one
		c := r.cfg(name, 16)
		c.UUID = a.UUID
		_, err = r.Define(c)
		r.fails(err, `uuid: domain "a" has it`)
	}
	_, err = r.Define(r.cfg("Domain-0", 16))
	if err == nil {
		t.Error("dom0's name is taken")
	}
}

func TestRenameDefinition(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"off", "on", "other"} {
		_, err := r.Define(r.cfg(n, 16))
		r.must(err)
	}
	_, err := r.Start("on", true)
	r.must(err)
	r.fails(r.Rename("on", "other"), `domain "other" is defined`)
	r.fails(r.Rename("off", "on"), `domain "on" is defined`)
	r.must(r.Rename("off", "off2"))
	r.must(r.Rename("1", "on2"))
	all, err := r.Definitions()
	if err != nil || len(all) != 3 || all[0].Config.Name != "off2" || all[1].Config.Name != "on2" {
		t.Errorf("%+v %v", all, err)
	}
	// What is kept of a domain that was replaced takes nobody's name.
	if name, err := r.spare("on2"); err != nil || name != "on2-1" {
		t.Error(name, err)
	}
	_, err = r.Define(r.cfg("on2-1", 16))
	r.must(err)
	if name, err := r.spare("on2"); err != nil || name != "on2-2" {
		t.Error(name, err)
	}
}

// A defined domain that restarts under another one's name still is what is defined.
func TestRenameRestartDefined(t *testing.T) {
	r := newRig(t)
	c := r.cfg("web", 16)
	c.OnCrash = config.RenameRestart
	_, err := r.Define(c)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	id, err := r.Start("web", false)
	r.must(err)
	r.Update(id, func(d *abi.DomainInfo) { d.State |= abi.StateCrashed })
	r.StateChanged()
	<-r.noted
	for in, err := r.Find("web"); err != nil || in.ID == id; in, err = r.Find("web") {
	}
	if d, err := r.Definition("web"); err != nil || d == nil {
		t.Errorf("%v", err)
	}
}

func TestAutostart(t *testing.T) {
	r := newRig(t)
	r.Files = configs{r.Files, map[string]string{
		"boot:a.toml":   "memory = 16\n[boot]\nkernel = \"boot:vmlinuz\"\n",
		"boot:big.toml": "memory = \"1GiB\"\n[boot]\nkernel = \"boot:vmlinuz\"\n",
		"boot:bad.toml": "memroy = 1\n",
	}}
	_, err := r.Define(r.cfg("not", 16))
	r.must(err)
	r.Autostart([]string{"a.toml", "boot:big.toml", "bad.toml", "none"})
	want := []string{
		`error: autostart of bad.toml: bad.toml:1: unknown key "memroy" (did you mean "memory"?)`,
		`error: autostart of none: no file "none": the command files lists what there is`,
		`started "a" (id 1): autostart`,
		`error: autostart of big: not enough memory`,
	}
	for i, w := range want {
		if i >= len(r.notes) || !strings.HasPrefix(r.notes[i], w) {
			t.Errorf("notes %q, want %q", r.notes, w)
		}
	}
	lasting, err := r.SetAutostart("a", false)
	if err != nil || lasting {
		t.Error("memory that lasts", err)
	}
	r.must(r.Destroy("a"))
	r.Autostart(nil)
	if _, err := r.Find("a"); err == nil {
		t.Error("a started although autostart is off")
	}
	r.Autostart([]string{"a.toml"}) // it is known: the definition is the user's
	if _, err := r.Find("a"); err == nil {
		t.Error("a file took the place of a definition")
	}
}

// Definitions that do not fit are refused, and named.
func TestDefinitionsFull(t *testing.T) {
	r := newRig(t)
	r.Store = store.NewMemory(account.New(8 << 10).Account("a definition"))
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		_, err = r.Define(r.cfg("g-"+strings.Repeat("x", n), 16))
	}
	r.fails(err, "a definition takes")
	if n < 3 || n == 100 {
		t.Errorf("%d fit", n)
	}
}

// A domain that exists keeps its size, and it is said why; a definition is changed.
func TestResize(t *testing.T) {
	r := newRig(t)
	_, err := r.Define(r.cfg("web", 16))
	r.must(err)
	r.must(r.Resize("web", "vcpus", "3"))
	r.must(r.Resize("web", "memory", "32MiB"))
	if d, _ := r.Definition("web"); d.Config.VCPUs != 3 || d.Config.Memory.Bytes != 32<<20 {
		t.Errorf("%+v", d.Config)
	}
	r.fails(r.Resize("web", "vcpus", "many"), `vcpus: "many" is not a whole number`)
	r.fails(r.Resize("wbe", "vcpus", "1"), `did you mean "web"?`)
	_, err = r.Start("web", true)
	r.must(err)
	r.fails(r.Resize("web", "vcpus", "1"), `domain "web" was made without max_vcpus: its vCPUs stay: edit web max_vcpus=3 counts from its next start on`)
	r.fails(r.Resize("web", "memory", "64"), `edit web memory=64 for its next start`)
	r.fails(r.Resize("0", "memory", "64"), `"Domain-0" keeps`)
}
