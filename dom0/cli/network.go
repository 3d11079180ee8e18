// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringo/dom0/api"
)

const (
	nicsHelp = `-v shows counters and what the card computes. Errors are frames that came
damaged, or that could not be sent; dropped are those that had no room or no link.`
	ipHelp = `Addresses are by DHCP unless the command line of the hypervisor says another one:
  ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1  ip=dhcp,dev=net1  ip=none
Where nobody answers there is a link-local one, and dom0 goes on asking. IPv6
addresses are by router advertisements.`
	pingHelp     = `-c sends so many requests instead of four, -s so many bytes instead of 56.`
	netSpeedHelp = `Receives 16 MiB over TCP from a server that sends as much as one takes, such as
  yes | nc -l -p 5001
-s sends, to one that reads to the end, such as nc -l -p 5001 >/dev/null; -p sends 1000
echo requests to HOST, each after the answer to the last. -n does so many MiB or
requests. Other work of the machine counts as well.`
	ntpHelp = `-s asks the servers now, and sets the clock. They are those of ntp=HOST[,HOST] on the
hypervisor's command line, else those that DHCP names, else pool.ntp.org. They are
asked when there is an address, and every 17 minutes.`
	fetchHelp = `  fetch http://10.0.0.1/debian/vmlinuz vmlinuz
  create name=g kernel=net:vmlinuz ...
The file is kept in dom0's memory, until fetch -d NAME or the end of the machine. Its
SHA-256 is printed, as it is by fetch without arguments for all files. A
server of https must be known to one of Mozilla's authorities.`
)

// networkVerbs are those about dom0's network.
func networkVerbs() []verb {
	return []verb{
		{name: "nics", args: "[-v]", flags: "v", short: "list the machine's network cards", run: nics, text: nicsHelp},
		{name: "ip", short: "list dom0's addresses, routers and name servers", run: addresses, text: ipHelp},
		{name: "ping", args: "[-c COUNT] [-s SIZE] HOST", flags: "c:s:", least: 1, most: 1, short: "ask a host whether it is there", run: ping, text: pingHelp},
		{name: "net-speed", args: "[-s | -p] [-n COUNT] HOST:PORT", flags: "spn:", least: 1, most: 1, short: "see what TCP and ping take of the CPUs", run: netSpeed, text: netSpeedHelp},
		{name: "ntp", args: "[-s]", flags: "s", short: "show what the clock is set by", run: ntpShow, text: ntpHelp},
		{name: "fetch", args: "[URL NAME | -d NAME]", flags: "d", most: 2, short: "get a file over the network, for create", run: fetch, text: fetchHelp},
	}
}

// nics is the verb nics.
func nics(c *call) error {
	all, err := api.NetCards.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		c.printf("there is no network card that dom0 can use\n")
		return nil
	}
	c.printf("%-6s %-17s %-16s %5s %12s %12s\n", "Name", "MAC", "Link", "MTU", "Received", "Sent")
	for _, n := range all {
		c.printf("%-6s %-17s %-16s %5d %12d %12d  %s\n", n.Name, n.MAC, linkText(&n), n.MTU, n.RxBytes, n.TxBytes, n.Model)
		if !c.given('v') {
			continue
		}
		c.printf("\treceived %d frames, %d errors, %d dropped\n", n.RxFrames, n.RxErrors, n.RxDropped)
		c.printf("\tsent %d frames, %d errors, %d dropped\n", n.TxFrames, n.TxErrors, n.TxDropped)
		c.printf("\tlink changes %d, interrupts %d, resets %d\n", n.LinkChanges, n.Interrupts, n.Resets)
		c.printf("\tcomputes: %s\n", offloads(&n))
	}
	return nil
}

func linkText(n *api.Card) string {
	switch {
	case n.Error != "":
		return "failed"
	case !n.Up:
		return "no link"
	case n.Mbps == 0:
		return "up"
	case n.FullDuplex:
		return fmt.Sprintf("%d Mb/s", n.Mbps)
	}
	return fmt.Sprintf("%d Mb/s, half", n.Mbps)
}

func offloads(n *api.Card) string {
	var s []string
	if n.Checksum {
		s = append(s, "checksums")
	}
	if n.Segmentation {
		s = append(s, "segments")
	}
	if n.Verification {
		s = append(s, "checksums of what comes")
	}
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}

// addresses is the verb ip.
func addresses(c *call) error {
	all, err := api.NetAddresses.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		c.printf("there is no network card that dom0 can use\n")
		return nil
	}
	for _, i := range all {
		c.printf("%s\n", i.Name)
		for _, a := range i.Addresses {
			c.printf("\t%s (%s)\n", a.Address, a.Origin)
		}
		if len(i.Gateways) > 0 {
			c.printf("\trouter %s\n", strings.Join(i.Gateways, ", "))
		}
		if len(i.DNS) > 0 {
			c.printf("\tname server %s\n", strings.Join(i.DNS, ", "))
		}
		if i.Server != "" {
			c.printf("\tlease of %s, for %v more\n", i.Server, time.Duration(i.Lease)*time.Second)
		}
		if i.Asking {
			c.printf("\tasking for an address by DHCP\n")
		}
	}
	return nil
}

// number is the value of a flag, from 1 to most.
func (c *call) number(flag byte, def, most int) (int, error) {
	if !c.given(flag) {
		return def, nil
	}
	n, err := strconv.Atoi(c.opt[flag])
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("-%c %s: use 1 to %d", flag, c.opt[flag], most)
	}
	return n, nil
}

