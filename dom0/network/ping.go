// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"

	"ringo/drivers/nic"
)

// Pinger sends echo requests to an address and takes the answers.
type Pinger struct {
	n    *Network
	to   netip.Addr
	ep   tcpip.Endpoint
	wq   waiter.Queue
	came chan struct{}
	seq  uint16

	request []byte // the end of frame
	answer  bytes.Buffer

	// Beside the stack (echo.go): the way, nil if there is none, and until when nobody need
	// ask for it; the frame with the request; and the answer that is waited for, or noEcho.
	way    *shortcut
	stale  time.Time
	frame  []byte
	pieces [1][]byte
	frames [1]nic.Frame
	want   atomic.Uint32
}

// NewPinger returns one with requests of size bytes.
func (n *Network) NewPinger(to netip.Addr, size int) (*Pinger, error) {
	p := &Pinger{n: n, to: to, frame: make([]byte, echoHead+echoLen+size)}
	p.request = p.frame[echoHead:]
	p.want.Store(noEcho)
	for i := range size {
		p.request[echoLen+i] = byte(i)
	}
	number := icmp.ProtocolNumber4
	p.request[0] = uint8(header.ICMPv4Echo)
	if to.Is6() {
		number = icmp.ProtocolNumber6
		p.request[0] = uint8(header.ICMPv6EchoRequest)
	}
	var err tcpip.Error
	if p.ep, err = n.stack.NewEndpoint(number, protocol(to), &p.wq); err != nil {
		return nil, errors.New(err.String())
	}
	if err := p.ep.Connect(tcpip.FullAddress{Addr: address(to)}); err != nil {
		p.ep.Close()
		return nil, fmt.Errorf("%v: %s", to, err)
	}
	entry, came := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp)
	p.wq.EventRegister(&entry)
	p.came = came
	return p, nil
}

// Close ends it.
func (p *Pinger) Close() {
	p.forget()
	p.ep.Close()
}

// Lengths of ICMP's headers are the same in both versions.
const echoLen = header.ICMPv4MinimumSize

// Once sends a request and waits for its answer, until ctx ends. It returns how long that
// took.
func (p *Pinger) Once(ctx context.Context) (time.Duration, error) {
	p.seq++
	binary.BigEndian.PutUint16(p.request[6:], p.seq)
	start := time.Now()
	beside := p.leave(start)
	if !beside {
		if _, err := p.ep.Write(bytes.NewReader(p.request), tcpip.WriteOptions{}); err != nil {
			return 0, fmt.Errorf("%v: %s", p.to, err)
		}
	}
	for {
		select {
		case <-p.came: // or an old one, from before
		case <-ctx.Done():
			p.want.Store(noEcho)
			p.stale = start // the way may be wrong
			return 0, ctx.Err()
		}
		if beside && p.want.Load() == noEcho {
			return time.Since(start), nil
		}
		if ok, err := p.answered(); ok || err != nil {
			p.want.Store(noEcho)
			return time.Since(start), err
		}
	}
}

// answered takes what has come, and reports whether the answer is there.
func (p *Pinger) answered() (bool, error) {
	for {
		p.answer.Reset()
		_, err := p.ep.Read(&p.answer, tcpip.ReadOptions{})
		if _, ok := err.(*tcpip.ErrWouldBlock); ok {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("%v: %s", p.to, err)
		}
		b := p.answer.Bytes()
		if len(b) == len(p.request) && binary.BigEndian.Uint16(b[6:]) == p.seq && bytes.Equal(b[echoLen:], p.request[echoLen:]) {
			return true, nil
		}
	}
}
