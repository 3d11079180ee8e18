// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package names answers DNS queries of guests (RFC 1035) without a socket: messages in,
// messages out. It knows the domains of this machine as NAME and NAME.DOMAIN, and has
// everything else asked elsewhere. It keeps no answers, so that what one guest provokes
// is nothing to another one.
//
// # Threats
//
//	guest does                            the server does
//	------------------------------------  ---------------------------------------
//	sends no query, or several in one     no answer, or "not implemented"
//	asks without end                      of a guest [Share] queries are under way at
//	                                      a time, of all [Most]; others are lost
//	asks for names of this machine        no one else hears of those that are not there
//
//	who is asked elsewhere                the server does
//	------------------------------------  ---------------------------------------
//	answers something else                an answer has the query's number, which is
//	                                      random, and its question
package names

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of queries that are asked elsewhere.
const (
	Most  = 64
	Share = 16
)

// ttl is how long a guest may keep what it was told of a domain, in seconds: those come
// and go.
const ttl = 5

// Config is what a server is made of. Its functions may be called at the same time.
type Config struct {
	// Domain is that of the names here, without dots: ringo.
	Domain string
	// Inside is the network whose addresses have names here.
	Inside netip.Prefix
	// Lookup is the address of a domain, by its name.
	Lookup func(host string) (netip.Addr, bool)
	// Host is the name of who has an address.
	Host func(a netip.Addr) (string, bool)
	// Ask asks elsewhere, in one message, and returns the answer.
	Ask func(ctx context.Context, query []byte, tcp bool) ([]byte, error)
}

// Server answers queries. Its methods are safe for concurrent use.
type Server struct {
	c Config

	mu    sync.Mutex
	asks  map[netip.Addr]int // queries under way, by guest; Most of them at most
	total int
}

// New returns a server.
func New(c Config) *Server {
	c.Domain = strings.ToLower(c.Domain)
	return &Server{c: c, asks: map[netip.Addr]int{}}
}

// query is what is asked.
type query struct {
	header dnsmessage.Header
	dnsmessage.Question
	name string // in lower case, without the dot at its end
}

// read takes a message apart.
func read(b []byte) (q query, ok bool) {
	var p dnsmessage.Parser
	var err error
	if q.header, err = p.Start(b); err != nil || q.header.Response {
		return q, false
	}
	if q.Question, err = p.Question(); err != nil {
		return q, false
	}
	if _, err = p.Question(); err != dnsmessage.ErrSectionDone {
		return q, false
	}
	q.name = strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	return q, true
}

// Local answers what is known here, and what is no good query. done is false where somebody
// else is to be asked: see Forward.
func (s *Server) Local(b []byte) (answer []byte, done bool) {
	q, ok := read(b)
	switch {
	case !ok:
		return nil, true
	case q.header.OpCode != 0 || q.Class != dnsmessage.ClassINET:
		return q.reply(dnsmessage.RCodeNotImplemented), true
	}
	if a, reverse := reversed(q.name); reverse {
		if !s.c.Inside.Contains(a) {
			return nil, false
		}
		host, ok := s.c.Host(a)
		name, err := dnsmessage.NewName(host + "." + s.c.Domain + ".")
		if !ok || err != nil {
			return q.reply(dnsmessage.RCodeNameError), true
		}
		if q.Type != dnsmessage.TypePTR {
			return q.reply(dnsmessage.RCodeSuccess), true
		}
		return q.reply(dnsmessage.RCodeSuccess, &dnsmessage.PTRResource{PTR: name}), true
	}
	host, ours := strings.CutSuffix(q.name, "."+s.c.Domain)
	short := !strings.Contains(q.name, ".") && q.name != ""
	if q.name == s.c.Domain {
		return q.reply(dnsmessage.RCodeSuccess), true
	}
	if !ours && !short {
		return nil, false
	}
	a, known := s.c.Lookup(host)
	switch {
	case known && q.Type == dnsmessage.TypeA:
		return q.reply(dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: a.As4()}), true
	case known:
		return q.reply(dnsmessage.RCodeSuccess), true
	case ours || q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeAAAA:
		return q.reply(dnsmessage.RCodeNameError), true
	}
	return nil, false // of the world's domains themselves: com
}

// reply is the answer to a query.
func (q *query) reply(code dnsmessage.RCode, all ...dnsmessage.ResourceBody) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.header.ID, Response: true, OpCode: q.header.OpCode, RCode: code, Authoritative: code != dnsmessage.RCodeServerFailure,
			RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{q.Question},
	}
	for _, r := range all {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: ttl}, Body: r,
		})
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// reversed is the IPv4 address that a name of in-addr.arpa stands for.
func reversed(name string) (a netip.Addr, ok bool) {
	rest, ok := strings.CutSuffix(name, ".in-addr.arpa")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 4 {
		return a, false
	}
	a, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
	return a, err == nil && a.Is4()
}

// Begin counts a query of a guest that is asked elsewhere; false: there are too many. End
// is called afterwards.
func (s *Server) Begin(guest netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= Most || s.asks[guest] >= Share {
		return false
	}
	s.total++
	s.asks[guest]++
	return true
}

// End is Begin's other half.
func (s *Server) End(guest netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.asks[guest]--; s.asks[guest] == 0 {
		delete(s.asks, guest)
	}
}

var errOther = errors.New("an answer to something else")

// Forward has a query asked elsewhere, and returns the answer, which is "server failure"
// if there was none.
func (s *Server) Forward(ctx context.Context, b []byte, tcp bool) []byte {
	q, ok := read(b)
	if !ok {
		return nil
	}
	b = append([]byte(nil), b...)
	number := uint16(rand.Uint32())
	binary.BigEndian.PutUint16(b, number)
	answer, err := s.c.Ask(ctx, b, tcp)
	if err == nil {
		err = matches(answer, number, &q)
	}
	if err != nil {
		return q.reply(dnsmessage.RCodeServerFailure)
	}
	binary.BigEndian.PutUint16(answer, q.header.ID)
	return answer
}

// matches looks whether b answers q, asked with a number.
func matches(b []byte, number uint16, q *query) error {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return err
	}
	got, err := p.Question()
	if err != nil {
		return err
	}
	if !h.Response || h.ID != number || got.Type != q.Type || got.Class != q.Class || !strings.EqualFold(got.Name.String(), q.Name.String()) {
		return errOther
	}
	return nil
}