// pingPause is how long ping waits between two requests.
const pingPause = 500 * time.Millisecond

// ping is the verb ping.
func ping(c *call) error {
	count, err := c.number('c', 4, 1000)
	if err != nil {
		return err
	}
	size, err := c.number('s', 56, 1400)
	if err != nil {
		return err
	}
	host, came := c.args[0], 0
	var last error
	for i := range count {
		if i > 0 {
			time.Sleep(pingPause)
		}
		p, err := api.NetPing.Call(c.API, api.Ping{Host: host, Size: size})
		if err != nil && p.Address == "" {
			return err
		}
		host = p.Address
		if last = err; err != nil {
			c.printf("%v\n", err)
		} else {
			came++
			c.printf("%d bytes from %s: seq=%d time=%.3f ms\n", size, p.Address, i+1, p.Seconds*1e3)
		}
		c.flush()
	}
	c.printf("%d sent, %d received\n", count, came)
	if came == 0 {
		return last
	}
	return nil
}

// netSpeed is the verb net-speed.
func netSpeed(c *call) error {
	in, unit, def := api.Traffic{Kind: "receive", To: c.args[0]}, "byte", 16
	switch {
	case c.given('s') && c.given('p'):
		return c.usage()
	case c.given('s'):
		in.Kind = "send"
	case c.given('p'):
		in.Kind, unit, def = "ping", "request", 1000
	}
	n, err := c.number('n', def, 1<<20)
	if err != nil {
		return err
	}
	if in.Count = int64(n); unit == "byte" {
		in.Count <<= 20
	}
	r, err := api.NetSpeed.Call(c.API, in)
	if err != nil {
		return err
	}
	per := 1e9 / float64(in.Count)
	c.printf("%s: %d %ss in %.3f s, %.3f ns of the CPUs each\n", in.Kind, in.Count, unit, r.Elapsed, r.Busy*per)
	return nil
}

// ntpShow is the verb ntp.
func ntpShow(c *call) error {
	s, err := api.NetClock.Call(c.API, api.Sync{Now: c.given('s')})
	if err != nil {
		return err
	}
	if s.Error != "" && c.given('s') {
		return errors.New(s.Error)
	}
	c.printf("time     %s\n", s.Time.UTC().Format(time.RFC3339))
	c.printf("servers  %s\n", strings.Join(s.Servers, ", "))
	if !s.Set.IsZero() {
		c.printf("set      %s, by %s", s.Set.UTC().Format(time.RFC3339), time.Duration(s.Offset*1e9).Round(time.Microsecond))
		if s.Error == "" {
			c.printf(", from %s (%v away)", s.Server, time.Duration(s.Delay*1e9).Round(time.Microsecond))
		}
		c.printf("\n")
	} else if s.Error == "" {
		c.printf("set      by nobody yet: it is the machine's own clock\n")
	}
	if s.Error != "" {
		c.printf("error    %s\n", s.Error)
	}
	return nil
}

// fetch is the verb fetch.
func fetch(c *call) error {
	switch {
	case c.given('d') && len(c.args) == 1:
		return act1(api.FileForget, c, api.FileName{Name: c.args[0]})
	case c.given('d') || len(c.args) == 1:
		return c.usage()
	case len(c.args) == 0:
		return transfers(c)
	}
	if err := act1(api.FileFetch, c, api.Fetch{URL: c.args[0], Name: c.args[1]}); err != nil {
		return err
	}
	return c.follow("net:" + c.args[1])
}

func act1[I any](v *api.Verb[I, api.None], c *call, in I) error {
	_, err := v.Call(c.API, in)
	return err
}

// transfers lists what was fetched.
func transfers(c *call) error {
	all, err := api.FileTransfers.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		c.printf("nothing was fetched\n")
	}
	for _, t := range all {
		switch {
		case t.Error != "":
			c.printf("%s failed: %s\n", t.Name, t.Error)
		case t.Ended:
			c.printf("%s %d bytes, sha256 %s\n", t.Name, t.Done, t.SHA256)
		default:
			c.printf("%s %s\n", t.Name, progress(&t))
		}
	}
	return nil
}

// Times between looks at a transfer, and between lines about it.
const (
	followLook = 50 * time.Millisecond
	followLine = 2 * time.Second
)

// follow tells of a transfer until its end.
func (c *call) follow(name string) error {
	c.flush()
	said := time.Now()
	for ; ; time.Sleep(followLook) {
		all, err := api.FileTransfers.Call(c.API, api.None{})
		if err != nil {
			return err
		}
		i := 0
		for i < len(all) && all[i].Name != name {
			i++
		}
		if i == len(all) {
			return errors.New("it was given up")
		}
		switch t := &all[i]; {
		case t.Error != "":
			return errors.New(t.Error)
		case t.Ended:
			c.printf("%s: %d bytes, sha256 %s\n", t.Name, t.Done, t.SHA256)
			return nil
		case time.Since(said) >= followLine:
			said = time.Now()
			c.printf("%s\n", progress(t))
			c.flush()
		}
	}
}

func progress(t *api.Transfer) string {
	if t.Size <= 0 {
		return fmt.Sprintf("%d KiB", t.Done>>10)
	}
	return fmt.Sprintf("%d of %d KiB (%d %%)", t.Done>>10, t.Size>>10, t.Done*100/t.Size)
}
