// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/console/vt"
)

// screen is the far end of the stream.
type screen struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen int // what wait has consumed
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// wait waits until want appears behind what was waited for before.
func (s *screen) wait(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		all := s.String()
		if i := strings.Index(all[s.seen:], want); i >= 0 {
			s.seen += i + len(want)
			return
		}
	}
	t.Fatalf("no %q in %q", want, s.String()[s.seen:])
}

// device is a guest's input with little room.
type device struct {
	mu   sync.Mutex
	got  []byte
	free int
	room chan struct{}
}

func newDevice(free int) *device { return &device{free: free, room: make(chan struct{}, 1)} }

func (d *device) Input(p []byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.free)
	d.got = append(d.got, p[:n]...)
	d.free -= n
	return n
}

func (d *device) Room() <-chan struct{} { return d.room }

func (d *device) more(n int) {
	d.mu.Lock()
	d.free += n
	d.mu.Unlock()
	select {
	case d.room <- struct{}{}:
	default:
	}
}

func (d *device) wait(t *testing.T, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d.mu.Lock()
		got = string(d.got)
		d.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Fatalf("the guest got %q, want %q", got, want)
}

// lines feeds typed bytes, in the given chunks, and returns the lines read.
func lines(t *testing.T, chunks ...string) []string {
	t.Helper()
	r, w := io.Pipe()
	h := New(r, new(screen), "# ")
	go func() {
		for _, c := range chunks {
			_, _ = io.WriteString(w, c)
		}
		w.Close()
	}()
	var got []string
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

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"LF", []string{"list\ninfo\n"}, []string{"list", "info"}},
		{"CR", []string{"list\rinfo\r"}, []string{"list", "info"}},
		{"CRLF", []string{"list\r\ninfo\r\n"}, []string{"list", "info"}},
		{"CRLF split", []string{"list\r", "\ninfo\r", "\n"}, []string{"list", "info"}},
		{"empty lines", []string{"\n\nlist\n"}, []string{"", "", "list"}},
		{"byte by byte", strings.Split("a b=\"c\"\nq\n", ""), []string{`a b="c"`, "q"}},
		{"no end", []string{"list\npart"}, []string{"list"}},
		{"backspace", []string{"lixx\x7f\x7fst\n"}, []string{"list"}},
		{"Ctrl-C drops the line", []string{"destroy web1\x03list\n"}, []string{"", "list"}},
		{"Ctrl-D is ignored", []string{"\x04li\x04st\n\x04"}, []string{"list"}},
		{"history", []string{"list\nlist\n\ninfo\n\x1b[A\x1b[A\n\x1bOA\n"}, []string{"list", "list", "", "info", "list", "list"}},
		{"cursor", []string{"ist\x1b[H", "l\x1b[4~ -v\n", "ist\x01l\n"}, []string{"list -v", "list"}},
		{"split sequence", []string{"info\n", "\x1b", "[", "A", "\n"}, []string{"info", "info"}},
		{"unknown sequences", []string{"\x1b[200~li\x1b[5~s\x1b[99;99;99;99ut\n"}, []string{"list"}},
		{"answers", []string{"li\x1b[?62;1;6c\x1b[>1;10;0c\x1bP>|term(1)\x1b\\\x1b[12;40R\x1b[0n\x1b[?25;2$y\x1b]11;rgb:0/0/0\x07\x1b_Gx;OK\x1b\\st\n"}, []string{"list"}},
		{"mouse and focus", []string{"li\x1b[M !\r\x1b[<0;5;5M\x1b[I\x1b[O\x1b[27;5;9~\x1b[57;5ust\n"}, []string{"list"}},
		{"a command in an answer", []string{"\x1bP1$rdestroy web1\r\n\x1b\\\x1b]ldestroy web1\r\n\x1b\\list\n"}, []string{"list"}},
		{"lone escape", []string{"\x1b\nlist\n\x1b\x1b[A\n"}, []string{"", "list", "list"}},
		{"not ASCII", []string{"l\xffi\x80st\xc3\n"}, []string{"list"}},
		{"long", []string{strings.Repeat("x", 1000) + "\nlist\n"}, []string{strings.Repeat("x", 1000), "list"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, lines(t, c.chunks...)); d != "" {
				t.Error(d)
			}
		})
	}
}

// rig is a host console with a guest.
type rig struct {
	*Host
	s    *screen
	keys *io.PipeWriter
	line chan string
}

// newRig runs a prompt whose command "console" attaches g.
func newRig(t *testing.T, g *Guest) *rig {
	pr, pw := io.Pipe()
	r := &rig{s: new(screen), keys: pw, line: make(chan string, 100)}
	r.Host = New(pr, r.s, "ringo# ")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			l, err := r.ReadLine()
			if err != nil {
				return
			}
			if l == "console" || l == "console -r" || l == "console -f" {
				r.Attach("web1", g, strings.HasSuffix(l, "-r"), strings.HasSuffix(l, "-f"))
			} else {
				r.line <- l
			}
		}
	}()
	t.Cleanup(func() { pw.Close(); <-done })
	return r
}

