// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"

	"ringo/tools/emu"
)

// card is a network card whose figures are taken, on QEMU's own network, which has no
// offloads: an 82574L has its own, virtio has none then.
type card struct {
	device              string
	receive, send, ping string // its figures
}

var cards = []card{
	{"e1000e", receiveFigure, sendFigure, pingFigure},
	{"virtio-net-pci", plainReceiveFigure, plainSendFigure, plainPingFigure},
}

// netUse is what the verb net-speed prints; an instruction takes a nanosecond.
var netUse = regexp.MustCompile(`, ([0-9.]+) ns of the CPUs each`)

// measureNetwork is what TCP and ping take of dom0 and hv.
func (v values) measureNetwork(f files) error {
	if !f.wants(netRows) || f.backend == onBochs {
		return nil // there it has no card
	}
	source, err := listen(pour)
	if err != nil {
		return err
	}
	defer source.Close()
	sink, err := listen(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if err != nil {
		return err
	}
	defer sink.Close()
	for _, k := range cards {
		if err := v.measureCard(f, k, source, sink); err != nil {
			return fmt.Errorf("%s: %w", k.device, err)
		}
	}
	return nil
}

// pour sends until the other side has closed.
func pour(c net.Conn) {
	b := make([]byte, 1<<20)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// listen has f serve the connections to a port of this host.
func listen(f func(c net.Conn)) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				c.Close()
			}()
		}
	}()
	return l, nil
}

func (v values) measureCard(f files, k card, source, sink net.Listener) error {
	c := f.config(1, true)
	c.HVArgs = "ntp=10.0.2.2" // which does not answer, rather than others
	// The other end's time is the real one: with a clock that runs ahead while the machine
	// is idle all its answers would be late.
	c.Args = append(c.Args, "-icount", "shift=0,sleep=on", "-netdev", "user,id=net", "-device", k.device+",netdev=net,romfile=")
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	for end := 0; ; end++ {
		if err := m.Send("ping -c 1 10.0.2.2\r"); err != nil {
			return err
		}
		if g, err := m.ExpectRE(deadline, regexp.MustCompile(`1 sent, ([01]) received|error: `)); err != nil || end == 100 {
			return fmt.Errorf("there is no network: %v\n%s", err, m.Last(3))
		} else if g[1] == "1" {
			break
		}
	}
	for _, r := range []struct{ figure, args string }{
		{k.receive, "-n 32 10.0.2.2:" + portOf(source)},
		{k.send, "-s -n 32 10.0.2.2:" + portOf(sink)},
		{k.ping, "-p -n 1000 10.0.2.2"},
	} {
		if v[r.figure], err = netSpeed(m, r.args); err != nil {
			return err
		}
	}
	return nil
}

func portOf(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }

func netSpeed(m *emu.Machine, args string) (float64, error) {
	if err := m.Send("net-speed " + args + "\r"); err != nil {
		return 0, err
	}
	g, err := m.ExpectRE(deadline, regexp.MustCompile(netUse.String()+`|error: [^\n]*`))
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", args, err, m.Last(3))
	}
	if g[1] == "" {
		return 0, fmt.Errorf("%s: %s", args, g[0])
	}
	return strconv.ParseFloat(g[1], 64)
}
