// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package names

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

var web1 = netip.MustParseAddr("10.77.0.26")

func newServer(ask func(b []byte) ([]byte, error)) *Server {
	return New(Config{
		Domain: "ringo", Inside: netip.MustParsePrefix("10.77.0.0/24"),
		Lookup: func(h string) (netip.Addr, bool) { return web1, h == "web1" },
		Host:   func(a netip.Addr) (string, bool) { return "web1", a == web1 },
		Ask:    func(_ context.Context, b []byte, _ bool) ([]byte, error) { return ask(b) },
	})
}

func ask(name string, kind dnsmessage.Type) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 77, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, _ := m.Pack()
	return b
}

// TestLocal has names of each kind. What is not answered here is "elsewhere".
func TestLocal(t *testing.T) {
	s := newServer(nil)
	for name, want := range map[string]string{
		"web1.":                      "10.77.0.26",
		"WEB1.Ringo.":                "10.77.0.26",
		"web1. AAAA":                 "RCodeSuccess",
		"web2.":                      "RCodeNameError",
		"web2.ringo.":                "RCodeNameError",
		"a.web1.ringo.":              "RCodeNameError",
		"web2.ringo. MX":             "RCodeNameError",
		"ringo.":                     "RCodeSuccess",
		"com. NS":                    "elsewhere",
		". NS":                       "elsewhere",
		"web1.example.com.":          "elsewhere",
		"26.0.77.10.in-addr.arpa. P": "web1.ringo.",
		"26.0.77.10.in-addr.arpa.":   "RCodeSuccess",
		"27.0.77.10.in-addr.arpa. P": "RCodeNameError",
		"1.1.1.1.in-addr.arpa. P":    "elsewhere",
		"1.1.1.in-addr.arpa. P":      "elsewhere",
	} {
		kind, host := dnsmessage.TypeA, name
		for suffix, k := range map[string]dnsmessage.Type{" AAAA": dnsmessage.TypeAAAA, " MX": dnsmessage.TypeMX, " NS": dnsmessage.TypeNS, " P": dnsmessage.TypePTR} {
			if n := len(name) - len(suffix); n > 0 && name[n:] == suffix {
				kind, host = k, name[:n]
			}
		}
		got := "elsewhere"
		if b, done := s.Local(ask(host, kind)); done {
			got = text(t, b)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// text is what an answer says.
func text(t *testing.T, b []byte) string {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || !m.Response || m.ID != 77 || len(m.Questions) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if len(m.Answers) == 0 {
		return m.RCode.String()
	}
	switch r := m.Answers[0].Body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.PTRResource:
		return r.PTR.String()
	}
	return "?"
}

// TestNoQueries: messages that are none have no answer, others of those one that says so.
func TestNoQueries(t *testing.T) {
	s := newServer(nil)
	good := ask("web1.", dnsmessage.TypeA)
	answer, _ := s.Local(good)
	two := append([]byte(nil), good...)
	two[5] = 2
	two = append(two, good[12:]...)
	for name, b := range map[string][]byte{"nothing": nil, "cut": good[:14], "an answer": answer, "two": two, "no question": good[:12]} {
		if got, done := s.Local(b); got != nil || !done {
			t.Errorf("%s: %x", name, got)
		}
	}
	other := append([]byte(nil), good...)
	other[2] |= 2 << 3 // a status
	if b, _ := s.Local(other); text(t, b) != "RCodeNotImplemented" {
		t.Errorf("%x", b)
	}
}

// TestForward: an answer has to be one to the query.
func TestForward(t *testing.T) {
	reply := func(change func(m *dnsmessage.Message)) func(b []byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) {
			var m dnsmessage.Message
			if err := m.Unpack(b); err != nil {
				return nil, err
			}
			m.Response = true
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 9}}}}
			change(&m)
			return m.Pack()
		}
	}
	const failed = "RCodeServerFailure"
	for name, c := range map[string]struct {
		ask  func(b []byte) ([]byte, error)
		want string
	}{
		"nobody answers":   {func([]byte) ([]byte, error) { return nil, errors.New("x") }, failed},
		"nonsense":         {func([]byte) ([]byte, error) { return []byte("nonsense"), nil }, failed},
		"its own words":    {func(b []byte) ([]byte, error) { return b, nil }, failed},
		"another number":   {reply(func(m *dnsmessage.Message) { m.ID++ }), failed},
		"another question": {reply(func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("x.test.") }), failed},
		"an answer":        {reply(func(*dnsmessage.Message) {}), "192.0.2.9"},
	} {
		if got := text(t, newServer(c.ask).Forward(context.Background(), ask("example.com.", dnsmessage.TypeA), false)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestBounds: a guest has its share, and all guests what there is.
func TestBounds(t *testing.T) {
	s := newServer(nil)
	for i := range Most {
		if a := netip.AddrFrom4([4]byte{10, 77, 0, byte(i / Share)}); !s.Begin(a) {
			t.Fatal(i)
		}
		if i == Share-1 && s.Begin(netip.AddrFrom4([4]byte{10, 77, 0, 0})) {
			t.Error("a guest has more than its share")
		}
	}
	if s.Begin(web1) {
		t.Error("there are more than there may be")
	}
	for i := range Most {
		s.End(netip.AddrFrom4([4]byte{10, 77, 0, byte(i / Share)}))
	}
	if !s.Begin(web1) || len(s.asks) != 1 || s.total != 1 {
		t.Errorf("%v", s.asks)
	}
}