func (r *rig) typed(s string) { _, _ = io.WriteString(r.keys, s) }

func put(g *Guest, s string) {
	for _, b := range []byte(s) {
		g.Put(b)
	}
}

// All at once, as a script writes it: what follows the command goes to the
// guest, byte for byte, and what follows Ctrl-] to the prompt again.
func TestAttach(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		g, d := NewGuest(), newDevice(1000)
		g.Connect(d)
		put(g, "login: ")
		r := newRig(t, g)
		r.typed("console" + end + "root\n\r\n\x03\x04\x1b[A\xff\x00" + "\x1dlist" + end)
		if l := <-r.line; l != "list" {
			t.Errorf("line %q", l)
		}
		d.wait(t, "root\n\r\n\x03\x04\x1b[A\xff\x00")
		r.s.wait(t, "connected to \"web1\", leave with Ctrl-]\r\nlogin: ")
		r.s.wait(t, vt.SoftReset+"\r\nringo# list\r\n")
	}
}

// What a guest writes reaches the terminal, filtered, while attached, and not at
// all otherwise; notices wait.
func TestIsolation(t *testing.T) {
	g := NewGuest()
	g.Connect(newDevice(1000))
	r := newRig(t, g)
	r.s.wait(t, "ringo# ")
	const evil = "\x1b]0;owned\x07\x1b[2J\xff\x00"
	const tame = "\x1b[2J?"
	put(g, evil)
	r.Notify("domain \"x\" crashed: \x1b[2J\x9b\xff\u202e")
	r.s.wait(t, "domain \"x\" crashed: ?[2J???\r\nringo# ")
	if strings.Contains(r.s.String(), "owned") {
		t.Fatal("a guest wrote to the terminal")
	}
	r.typed("console\n")
	r.s.wait(t, "Ctrl-]\r\n"+tame)
	r.Notify("held back")
	put(g, "more")
	r.s.wait(t, "more")
	r.typed("\x1d")
	r.s.wait(t, vt.MovedReset+"\r\nheld back\r\nringo# ")
	put(g, "unseen")
	r.typed("x\n")
	<-r.line
	if strings.Contains(r.s.String(), "unseen") {
		t.Error("a guest wrote to the terminal")
	}
}

func TestGuestGoes(t *testing.T) {
	g := NewGuest()
	g.Connect(newDevice(0))
	r := newRig(t, g)
	r.typed("console\n")
	r.s.wait(t, "Ctrl-]\r\n")
	put(g, "last words")
	g.Close()
	g.Close()
	r.s.wait(t, "last words"+vt.SoftReset+"\r\nthe console of \"web1\" is closed\r\nringo# ")
}

// A guest that restarts keeps its console; typed bytes go to the new device, even
// if the old one never had room.
func TestRestart(t *testing.T) {
	g := NewGuest()
	g.Connect(newDevice(0))
	if g.Send([]byte("lost")) != 4 {
		t.Error("refused")
	}
	d := newDevice(2)
	g.Connect(d)
	g.Send([]byte("kept"))
	d.wait(t, "ke")
	d.more(10)
	d.wait(t, "kept")
	g.Send([]byte("!"))
	d.wait(t, "kept!")
	g.Close()
}

func TestGuestDoesNotRead(t *testing.T) {
	g := NewGuest()
	g.Connect(newDevice(10))
	if g.Send(make([]byte, maxPending)) != maxPending || g.Send(make([]byte, 100)) != 10 {
		t.Error("the bound of pending input")
	}
	r := newRig(t, g)
	r.typed("console\nx")
	r.s.wait(t, "\a")
	r.typed("\x1d")
	r.s.wait(t, "error: 1 or more bytes typed for \"web1\" were lost\r\nringo# ")
	g.Close()
}

func TestComplete(t *testing.T) {
	words := []string{"console", "create", "destroy", "name="}
	c := func(line string) (int, []string) {
		from := strings.LastIndexByte(line, ' ') + 1
		var list []string
		for _, w := range words {
			if strings.HasPrefix(w, line[from:]) {
				list = append(list, w)
			}
		}
		return from, list
	}
	for _, x := range []struct {
		in, out string
		list    []string
	}{
		{"d", "destroy ", nil}, {"c", "c", []string{"console", "create"}}, {"xl co", "xl console ", nil},
		{"n", "name=", nil}, {"zz", "zz", nil}, {"", "", words},
	} {
		out, list := complete(c, x.in)
		if d := cmp.Diff(x.list, list); out != x.out || d != "" {
			t.Errorf("%q: %q %s", x.in, out, d)
		}
	}
	r := newRig(t, NewGuest())
	r.SetComplete(c)
	r.typed("c\to\t x\n")
	if l := <-r.line; l != "console  x" {
		t.Errorf("line %q", l)
	}
	r.s.wait(t, "console  create\r\n")
}
