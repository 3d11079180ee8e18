// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"strings"
	"testing"

	"ringo/drivers/block"
)

// A domain whose disk fails is paused, and says why, until it is told to go on; one whose
// configuration says nothing of it is not.
func TestDiskFails(t *testing.T) {
	r := withDisks(t)
	_, err := r.AttachDisk("web", "boot:b.img,readonly,on_error=stop")
	r.must(err)
	in, err := r.Find("web")
	r.must(err)
	if r.opened(in.Config, 8).Stops() {
		t.Error("the guest does not learn of errors of a disk without on_error")
	}
	x := r.opened(in.Config, 9)
	again := 0
	x.OnRetry(func() { again++ })
	for n := range 2 {
		x.Fail(block.ErrMedia)
		<-r.noted
		want := `domain "web" is paused: disk boot:b.img has failed: the medium cannot be read or written there (unpause web tries again; destroy, or block-detach -F web 9, gives it up)`
		if got := r.notes[len(r.notes)-1]; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		in, err = r.Find("web")
		r.must(err)
		if !in.Is(Paused) || in.Why != "disk boot:b.img has failed: the medium cannot be read or written there" {
			t.Errorf("%v: %q", in.Conditions, in.Why)
		}
		r.must(r.Unpause("web"))
		if in, err = r.Find("web"); err != nil || in.Is(Paused) || in.Why != "" || again != n+1 || x.Failure() != nil {
			t.Errorf("%v %v: %q, %d tries", err, in.Conditions, in.Why, again)
		}
	}
	r.must(r.Unpause("web")) // nothing is to be tried
	x.Fail(block.ErrGone)
	<-r.noted
	r.must(r.DetachDisk("web", "9", true))
	if in, err = r.Find("web"); err != nil || !in.Is(Paused) || in.Why != "" || again != 2 {
		t.Errorf("%v %v: %q, %d tries", err, in.Conditions, in.Why, again)
	}
	x.Fail(block.ErrGone) // of a disk that it has no more
	r.must(r.Destroy("web"))
	x.Fail(block.ErrGone)
	if got := strings.Join(r.notes, "\n"); strings.Count(got, "is paused") != 3 {
		t.Error(got)
	}
}
