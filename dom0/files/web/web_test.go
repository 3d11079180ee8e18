// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server gives content, counts the requests, and may do harm to an answer.
type server struct {
	*httptest.Server
	content []byte
	asked   atomic.Int32
	harm    func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newServer(t *testing.T, size int) *server {
	s := &server{content: make([]byte, size)}
	rand.NewChaCha8([32]byte{5}).Read(s.content)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if s.harm == nil || !s.harm(w, r) {
			http.ServeContent(w, r, "kernel", time.Unix(1e9, 0), bytes.NewReader(s.content))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) open(t *testing.T) *File {
	t.Helper()
	f, err := Open(s.Client(), s.URL+"/kernel")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestReadAt reads ranges of all kinds; what is read in order is asked for once.
func TestReadAt(t *testing.T) {
	for _, size := range []int{0, 1, 1000, headSize, headSize + 1, 3 << 20} {
		s := newServer(t, size)
		f := s.open(t)
		if f.Size() != int64(size) {
			t.Errorf("size %d, want %d", f.Size(), size)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 60 {
			off, n := rng.IntN(size+10), rng.IntN(100_000)
			b := make([]byte, n)
			got, err := f.ReadAt(b, int64(off))
			want := s.content[min(off, size):min(off+n, size)]
			if got != len(want) || !bytes.Equal(b[:got], want) || (got < n) != (err == io.EOF) {
				t.Fatalf("%d bytes at %d of %d: %d, %v", n, off, size, got, err)
			}
		}
	}
	s := newServer(t, 5<<20)
	f := s.open(t)
	for range 5 { // its beginning, as those do who want to know what it is
		if _, err := f.ReadAt(make([]byte, headSize), 0); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || !bytes.Equal(b, s.content) || s.asked.Load() != 1 {
		t.Errorf("%v, %d requests", err, s.asked.Load())
	}
}

// TestBroken reads over connections that break.
func TestBroken(t *testing.T) {
	s := newServer(t, 2<<20)
	f := s.open(t)
	s.harm = func(w http.ResponseWriter, r *http.Request) bool {
		if s.asked.Load()%2 == 0 { // half of a megabyte, and the end
			s.harmless(w, r, 512<<10)
			return true
		}
		return false
	}
	f.close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || !bytes.Equal(b, s.content) || s.asked.Load() < 3 {
		t.Errorf("%v, %d requests", err, s.asked.Load())
	}
	s.harm = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	if _, err := f.ReadAt(b[:10], 1<<20); err == nil || !strings.HasPrefix(err.Error(), "the connection to its server breaks: cannot be fetched: ") {
		t.Error(err)
	}
}

// harmless sends the beginning of an answer and closes the connection.
func (s *server) harmless(w http.ResponseWriter, r *http.Request, n int) {
	rec := httptest.NewRecorder()
	http.ServeContent(rec, r, "kernel", time.Unix(1e9, 0), bytes.NewReader(s.content))
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()[:min(n, rec.Body.Len())])
	panic(http.ErrAbortHandler)
}

// TestAnswers are what servers say that have not, or not any more, what is asked for.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(w http.ResponseWriter, r *http.Request) bool
		want string
	}{
		"none":    {func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, "is not on its server"},
		"refused": {func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(403); return true }, "is refused by its server: 403 Forbidden"},
		"no size": {func(w http.ResponseWriter, r *http.Request) bool {
			w.(http.Flusher).Flush()
			return true
		}, "has no size: its server does not say how long it is"},
	} {
		s := newServer(t, 100)
		s.harm = c.harm
		if _, err := Open(s.Client(), s.URL); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		harm func(s *server) func(w http.ResponseWriter, r *http.Request) bool
		want error
	}{
		"no ranges": {func(s *server) func(w http.ResponseWriter, r *http.Request) bool {
			return func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return false }
		}, errRanges},
		"another range": {func(s *server) func(w http.ResponseWriter, r *http.Request) bool {
			return func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Set("Range", "bytes=5-"); return false }
		}, errRanges},
		"changed": {func(s *server) func(w http.ResponseWriter, r *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.ServeContent(w, r, "kernel", time.Unix(2e9, 0), bytes.NewReader(s.content))
				return true
			}
		}, errChanged},
		"shorter": {func(s *server) func(w http.ResponseWriter, r *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.ServeContent(w, r, "kernel", time.Unix(1e9, 0), bytes.NewReader(s.content[:100]))
				return true
			}
		}, errChanged},
	} {
		s := newServer(t, 2<<20)
		f := s.open(t)
		s.harm = c.harm(s)
		if _, err := f.ReadAt(make([]byte, 10), 1<<20); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
