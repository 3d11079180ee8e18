// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package account

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func must(t *testing.T, a *Account, n uint64) func() {
	t.Helper()
	release, err := a.Reserve(n)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestRefusals(t *testing.T) {
	b := New(60 << 20) // 48.5 MiB to reserve
	guests, kernels := b.Account("a guest"), b.Account("unpacking")
	if b.Account("unpacking") != kernels {
		t.Error("two accounts of one name")
	}
	release := must(t, guests, 1<<20)
	for _, c := range []struct {
		n    uint64
		want string
	}{
		{47<<20 + 512<<10, ""},
		{47<<20 + 512<<10 + 1, "dom0's memory is not enough: unpacking takes 48641 KiB, 48640 KiB are free: destroy a guest, or boot with a dom0_mem= larger by 1 MiB on the hypervisor's command line"},
		{128 << 20, "dom0's memory is not enough: unpacking takes 131072 KiB, 48640 KiB are free: destroy a guest, or boot with a dom0_mem= larger by 93 MiB on the hypervisor's command line"},
		{1<<64 - 1, "too much to print"},
	} {
		err := kernels.Check(c.n)
		if (err == nil) != (c.want == "") {
			t.Errorf("%d: %v", c.n, err)
		}
		if err != nil && c.n < 1<<40 && err.Error() != c.want {
			t.Errorf("%d: %v, want %s", c.n, err, c.want)
		}
		release, err2 := kernels.Reserve(c.n)
		if (err == nil) != (err2 == nil) {
			t.Errorf("%d: Check says %v, Reserve %v", c.n, err, err2)
		}
		if err2 == nil {
			release()
		}
	}
	must(t, kernels, 47<<20+512<<10)
	// 47 MiB are reserved, nothing is free.
	want := []Use{{"a guest", 1 << 20, 1 << 20}, {"unpacking", 47<<20 + 512<<10, 47<<20 + 512<<10}}
	if got, limit := b.Use(); cmp.Diff(want, got) != "" || limit != 48<<20+512<<10 {
		t.Errorf("%v of %d", got, limit)
	}
	if _, err := guests.Reserve(1); err == nil {
		t.Error("more than there is")
	}
	release()
	release()
	must(t, guests, 1<<20)
	if _, err := guests.Reserve(1); err == nil {
		t.Error("a second release gave something back")
	}
	if err := New(1 << 20).Account("x").Check(1 << 20); err == nil || err.Error() !=
		"dom0's memory is not enough: x takes 1024 KiB, 640 KiB are free: boot with a dom0_mem= larger by 1 MiB on the hypervisor's command line" {
		t.Error(err)
	}
}

func TestNil(t *testing.T) {
	var b *Budget
	must(t, b.Account("x"), 1<<60)()
	if all, limit := b.Use(); all != nil || limit != 0 || b.Account("x").Check(1<<63) != nil {
		t.Error("a nil budget refuses")
	}
}

// Whatever the order, the sum never passes the limit, and all comes back.
func TestConcurrent(t *testing.T) {
	b := New(6400)
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r, a := rand.New(rand.NewPCG(g, 0)), b.Account(string(rune('a'+g%3)))
			var held []func()
			for range 2000 {
				if release, err := a.Reserve(uint64(r.IntN(1000))); err == nil {
					held = append(held, release)
				}
				all, limit := b.Use()
				sum := uint64(0)
				for _, u := range all {
					sum += u.Bytes
				}
				if sum > limit {
					t.Errorf("%d of %d", sum, limit)
				}
				if len(held) > r.IntN(4) {
					held[0]()
					held = held[1:]
				}
			}
			for _, release := range held {
				release()
			}
		})
	}
	wg.Wait()
	all, _ := b.Use()
	for _, u := range all {
		if u.Bytes != 0 {
			t.Errorf("%d bytes remain in %q", u.Bytes, u.Name)
		}
	}
}

// Who needs what others of the same account will give back waits; who needs more
// than that is refused at once.
func TestReserveNext(t *testing.T) {
	b := New(60 << 20) // 48.5 MiB to reserve
	guests, kernels := b.Account("a guest"), b.Account("unpacking")
	releaseGuest := must(t, guests, 10<<20)
	first, err := kernels.ReserveNext(30 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kernels.ReserveNext(39 << 20); err == nil {
		t.Error("what guests hold is waited for")
	}
	got := make(chan error)
	for _, n := range []uint64{20 << 20, 20 << 20, 20 << 20, 38 << 20} { // one after the other
		go func() {
			release, err := kernels.ReserveNext(n)
			if err == nil {
				release()
			}
			got <- err
		}()
	}
	select {
	case err := <-got:
		t.Fatalf("more than there is: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	first()
	for range 4 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	releaseGuest()
	if all, _ := b.Use(); all[0].Bytes != 0 || all[1].Bytes != 0 {
		t.Errorf("left: %+v", all)
	}
}
