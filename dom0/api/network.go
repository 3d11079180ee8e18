// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"context"
	"errors"
	"time"

	"ringo/dom0/files"
	"ringo/dom0/network"
	"ringo/dom0/problem"
)

// Card is a network card.
type Card struct {
	Name         string `json:"name"`
	Model        string `json:"model"`
	MAC          string `json:"mac"`
	MTU          int    `json:"mtu"`
	Up           bool   `json:"up"`
	Mbps         int    `json:"mbps,omitempty"` // 0: not known
	FullDuplex   bool   `json:"full_duplex"`
	Checksum     bool   `json:"checksum_offload"`
	Segmentation bool   `json:"segmentation_offload"`
	Verification bool   `json:"verification_offload"` // of checksums of what comes
	Error        string `json:"error,omitempty"`      // why it does nothing any more
	RxFrames     uint64 `json:"rx_frames"`
	RxBytes      uint64 `json:"rx_bytes"`
	RxErrors     uint64 `json:"rx_errors"`
	RxDropped    uint64 `json:"rx_dropped"`
	TxFrames     uint64 `json:"tx_frames"`
	TxBytes      uint64 `json:"tx_bytes"`
	TxErrors     uint64 `json:"tx_errors"`
	TxDropped    uint64 `json:"tx_dropped"`
	LinkChanges  uint64 `json:"link_changes"`
	Interrupts   uint64 `json:"interrupts"`
	Resets       uint64 `json:"resets"`
}

// Address is an address of a card: "10.0.0.2/24" by "DHCP", "static", "link-local" or
// "router".
type Address struct {
	Address string `json:"address"`
	Origin  string `json:"origin"`
}

// Interface is what a card has of the network.
type Interface struct {
	Name      string    `json:"name"`
	Addresses []Address `json:"addresses"`
	Gateways  []string  `json:"gateways,omitempty"`
	DNS       []string  `json:"dns,omitempty"`
	Server    string    `json:"dhcp_server,omitempty"`
	Lease     float64   `json:"lease_seconds,omitempty"` // that are left
	Asking    bool      `json:"asking"`                  // by DHCP, for the first address or a new one
}

// Ping is one echo request, and its answer. Host is a name or an address.
type Ping struct {
	Host    string  `json:"host"`
	Size    int     `json:"size,omitempty"`    // bytes, 56 by default
	Timeout float64 `json:"timeout,omitempty"` // seconds, 2 by default
}

// Pong is who has answered, and after how long.
type Pong struct {
	Address string  `json:"address"`
	Seconds float64 `json:"seconds"`
}

// Traffic is what is to be measured: so many bytes from a server ("receive") or to one
// ("send") over TCP, where To is HOST:PORT, or echo requests to a host ("ping").
type Traffic struct {
	Kind  string `json:"kind"`
	To    string `json:"to"`
	Count int64  `json:"count"`
}

// TrafficSpeed is what that took, in seconds: by the clock, and of the machine's CPUs.
type TrafficSpeed struct {
	Elapsed float64 `json:"elapsed"`
	Busy    float64 `json:"busy"`
}

// Clock is what NTP servers have said.
type Clock struct {
	Time    time.Time `json:"time"`
	Servers []string  `json:"servers"`
	Server  string    `json:"server,omitempty"` // that was asked last
	Set     time.Time `json:"set,omitzero"`     // when it was set by one
	Offset  float64   `json:"offset_seconds"`   // by how much
	Delay   float64   `json:"delay_seconds"`
	Error   string    `json:"error,omitempty"` // of the last time
}

// Sync asks what the clock is set by. Now has the servers asked first, and the clock set.
type Sync struct {
	Now bool `json:"now"`
}

// Fetch is a file to get over the network, under the name that it is to have.
type Fetch struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// Transfer is how far that is. Size is -1 while it is not known.
type Transfer struct {
	Name   string `json:"name"` // as DomainCreate and configurations may name it
	From   string `json:"from"`
	Done   int64  `json:"done"`
	Size   int64  `json:"size"`
	Ended  bool   `json:"ended"`
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
}

// FileName is a file's name.
type FileName struct {
	Name string `json:"name"`
}

// Verbs of the network.
var (
	NetCards = add("net.cards", func(a *API, _ *None) ([]Card, error) {
		out := []Card{}
		for _, i := range a.interfaces() {
			out = append(out, cardOf(i))
		}
		return out, nil
	})
	NetAddresses = add("net.addresses", func(a *API, _ *None) ([]Interface, error) {
		out := []Interface{}
		for _, i := range a.interfaces() {
			out = append(out, a.interfaceOf(i))
		}
		return out, nil
	})
	NetPing  = add("net.ping", func(a *API, in *Ping) (Pong, error) { return a.ping(in) })
	NetSpeed = add("net.speed", func(a *API, in *Traffic) (TrafficSpeed, error) { return a.traffic(in) })
	NetClock = add("net.clock", func(a *API, in *Sync) (Clock, error) { return a.clock(in) })
	// FileFetch begins to fetch a file; FileTransfers tells of it.
	FileFetch     = act("file.fetch", func(a *API, in *Fetch) error { return a.fetch(in) })
	FileTransfers = add("file.transfers", func(a *API, _ *None) ([]Transfer, error) {
		out := []Transfer{}
		for _, t := range a.Fetched.Transfers() {
			out = append(out, Transfer{t.Name, t.From, t.Done, t.Size, t.Ended, t.SHA256, text(t.Err)})
		}
		return out, nil
	})
	FileForget = act("file.forget", func(a *API, in *FileName) error { return a.Fetched.Forget(in.Name) })
)

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// interfaces are the cards of the machine: not dom0's in the network of guests.
func (a *API) interfaces() (all []*network.Interface) {
	if a.Network == nil {
		return nil
	}
	for _, i := range a.Network.Interfaces() {
		if !i.Inside() {
			all = append(all, i)
		}
	}
	return all
}

