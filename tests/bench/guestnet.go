// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	"ringo/tools/demo"
	"ringo/tools/emu"
)

// guestNetWork is what a Linux guest in the network default does: words of
// tests/guests/netio, with whom, and how often. Its card is virtio-net; the world is this
// host, behind the machine's 82574L on QEMU's own network and the NAT of dom0. KVM is Linux
// 6.1 and QEMU with virtio-net-pci, vhost off, a tap device and a bridge, on the same
// emulated machine.
var guestNetWork = []struct {
	name, what string
	with       string // world, gateway or neighbour
	n          int
	bytes      float64 // of one: its figure is for each byte
	target     float64
	kvm        string
	exits      float64 // target, 0 = none is in the table
}{
	{"TCP send, a byte", "tcp-send", world, 512, 64 << 10, 4, "5.2 to 7.2", 0},
	{"TCP receive, a byte", "tcp-receive", world, 512, 64 << 10, 5, "11 to 14.1", 0},
	{"UDP send of 64 bytes", "udp-send", world, 20000, 0, 10000, "14700", 1. / 16},
	{"UDP receive of 64 bytes, 16 at a time", "udp-receive", world, 4000, 0, 13000, "20000 to 27000", 0},
	{"ping", "ping", world, 2000, 0, 45000, "109000", 0},
	{"ping of dom0", "ping", gateway, 2000, 0, 0, "", 0},
	{"ping of another guest", "ping", neighbour, 2000, 0, 0, "", 0},
	{"TCP to another guest, a byte", "tcp-send", neighbour, 1024, 64 << 10, 0, "", 0},
	{"UDP of 64 bytes to another guest", "udp-send", neighbour, 20000, 0, 0, "", 0},
}

const (
	world     = "world"
	gateway   = "gateway"
	neighbour = "neighbour"

	guestNet = "a guest's network: "
)

// guestNetFigures are the rows of a guest's network.
func guestNetFigures() (all []figure) {
	for _, w := range guestNetWork {
		all = append(all, figure{name: guestNet + w.name, unit: insns, target: w.target, peers: both(w.kvm, ""), qemu: true})
		if w.exits != 0 {
			all = append(all, figure{name: guestNet + w.name + exitsOf, unit: "exits", target: w.exits, qemu: true})
		}
	}
	return all
}

// measureGuestNetwork is what all layers execute for what a guest sends and receives.
func (v values) measureGuestNetwork(f files) error {
	if !f.wants(netRows) || f.backend == onBochs {
		return nil
	}
	peer, err := newPeer(f.dir)
	if err != nil {
		return err
	}
	defer peer.close()
	c := f.config(1, true)
	c.Modules = append([]emu.Module{{Name: "dom0", Path: f.Dom0}}, emu.Modules(f.Vmlinux, f.Initrd)...)
	c.HVArgs = "ntp=10.0.2.2" // see measureCard
	c.Args = append(c.Args, "-icount", "shift=0,sleep=on", "-netdev", "user,id=net", "-device", "e1000e,netdev=net,romfile=")
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	other, err := startNetIO(m, "other", "netio serve", peer)
	if err != nil {
		return err
	}
	if _, err := startNetIO(m, "io", "netio", peer); err != nil {
		return err
	}
	to := map[string]string{gateway: "10.77.0.1:9", neighbour: other + ":9"}
	g := worker{m, "io", "netio"}
	for _, w := range guestNetWork {
		where := to[w.with]
		if w.with == world {
			where = "10.0.2.2:" + peer.ports[w.what]
		}
		if err := v.take(guestNet+w.name, g, w.what+" "+where, w.n, w.bytes, w.exits != 0); err != nil {
			return err
		}
	}
	return nil
}

// guestAddress is the line in which the guest says its address.
var guestAddress = regexp.MustCompile(`inet addr:(10\.77\.0\.\d+)`)

// startNetIO creates a guest that has got netio from this host and runs it, and returns
// its address.
func startNetIO(m *emu.Machine, name, line string, p *peer) (address string, err error) {
	m.Send("create name=" + name + " kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=256MiB nic=default" +
		" cmdline=\"console=ttyS0 quiet nohz=off tsc=reliable\"\rconsole " + name + "\r")
	if which, text, err := m.Expect(deadline, "ringo-demo: ready", "error: "); err != nil || which != 0 {
		return "", fmt.Errorf("%s did not come up: %v\n%s%s", name, err, text, m.Last(3))
	}
	m.Send("ifconfig eth0\r")
	g, err := m.ExpectRE(deadline, guestAddress)
	if err != nil {
		return "", fmt.Errorf("%s has no address: %w\n%s", name, err, m.Last(3))
	}
	m.Send("cd /tmp; wget -q http://10.0.2.2:" + p.ports["program"] + "/netio && chmod +x netio && echo netio'-is-'here; ./" + line + "\r")
	if which, text, err := m.Expect(deadline, "netio-is-here", "wget: "); err != nil || which != 0 {
		return "", fmt.Errorf("%s did not get its program: %v\n%s%s", name, err, text, m.Last(3))
	}
	if line == "netio" {
		_, _, err = m.Expect(deadline, "netio: ready")
		return g[1], err
	}
	m.Send("\x1d")
	_, _, err = m.Expect(deadline, "\n"+prompt)
	return g[1], err
}

// peer is this host as the other side of netio's work.
type peer struct {
	ports map[string]string // by the work
	ends  []io.Closer
}

func (p *peer) close() {
	for _, c := range p.ends {
		c.Close()
	}
}

func newPeer(dir string) (*peer, error) {
	p := &peer{ports: map[string]string{"ping": "9"}}
	source, err := listen(pour)
	sink, err2 := listen(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	program, err3 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err, err2, err3, demo.Program(filepath.Join(dir, "netio"), "ringo/tests/guests/netio")); err != nil {
		return nil, err
	}
	go func() { _ = http.Serve(program, http.FileServerFS(os.DirFS(dir))) }()
	p.ports["tcp-receive"], p.ports["tcp-send"], p.ports["program"] = portOf(source), portOf(sink), portOf(program)
	p.ends = []io.Closer{source, sink, program}
	for what, answers := range map[string]int{"udp-send": 0, "udp-receive": 16} {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			p.close()
			return nil, err
		}
		p.ends = append(p.ends, c)
		p.ports[what] = fmt.Sprint(c.LocalAddr().(*net.UDPAddr).Port)
		go answer(c, answers)
	}
	return p, nil
}

// answer sends so many packets of 64 bytes for each that comes.
func answer(c *net.UDPConn, packets int) {
	b := make([]byte, 2048)
	for {
		_, from, err := c.ReadFromUDP(b)
		if err != nil {
			return
		}
		for range packets {
			_, _ = c.WriteToUDP(b[:64], from)
		}
	}
}
