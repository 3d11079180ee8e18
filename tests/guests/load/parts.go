// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A message is its sender, its number and a checksum behind what fills it. The last one of a
// sender has the number last.
const (
	messageSize = 100
	last        = ^uint64(0)
)

func seal(b []byte, sender int, n uint64) {
	binary.LittleEndian.PutUint32(b, uint32(sender))
	binary.LittleEndian.PutUint64(b[4:], n)
	for i := 12; i < messageSize-4; i++ {
		b[i] = byte(n) + byte(i)
	}
	binary.LittleEndian.PutUint32(b[messageSize-4:], crc32.ChecksumIEEE(b[:messageSize-4]))
}

// group starts threads of which each sender writes to each receiver in turn.
func (l *load) group(senders, receivers int) {
	var to []int
	for range receivers {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
		if err != nil {
			l.wrong("socketpair: %v", err)
			return
		}
		to = append(to, pair[1])
		l.thread(func() { l.receive(pair[0], senders) })
	}
	for s := range senders {
		l.thread(func() { l.send(to, s) })
	}
}

func (l *load) send(to []int, sender int) {
	b := make([]byte, messageSize)
	for n, over := uint64(0), false; !over; n++ {
		if over = l.over(); over {
			n = last
		}
		seal(b, sender, n)
		for _, fd := range to {
			if _, err := unix.Write(fd, b); err != nil {
				l.wrong("write: %v", err)
			}
		}
	}
}

func (l *load) receive(fd, senders int) {
	defer unix.Close(fd) // after a mistake, senders do not wait
	b, want := make([]byte, 2*messageSize), make([]uint64, senders)
	for left := senders; left > 0; {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != messageSize || crc32.ChecksumIEEE(b[:n-4]) != binary.LittleEndian.Uint32(b[n-4:]) {
			l.wrong("a message of %d bytes: %v", n, err)
			return
		}
		sender, number := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:])
		switch {
		case number == last:
			left--
		case int(sender) >= senders || want[sender] != number:
			l.wrong("message %d of sender %d", number, sender)
			return
		default:
			want[sender]++
			l.messages.Add(1)
		}
	}
}

// ticks counts the expirations of a periodic timer, which must be as many as periods
// have passed, however late they are read.
func (l *load) ticks(period time.Duration) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)
	if err != nil {
		l.wrong("timerfd: %v", err)
		return
	}
	early := l.now()
	every := unix.NsecToTimespec(int64(period))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		l.wrong("timerfd: %v", err)
		return
	}
	late := l.now()
	b := make([]byte, 8)
	for n := time.Duration(0); !l.over(); {
		before := l.now()
		if _, err := unix.Read(fd, b); err == unix.EINTR {
			continue
		} else if err != nil {
			l.wrong("timerfd: %v", err)
			return
		}
		add := binary.LittleEndian.Uint64(b)
		n += time.Duration(add)
		l.expired.Add(int64(add))
		if n*period > l.now()-early {
			l.wrong("%d periods of %v have passed in %v", n, period, l.now()-early)
		}
		if (n+1)*period < before-late {
			l.wrong("only %d periods of %v have passed in %v", n, period, before-late)
		}
	}
}

// naps sleeps for short times, of which none may end early.
func (l *load) naps(seed uint64) {
	for r := rand.New(rand.NewPCG(1, seed)); !l.over(); l.sleeps.Add(1) {
		d := time.Duration(10_000 + r.Int64N(3_000_000))
		began := l.now()
		left := unix.NsecToTimespec(int64(d))
		for err := unix.Nanosleep(&left, &left); err == unix.EINTR; {
			err = unix.Nanosleep(&left, &left)
		}
		if got := l.now() - began; got < d {
			l.wrong("a sleep of %v has ended after %v", d, got)
		}
	}
}

// mappings makes, protects and drops pages: all CPUs that run this program must forget
// them each time.
func (l *load) mappings() {
	const size = 64 << 12
	for n := byte(0); !l.over(); n++ {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			l.wrong("mmap: %v", err)
			return
		}
		for i := 0; i < size; i += 4096 {
			if b[i] != 0 {
				l.wrong("a new page holds %#x", b[i])
			}
			b[i] = n
		}
		if err := unix.Mprotect(b, unix.PROT_READ); err != nil {
			l.wrong("mprotect: %v", err)
		}
		runtime.Gosched()
		for i := 0; i < size; i += 4096 {
			if b[i] != n {
				l.wrong("page %d holds %#x instead of %#x", i/4096, b[i], n)
			}
		}
		if err := unix.Munmap(b); err != nil {
			l.wrong("munmap: %v", err)
		}
		l.maps.Add(1)
	}
}

// offlines takes CPUs other than the first offline and online again, up to three at a
// time. All are online at the end.
func (l *load) offlines() {
	set := func(cpu int, on string) {
		name := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/online", cpu)
		if err := os.WriteFile(name, []byte(on), 0); err != nil {
			l.wrong("%s: %v", name, err)
		}
		if got, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(got)) != on {
			l.wrong("%s: %q, %v", name, got, err)
		}
	}
	var off []int
	for r := rand.New(rand.NewPCG(2, 2)); !l.over(); {
		cpu := 1 + r.IntN(runtime.NumCPU()-1)
		for _, other := range off {
			if other == cpu {
				cpu = 0
			}
		}
		if cpu != 0 {
			set(cpu, "0")
			off = append(off, cpu)
			l.offline.Add(1)
		}
		if len(off) > 3 || cpu == 0 {
			set(off[0], "1")
			off = off[1:]
		}
		time.Sleep(time.Duration(r.Int64N(int64(100 * time.Millisecond))))
	}
	for _, cpu := range off {
		set(cpu, "1")
	}
}
