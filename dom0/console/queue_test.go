// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lostError is what a stream says that has lost bytes.
type lostError struct {
	n    uint64
	line bool
}

func (e lostError) Error() string        { return "lost" }
func (e lostError) Lost() (uint64, bool) { return e.n, e.line }

// stream is a reader made of steps: bytes, losses, and waiting.
type stream chan any

func (s stream) Read(p []byte) (int, error) {
	x, ok := <-s
	switch x := x.(type) {
	case string:
		return copy(p, x), nil
	case lostError:
		return 0, x
	}
	if !ok {
		return 0, io.EOF
	}
	panic("bad step")
}

func newStream(steps ...any) stream {
	s := make(stream, len(steps))
	for _, x := range steps {
		s <- x
	}
	close(s)
	return s
}

// readAll reads lines to the end of the stream.
func readAll(t *testing.T, h *Host) (got []string) {
	t.Helper()
	for {
		l, err := h.ReadLine()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
}

// A script that is pasted while a verb runs arrives whole: the stream is read
// although nobody asks for lines.
func TestPasteWhileBusy(t *testing.T) {
	r, w := io.Pipe()
	h := New(r, new(screen), "# ")
	var want []string
	for i := range 4000 {
		want = append(want, fmt.Sprintf("create name=g%d kernel=boot:vmlinuz", i))
	}
	for _, l := range want { // blocks for ever where the stream waits for the reader
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if d := cmp.Diff(want, readAll(t, h)); d != "" {
		t.Error(d)
	}
}

// Where input is lost, nothing is run of the lines it belongs to, and the user is
// told.
func TestLostInput(t *testing.T) {
	const ignored = "; what follows up to Enter is ignored\r\n"
	for _, c := range []struct {
		name  string
		steps []any
		want  []string
		says  string
	}{
		{"in a line", []any{"list\ndestroy w", lostError{3, false}, "b2\ninfo\n"}, []string{"list", "info"},
			"error: 3 or more bytes of input were lost: the lines they belong to are not run" + ignored},
		{"to the end of a line", []any{"destroy w", lostError{9, true}, "info\n"}, []string{"info"}, "not run\r\n"},
		{"from the start of a line", []any{"list\n", lostError{9, false}, "stroy web\r\ninfo\r\n"}, []string{"list", "info"}, ignored},
		{"whole lines", []any{"list\n", lostError{9, true}, "info\n"}, []string{"list", "info"}, "not run\r\n"},
		{"twice", []any{"a", lostError{1, false}, "b", lostError{1, false}, "c\nlist\n"}, []string{"list"}, ignored},
		{"given up", []any{"a", lostError{1, false}, "b\x03list\n"}, []string{"list"}, ignored},
		{"in a sequence", []any{"a\x1b[", lostError{1, true}, "Alist\n"}, []string{"Alist"}, "not run\r\n"},
		{"all there", []any{"li", "st\n"}, []string{"list"}, "# "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := new(screen)
			got := readAll(t, New(newStream(c.steps...), s, "# "))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			s.wait(t, c.says)
		})
	}
}

// The queue has an end: what is behind it is lost as whole lines.
func TestQueueFull(t *testing.T) {
	const line = "create name=%06d kernel=boot:vmlinuz\n"
	n := len(fmt.Sprintf(line, 0))
	lines := 3 * maxQueue / n
	r, w := io.Pipe()
	s := new(screen)
	h := New(r, s, "# ")
	for i := range lines { // the last ones do not fit
		_, _ = fmt.Fprintf(w, line, i)
	}
	_, _ = io.WriteString(w, "list")
	for total := 0; total < lines*n+len("list"); time.Sleep(time.Millisecond) {
		h.in.mu.Lock()
		total = h.in.n + int(h.in.last().gap.n)
		h.in.mu.Unlock()
	}
	if h.in.fill(); len(h.in.rest) != maxQueue {
		t.Fatalf("%d bytes queued", len(h.in.rest))
	}
	_, _ = io.WriteString(w, "\ninfo\n")
	w.Close()
	got := readAll(t, h)
	if len(got) != maxQueue/n+1 || got[len(got)-1] != "info" {
		t.Fatalf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
	for i, l := range got[:len(got)-1] {
		if l+"\n" != fmt.Sprintf(line, i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	s.wait(t, "bytes of input were lost")
}

// A line that the editor cannot hold is not cut and run.
func TestLongLine(t *testing.T) {
	for _, c := range []struct {
		n    int
		want []string
	}{{maxLine, []string{strings.Repeat("x", maxLine), "list"}}, {maxLine + 1, []string{"list"}}, {maxLine + 900, []string{"list"}}} {
		s := new(screen)
		got := readAll(t, New(strings.NewReader(strings.Repeat("x", c.n)+"\nlist\n"), s, "# "))
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%d bytes: %s", c.n, d)
		}
		if len(c.want) == 1 {
			s.wait(t, "error: the line is longer than 4095 bytes: it is not run\r\n")
		}
	}
}

// What is lost while a guest is attached is said when it is left.
func TestLostToGuest(t *testing.T) {
	g, d := NewGuest(), newDevice(1000)
	g.Connect(d)
	s := new(screen)
	in := make(stream, 10)
	h := New(in, s, "# ")
	for _, x := range []any{"ab", lostError{5, false}, "cd\x1d", lostError{2, true}, "list\n"} {
		in <- x
	}
	h.Attach("web1", g, false, false)
	d.wait(t, "abcd")
	if l, err := h.ReadLine(); l != "list" || err != nil {
		t.Errorf("%q %v", l, err)
	}
	s.wait(t, "\a")
	s.wait(t, "error: 5 or more bytes typed for \"web1\" were lost\r\n")
	s.wait(t, "error: 2 or more bytes of input were lost: the lines they belong to are not run\r\n")
	close(in)
}
