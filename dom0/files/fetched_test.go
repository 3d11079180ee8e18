// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/problem"
)

// ended waits until a transfer has ended.
func ended(t *testing.T, k *Fetched, name string) Transfer {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, x := range k.Transfers() {
			if x.Name == "net:"+name && x.Ended {
				return x
			}
		}
	}
	t.Fatalf("%s does not end", name)
	return Transfer{}
}

func served(b []byte, size int64) func() (Content, error) {
	return func() (Content, error) {
		return Content{io.NopCloser(iotest.HalfReader(bytes.NewReader(b))), size}, nil
	}
}

// TestFetched keeps files of several sizes, reads them at random, and forgets them: all
// memory is given back.
func TestFetched(t *testing.T) {
	budget := account.New(64 << 20)
	k := NewFetched(budget.Account("a fetched file"))
	f := New(Options{Fetched: k})
	nothing := func() {}
	rnd := rand.New(rand.NewChaCha8([32]byte{1}))
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 5*blockSize + 12345} {
		b := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{2}).Read(b)
		for _, said := range []int64{int64(size), -1} {
			if err := k.Fetch("x", "http://h/x", served(b, said), nothing); err != nil {
				t.Fatal(err)
			}
			x := ended(t, k, "x")
			if want := fmt.Sprintf("%x", sha256.Sum256(b)); x.Err != nil || x.Done != int64(size) || x.SHA256 != want {
				t.Fatalf("%+v, want %d bytes, %s", x, size, want)
			}
			s, err := f.Open("net:x")
			if err != nil || s.Size != int64(size) || s.Name != "net:x" {
				t.Fatalf("%+v, %v", s, err)
			}
			for range 100 {
				off, n := rnd.IntN(size+1), rnd.IntN(3*blockSize)
				p := make([]byte, n)
				got, err := s.R.ReadAt(p, int64(off))
				want := b[off:min(off+n, size)]
				if !bytes.Equal(p[:got], want) || (err == io.EOF) != (len(want) < n) {
					t.Fatalf("%d bytes at %d: %d, %v", n, off, got, err)
				}
			}
			if use, _ := budget.Use(); use[0].Bytes < uint64(size/blockSize+1)*blockSize {
				t.Errorf("%d bytes, size said %d: %d are reserved", size, said, use[0].Bytes)
			}
			if list, err := f.List(""); err != nil || len(list) != 1 || list[0].Note != "from http://h/x" || list[0].Size != int64(size) {
				t.Errorf("%+v, %v", list, err)
			}
			if err := k.Fetch("x", "http://h/y", served(b, said), nothing); kind(err) != problem.Exists {
				t.Errorf("%v", err)
			}
			if err := k.Forget("net:x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if use, _ := budget.Use(); use[0].Bytes != 0 {
		t.Errorf("%d bytes are still reserved", use[0].Bytes)
	}
}

// TestFetchedFails: what does not come, comes in part, does not fit, or is given up.
func TestFetchedFails(t *testing.T) {
	budget := account.New(16 << 20)
	k := NewFetched(budget.Account("a fetched file"))
	nothing := func() {}
	big := make([]byte, 20<<20)
	for name, c := range map[string]struct {
		open func() (Content, error)
		want string
	}{
		"refused": {func() (Content, error) { return Content{}, errors.New("the server says 404 Not Found") }, "the server says 404 Not Found"},
		"short":   {served(big[:1000], 2000), "the connection ended after 1000 of 2000 bytes"},
		"broken": {func() (Content, error) {
			return Content{io.NopCloser(iotest.ErrReader(errors.New("it is gone"))), 5}, nil
		}, "it is gone"},
		"large": {served(big, int64(len(big))), "memory is not enough: a fetched file takes 22"},
	} {
		if err := k.Fetch(name, "http://h/"+name, c.open, nothing); err != nil {
			t.Fatal(err)
		}
		if x := ended(t, k, name); x.Err == nil || !strings.Contains(x.Err.Error(), c.want) || x.SHA256 != "" {
			t.Errorf("%s: %+v", name, x)
		}
		if _, err := New(Options{Fetched: k}).Open("net:" + name); err == nil {
			t.Errorf("%s can be opened", name)
		}
	}
	if use, _ := budget.Use(); use[0].Bytes != 0 {
		t.Errorf("%d bytes are still reserved", use[0].Bytes)
	}
	// A failed one may be fetched again; one under way is given up.
	r, w := io.Pipe()
	stop := func() { w.CloseWithError(errors.New("stopped")) }
	if err := k.Fetch("short", "http://h/s", func() (Content, error) { return Content{r, -1}, nil }, stop); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, 5000))
	if err := k.Forget("short"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if use, _ := budget.Use(); use[0].Bytes == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what was given up still has memory")
		}
	}
	for _, name := range []string{"", ".x", "-x", "a/b", "a b", "ü", strings.Repeat("x", 101)} {
		if err := k.Fetch(name, "", served(nil, 0), nothing); kind(err) != problem.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := k.Forget("nobody"); kind(err) != problem.NotFound {
		t.Error(err)
	}
}

// kind is that of an error.
func kind(err error) problem.Kind {
	var e *problem.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}