func cardOf(i *network.Interface) Card {
	info, link, n := i.Card()
	return Card{
		Name: i.Name(), Model: info.Model, MAC: info.MAC.String(), MTU: info.MTU, Up: link.Up, Mbps: link.Mbps, FullDuplex: link.Full,
		Checksum: info.Checksum, Segmentation: info.Segment, Verification: info.Verifies, Error: text(i.Dead()),
		RxFrames: n.RxFrames, RxBytes: n.RxBytes, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
		TxFrames: n.TxFrames, TxBytes: n.TxBytes, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
		LinkChanges: n.LinkChanges, Interrupts: n.Interrupts, Resets: n.Resets,
	}
}

func (a *API) interfaceOf(i *network.Interface) Interface {
	s := i.Status()
	out := Interface{Name: s.Name, Addresses: []Address{}, Asking: s.Asking && !s.Server.IsValid()}
	for _, x := range s.Addresses {
		out.Addresses = append(out.Addresses, Address{x.Address.String(), x.Origin})
	}
	for _, g := range s.Gateways {
		out.Gateways = append(out.Gateways, g.String())
	}
	for _, d := range s.DNS {
		out.DNS = append(out.DNS, d.String())
	}
	if s.Server.IsValid() {
		out.Server, out.Lease = s.Server.String(), max(s.Left.Seconds(), 0)
	}
	return out
}

// noCard is what fails where there is no network card.
func (a *API) noCard() error {
	if len(a.interfaces()) > 0 {
		return nil
	}
	return problem.New(problem.NotFound, "the command pci lists what there is", "there is no network card that dom0 can use")
}

// Bounds of a ping.
const (
	pingSize    = 56
	pingMost    = 1400
	pingTime    = 2 * time.Second
	pingLongest = time.Minute
	lookupTime  = 15 * time.Second
)

func (a *API) ping(in *Ping) (Pong, error) {
	if err := a.noCard(); err != nil {
		return Pong{}, err
	}
	size, d := in.Size, time.Duration(in.Timeout*float64(time.Second))
	if size == 0 {
		size = pingSize
	}
	if d == 0 {
		d = pingTime
	}
	if size < 0 || size > pingMost || !(d > 0 && d <= pingLongest) {
		return Pong{}, problem.New(problem.Invalid, "use up to 1400 bytes and 60 seconds", "a ping of %d bytes and %v is out of range", size, d)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	to, err := a.Network.Lookup(ctx, in.Host)
	if err != nil {
		return Pong{}, problem.New(problem.NotFound, "", "%v", err)
	}
	p, err := a.Network.NewPinger(to[0], size)
	if err != nil {
		return Pong{}, problem.New(problem.Refused, "", "%v", err)
	}
	defer p.Close()
	one, stop := context.WithTimeout(context.Background(), d)
	defer stop()
	took, err := p.Once(one)
	if errors.Is(err, context.DeadlineExceeded) {
		return Pong{Address: to[0].String()}, problem.New(problem.Refused, "", "no answer from %v within %v", to[0], d)
	}
	if err != nil {
		return Pong{}, problem.New(problem.Refused, "", "%v", err)
	}
	return Pong{to[0].String(), took.Seconds()}, nil
}

// trafficMost is how much a measurement may move, in bytes or echo requests.
const trafficMost = 1 << 40

func (a *API) traffic(in *Traffic) (TrafficSpeed, error) {
	if err := a.noCard(); err != nil {
		return TrafficSpeed{}, err
	}
	kinds := map[string]func(context.Context) error{
		"receive": func(ctx context.Context) error { return a.Network.SpeedReceive(ctx, in.To, in.Count) },
		"send":    func(ctx context.Context) error { return a.Network.SpeedSend(ctx, in.To, in.Count) },
		"ping": func(ctx context.Context) error {
			soon, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			to, err := a.Network.Lookup(soon, in.To)
			if err != nil {
				return err
			}
			return a.Network.SpeedPing(ctx, to[0], pingSize, in.Count)
		},
	}
	f := kinds[in.Kind]
	if f == nil || in.Count <= 0 || in.Count > trafficMost {
		return TrafficSpeed{}, problem.New(problem.Invalid, "use receive, send or ping, and at least 1", "%d times %q cannot be measured", in.Count, in.Kind)
	}
	elapsed, busy, err := a.busy(func() error { return f(context.Background()) })
	if err != nil {
		err = problem.New(problem.Refused, "", "%v", err)
	}
	return TrafficSpeed{elapsed, busy}, err
}

func (a *API) clock(in *Sync) (Clock, error) {
	if in.Now {
		if err := a.noCard(); err != nil {
			return Clock{}, err
		}
		a.Clock.Sync(context.Background())
	}
	out := Clock{Time: a.Now()}
	if a.Clock != nil {
		s := a.Clock.State()
		out.Servers, out.Server, out.Set, out.Offset, out.Delay, out.Error = a.Clock.Servers(), s.Server, s.At, s.Offset.Seconds(), s.Delay.Seconds(), text(s.Err)
	}
	return out, nil
}

func (a *API) fetch(in *Fetch) error {
	if err := a.noCard(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	open := func() (files.Content, error) {
		r, size, err := a.Network.Get(ctx, in.URL)
		return files.Content{R: r, Size: size}, err
	}
	err := a.Fetched.Fetch(in.Name, in.URL, open, cancel)
	if err != nil {
		cancel()
	}
	return err
}
